//! Where a gRPC call goes: what `proxy_grpc_call` and `proxy_grpc_stream` have in place of the ABI's
//! "upstream name".
//!
//! Envoy reads the bytes as an encoded `envoy.config.core.v3.GrpcService`. Only if that fails, they
//! are the name of a cluster. Every byte sequence of protocol buffers' wire format is a valid message
//! with unknown fields, and many short names are such a sequence, for example `hi` and `authorize`.

/// How deep groups and messages may be nested: the limit of protocol buffers.
const MAX_DEPTH: u32 = 100;

/// Where a gRPC call goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The cluster that `GrpcService` names, in `envoy_grpc.cluster_name`.
    Service(Vec<u8>),
    /// The bytes are no message, and so the name of a cluster.
    Cluster(Vec<u8>),
    /// Envoy aborts, because the message does not say where the call goes, or names a client that
    /// Envoy does not have (`google_grpc`).
    Abort,
}

impl Target {
    /// Reads what a module has passed.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut service = Service::default();
        if message(bytes, MAX_DEPTH, &mut |number, value| {
            service.add(number, value)
        })
        .is_none()
        {
            return Self::Cluster(bytes.to_vec());
        }
        match service {
            Service::Envoy(cluster) => Self::Service(cluster),
            Service::Unset | Service::Google => Self::Abort,
        }
    }
}

/// `GrpcService.target_specifier`. Of several, the last one counts.
#[derive(Default)]
enum Service {
    #[default]
    Unset,
    Envoy(Vec<u8>),
    Google,
}

impl Service {
    fn add(&mut self, number: u32, value: &[u8]) -> Option<()> {
        match number {
            1 => {
                let mut cluster = match std::mem::take(self) {
                    Self::Envoy(cluster) => cluster,
                    Self::Unset | Self::Google => Vec::new(),
                };
                message(value, MAX_DEPTH - 1, &mut |number, value| {
                    if number == 1 {
                        std::str::from_utf8(value).ok()?;
                        cluster = value.to_vec();
                    }
                    Some(())
                })?;
                *self = Self::Envoy(cluster);
            }
            2 => {
                message(value, MAX_DEPTH - 1, &mut |_, _| Some(()))?;
                *self = Self::Google;
            }
            _ => {}
        }
        Some(())
    }
}

/// Reads a message, and passes each field that has a length to `field`. `None` if it is not valid.
fn message(
    mut bytes: &[u8],
    depth: u32,
    field: &mut dyn FnMut(u32, &[u8]) -> Option<()>,
) -> Option<()> {
    while !bytes.is_empty() {
        let (number, wire_type) = tag(&mut bytes)?;
        if wire_type == 2 {
            field(number, with_length(&mut bytes)?)?;
        } else {
            skip(&mut bytes, number, wire_type, depth)?;
        }
    }
    Some(())
}

/// Skips a field's value.
fn skip(bytes: &mut &[u8], number: u32, wire_type: u64, depth: u32) -> Option<()> {
    match wire_type {
        0 => varint(bytes).map(drop),
        1 => take(bytes, 8).map(drop),
        2 => with_length(bytes).map(drop),
        // A group: fields up to the tag that ends it.
        3 => {
            let depth = depth.checked_sub(1)?;
            loop {
                let (inner, wire_type) = tag(bytes)?;
                if wire_type == 4 {
                    return (inner == number).then_some(());
                }
                skip(bytes, inner, wire_type, depth)?;
            }
        }
        5 => take(bytes, 4).map(drop),
        _ => None,
    }
}

/// A field's number and wire type.
fn tag(bytes: &mut &[u8]) -> Option<(u32, u64)> {
    let tag = u32::try_from(varint(bytes)?).ok()?;
    let number = tag >> 3;
    (number != 0).then_some((number, u64::from(tag & 7)))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn with_length<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(bytes)?).ok()?;
    take(bytes, length)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each was tried in Envoy 1.40.
    #[test]
    fn names_that_are_messages_too_abort_envoy() {
        for name in ["", "hi", "authorize", "cd", "c0kd"] {
            assert_eq!(Target::of(name.as_bytes()), Target::Abort, "{name:?}");
        }
    }

    #[test]
    fn other_names_are_those_of_clusters() {
        for name in ["grpc", "outbound|80||a.b.svc", "\u{1}12345678", "c", "h"] {
            let expected = Target::Cluster(name.as_bytes().to_vec());
            assert_eq!(Target::of(name.as_bytes()), expected, "{name:?}");
        }
    }

    #[test]
    fn encoded_service_names_its_cluster() {
        let service = |name: &str| format!("\n\u{6}\n\u{4}{name}");
        let expected = Target::Service(b"grpc".to_vec());
        assert_eq!(Target::of(service("grpc").as_bytes()), expected);
        let both = service("nope") + &service("grpc");
        assert_eq!(Target::of(both.as_bytes()), expected);
        let google = "\u{12}\u{13}\n\u{e}127.0.0.1:1234*\u{1}x";
        assert_eq!(Target::of(google.as_bytes()), Target::Abort);
        assert!(matches!(
            Target::of(b"\n\x05\n\x03gr\xff"),
            Target::Cluster(_)
        ));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "c".repeat(1_000_000);
        assert!(matches!(Target::of(deep.as_bytes()), Target::Cluster(_)));
    }
}
