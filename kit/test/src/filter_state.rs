//! Envoy's filter state: values that the filters of a stream share.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use proxy_wasm_abi::Status;

/// What precedes the path of a property in the key of `proxy_set_property`.
const PREFIX: &[u8] = b"wasm.";

/// The filter state of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterState(BTreeMap<Vec<u8>, FilterStateObject>);

/// An object of the filter state.
#[derive(Clone, Debug)]
struct FilterStateObject {
    /// What `proxy_get_property` returns. `None` if that is `NOT_FOUND`.
    value: Option<Vec<u8>>,
    is_read_only: bool,
    life_span: u64,
}

impl FilterState {
    /// Sets a property (ABI: `proxy_set_property`). It is read-only if it has been declared so.
    pub(crate) fn set_property(
        &mut self,
        path: &[u8],
        value: Vec<u8>,
        is_read_only: bool,
    ) -> Result<(), Status> {
        let key = property_key(path);
        match self.0.get_mut(&key) {
            Some(object) if object.is_read_only => return Err(Status::BadArgument),
            Some(object) => object.value = Some(value),
            None => {
                let object = FilterStateObject {
                    value: Some(value),
                    is_read_only,
                    life_span: 0,
                };
                self.0.insert(key, object);
            }
        }
        Ok(())
    }

    /// Sets an object (foreign function `set_envoy_filter_state`).
    ///
    /// As in Envoy, an object of another life span stays, and that is not an error.
    pub(crate) fn set_object(&mut self, key: &str, value: Option<Vec<u8>>, life_span: u64) {
        let object = self.0.get(key.as_bytes());
        if object.is_none_or(|object| object.life_span == life_span) {
            let object = FilterStateObject {
                value,
                is_read_only: false,
                life_span,
            };
            self.0.insert(key.as_bytes().to_vec(), object);
        }
    }

    /// A value by its key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.get(key)?.value.as_deref()
    }

    /// A property by the first part of its path.
    pub(crate) fn property(&self, name: &[u8]) -> Option<&[u8]> {
        self.get(&property_key(name))
    }
}

fn property_key(path: &[u8]) -> Vec<u8> {
    [PREFIX, path].concat()
}

/// What can be read of an object that Envoy 1.40 makes of this value. `None` if it cannot be read.
///
/// # Errors
///
/// `NOT_FOUND` if Envoy has no object of this name, `BAD_ARGUMENT` if it rejects the value.
pub(crate) fn object(key: &str, value: &str) -> Result<Option<Vec<u8>>, Status> {
    let number = value.trim_ascii();
    let number = number.strip_prefix('+').unwrap_or(number);
    let text = match key {
        "envoy.hashable_string"
        | "envoy.network.network_namespace"
        | "envoy.network.upstream_server_name"
        | "envoy.network.upstream_subject_alt_names"
        | "envoy.string"
        | "envoy.tcp_proxy.cluster"
        | "envoy.upstream.dynamic_host" => Some(value.to_owned()),
        "envoy.ai.model.request" => Some(value.to_owned()).filter(|value| !value.is_empty()),
        "envoy.bool" => boolean(value).map(|boolean| boolean.to_string()),
        "envoy.tcp_proxy.disable_tunneling" => Some((value == "true").to_string()),
        "envoy.ratelimit.hits_addend" | "envoy.upstream.dynamic_port" => {
            number.parse::<u32>().ok().map(|number| number.to_string())
        }
        "envoy.tcp_proxy.per_connection_idle_timeout_ms" => {
            number.parse::<u64>().ok().map(|number| number.to_string())
        }
        "envoy.network.ip" => {
            let address = value.parse::<IpAddr>().ok();
            address.map(|address| SocketAddr::new(address, 0).to_string())
        }
        // They can be read as a map whose keys are not listed: an empty one.
        "envoy.filters.listener.original_dst.local_ip"
        | "envoy.filters.listener.original_dst.remote_ip"
        | "envoy.network.transport_socket.original_dst_address" => {
            let address = value.parse::<SocketAddr>().ok();
            address.map(|_| "\0\0\0\0".to_owned())
        }
        "envoy.ai.llm_protocol.request"
        | "envoy.network.application_protocols"
        | "envoy.network.transport_socket.http_11_proxy.info"
        | "envoy.router.debug_config" => return Ok(None),
        _ => return Err(Status::NotFound),
    };
    let text = text.ok_or(Status::BadArgument)?;
    Ok(Some(text.into_bytes()))
}

/// The truth values that Envoy reads.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each was tried in Envoy 1.40.
    #[test]
    fn objects_are_created_from_text_as_in_envoy() {
        let readable = |key: &str, value: &str| {
            let value = object(key, value)?;
            Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
        };
        let some = |value: &str| Ok(Some(value.to_owned()));
        let rejected = Err(Status::BadArgument);
        for (key, value, expected) in [
            ("envoy.string", "", some("")),
            ("envoy.ai.model.request", "x", some("x")),
            ("envoy.ai.model.request", "", rejected.clone()),
            ("envoy.bool", "TRUE", some("true")),
            ("envoy.bool", "0", some("false")),
            ("envoy.bool", "80", rejected.clone()),
            ("envoy.tcp_proxy.disable_tunneling", "TRUE", some("false")),
            ("envoy.upstream.dynamic_port", "\t+080\n", some("80")),
            (
                "envoy.upstream.dynamic_port",
                "4294967295",
                some("4294967295"),
            ),
            (
                "envoy.upstream.dynamic_port",
                "4294967296",
                rejected.clone(),
            ),
            ("envoy.upstream.dynamic_port", "-1", rejected.clone()),
            (
                "envoy.tcp_proxy.per_connection_idle_timeout_ms",
                "4294967296",
                some("4294967296"),
            ),
            ("envoy.network.ip", "1.2.3.4", some("1.2.3.4:0")),
            ("envoy.network.ip", "::1", some("[::1]:0")),
            ("envoy.network.ip", "1.2.3.4:80", rejected.clone()),
            (
                "envoy.network.transport_socket.original_dst_address",
                "[::1]:80",
                some("\0\0\0\0"),
            ),
            (
                "envoy.network.transport_socket.original_dst_address",
                "::1",
                rejected,
            ),
            ("envoy.network.application_protocols", "a,b", Ok(None)),
            ("wasm.a", "x", Err(Status::NotFound)),
        ] {
            assert_eq!(readable(key, value), expected, "{key} {value:?}");
        }
    }
}
