//! The macro that defines the tables.

/// Lists functions by section of the specification.
///
/// ```text
/// Some("Section") => {
///     name(parameter: I32) -> I32, in VERSIONS, since(1, 23);
/// }
/// ```
///
/// `VERSIONS` is a slice of [`AbiVersion`](crate::AbiVersion), by default all; `since` names the
/// release of Envoy, by default the oldest.
macro_rules! functions {
    ($($section:expr => { $(
        $name:ident($($parameter:ident: $type:ident),* $(,)?) $(-> $result:ident)?
            $(, in $versions:expr)? $(, since($major:literal, $minor:literal))?;
    )* })*) => {
        &[$($(
            $crate::function::Function {
                name: stringify!($name),
                signature: $crate::function::Signature {
                    parameters: &[$($crate::function::Parameter {
                        name: stringify!($parameter),
                        value_type: $crate::value_type::ValueType::$type,
                    }),*],
                    result: $crate::table::first!($(
                        Some($crate::value_type::ValueType::$result),
                    )? None),
                },
                versions: $crate::table::first!($($versions,)? $crate::version::AbiVersion::ALL),
                since: $crate::table::first!($(
                    $crate::envoy_version::EnvoyVersion::new($major, $minor),
                )? $crate::envoy_version::EnvoyVersion::OLDEST),
                section: $section,
            },
        )*)*]
    };
}

/// The first of one or two expressions: the value in a line of the table, or the default.
macro_rules! first {
    ($first:expr $(, $default:expr)?) => {
        $first
    };
}

pub(crate) use {first, functions};
