//! The target of a gRPC call: what Envoy expects as the parameter "upstream name" of `proxy_grpc_call` and
//! `proxy_grpc_stream`.
//!
//! Envoy reads the bytes as an encoded `envoy.config.core.v3.GrpcService`. Only if that fails, they
//! are the name of a cluster. Every byte sequence of protocol buffers' wire format is a valid message
//! with unknown fields, and many short names are such a sequence, for example `hi` and `authorize`.

use crate::protobuf::{self, FieldValue};

/// Where a gRPC call goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GrpcTarget {
    /// The cluster that `GrpcService` names, in `envoy_grpc.cluster_name`.
    Service(Vec<u8>),
    /// The bytes are not a message, so they are the name of a cluster.
    Cluster(Vec<u8>),
    /// Envoy aborts, because the message does not say where the call goes, or names a client that
    /// Envoy does not have (`google_grpc`).
    Abort,
}

impl GrpcTarget {
    /// Reads what a module has passed.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut service = Service::default();
        let read = protobuf::read(bytes, |number, value| service.add(number, value));
        if read.is_none() {
            return Self::Cluster(bytes.to_vec());
        }
        match service {
            Service::Envoy(cluster) => Self::Service(cluster),
            Service::Unset | Service::Google => Self::Abort,
        }
    }
}

/// `GrpcService.target_specifier`. If there are several, the last one is used.
#[derive(Default)]
enum Service {
    #[default]
    Unset,
    Envoy(Vec<u8>),
    Google,
}

impl Service {
    fn add(&mut self, number: u32, value: FieldValue) -> Option<()> {
        match (number, value) {
            (1, FieldValue::Bytes(value)) => {
                let mut cluster = match std::mem::take(self) {
                    Self::Envoy(cluster) => cluster,
                    Self::Unset | Self::Google => Vec::new(),
                };
                protobuf::read(value, |number, value| {
                    if let (1, FieldValue::Bytes(value)) = (number, value) {
                        std::str::from_utf8(value).ok()?;
                        cluster = value.to_vec();
                    }
                    Some(())
                })?;
                *self = Self::Envoy(cluster);
            }
            (2, FieldValue::Bytes(value)) => {
                protobuf::read(value, |_, _| Some(()))?;
                *self = Self::Google;
            }
            _ => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each was tried in Envoy 1.40.
    #[test]
    fn names_that_are_valid_messages_abort_envoy() {
        for name in ["", "hi", "authorize", "cd", "c0kd"] {
            assert_eq!(
                GrpcTarget::of(name.as_bytes()),
                GrpcTarget::Abort,
                "{name:?}"
            );
        }
    }

    #[test]
    fn other_names_are_cluster_names() {
        for name in ["grpc", "outbound|80||a.b.svc", "\u{1}12345678", "c", "h"] {
            let expected = GrpcTarget::Cluster(name.as_bytes().to_vec());
            assert_eq!(GrpcTarget::of(name.as_bytes()), expected, "{name:?}");
        }
    }

    #[test]
    fn encoded_service_names_its_cluster() {
        let service = |name: &str| format!("\n\u{6}\n\u{4}{name}");
        let expected = GrpcTarget::Service(b"grpc".to_vec());
        assert_eq!(GrpcTarget::of(service("grpc").as_bytes()), expected);
        let both = service("nope") + &service("grpc");
        assert_eq!(GrpcTarget::of(both.as_bytes()), expected);
        let google = "\u{12}\u{13}\n\u{e}127.0.0.1:1234*\u{1}x";
        assert_eq!(GrpcTarget::of(google.as_bytes()), GrpcTarget::Abort);
        assert!(matches!(
            GrpcTarget::of(b"\n\x05\n\x03gr\xff"),
            GrpcTarget::Cluster(_)
        ));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "c".repeat(1_000_000);
        assert!(matches!(
            GrpcTarget::of(deep.as_bytes()),
            GrpcTarget::Cluster(_)
        ));
    }
}
