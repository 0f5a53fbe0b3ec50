//! Functions and their signatures.

use std::fmt;

use crate::envoy_version::EnvoyVersion;
use crate::value_type::ValueType;
use crate::version::AbiVersion;

/// A function of the ABI: a host call, a WASI function or a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// Its name as an import or export.
    pub name: &'static str,
    /// Its parameters and result.
    pub signature: Signature,
    /// The ABI versions in which a proxy offers or calls it with this signature.
    pub versions: &'static [AbiVersion],
    /// The Envoy release that introduced it.
    pub since: EnvoyVersion,
    /// The section of the specification that defines it, for example "HTTP fields".
    ///
    /// `None` if Envoy has it and the specification does not.
    pub section: Option<&'static str>,
}

impl Function {
    /// Whether a proxy offers or calls it for modules of this ABI version.
    pub fn is_in(&self, version: AbiVersion) -> bool {
        self.versions.contains(&version)
    }
}

/// The parameters and the result of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The parameters, in order.
    pub parameters: &'static [Parameter],
    /// The result, if there is one.
    pub result: Option<ValueType>,
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the Proxy-Wasm or WASI specification, unique within the function.
    ///
    /// Parameters that begin with `return_` are addresses that the host writes to.
    pub name: &'static str,
    /// Its type.
    pub value_type: ValueType,
}

impl Signature {
    /// Whether a function with these parameters and results has this signature.
    ///
    /// A proxy rejects a module whose import or callback has another signature.
    pub fn matches(&self, parameters: &[ValueType], results: &[ValueType]) -> bool {
        self.parameters
            .iter()
            .map(|parameter| parameter.value_type)
            .eq(parameters.iter().copied())
            && self.result.as_slice() == results
    }
}

/// The types, as in `(i32, i64) -> i32`.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (index, parameter) in self.parameters.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", parameter.value_type)?;
        }
        f.write_str(")")?;
        match self.result {
            Some(result) => write!(f, " -> {result}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValueType::{I32, I64};

    const METRIC: Signature = Signature {
        parameters: &[
            Parameter {
                name: "metric_id",
                value_type: I32,
            },
            Parameter {
                name: "delta",
                value_type: I64,
            },
        ],
        result: Some(I32),
    };

    const EMPTY: Signature = Signature {
        parameters: &[],
        result: None,
    };

    #[test]
    fn display_shows_types() {
        assert_eq!(METRIC.to_string(), "(i32, i64) -> i32");
        assert_eq!(EMPTY.to_string(), "()");
    }

    #[test]
    fn signature_matches_only_the_same_types() {
        assert!(METRIC.matches(&[I32, I64], &[I32]));
        assert!(!METRIC.matches(&[I64, I32], &[I32]));
        assert!(!METRIC.matches(&[I32], &[I32]));
        assert!(!METRIC.matches(&[I32, I64, I32], &[I32]));
        assert!(!METRIC.matches(&[I32, I64], &[]));
        assert!(!METRIC.matches(&[I32, I64], &[I64]));
        assert!(!METRIC.matches(&[I32, I64], &[I32, I32]));
        assert!(EMPTY.matches(&[], &[]));
        assert!(!EMPTY.matches(&[], &[I32]));
    }
}
