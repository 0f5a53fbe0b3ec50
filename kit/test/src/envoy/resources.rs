//! What Envoy reads: its bootstrap, and the listeners that can be changed while it runs.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::Error;

/// The configuration of an extension, as Envoy's `configuration` field contains it.
#[derive(Clone, Debug)]
pub enum Configuration {
    /// No configuration.
    Absent,
    /// Text: a `StringValue`. Maistra and Istio pass both strings and JSON objects as text.
    Text(String),
    /// Bytes, in base64: a `BytesValue`.
    Base64(String),
}

impl Configuration {
    fn to_json(&self) -> Value {
        let any = |name: &str, value: Value| json!({"@type": format!("type.googleapis.com/google.protobuf.{name}"), "value": value});
        match self {
            Self::Absent => Value::Null,
            Self::Text(text) => any("StringValue", json!(text)),
            Self::Base64(bytes) => any("BytesValue", json!(bytes)),
        }
    }
}

/// A listener, and the extension in its chain of filters.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The listener's name, also in Envoy's statistics.
    pub name: String,
    /// The plugin's root ID.
    pub root_id: String,
    /// The extension's configuration.
    pub configuration: Configuration,
    /// The port of 127.0.0.1; 0 is a free one.
    pub port: u16,
    /// Whether Envoy responds to `/direct` itself.
    pub has_direct_response: bool,
    /// Whether the extension filters TCP connections, and not HTTP.
    pub is_tcp: bool,
    /// What a headers callback that pauses holds: see
    /// [`Builder`](super::Builder::allow_on_headers_stop_iteration).
    pub allow_on_headers_stop_iteration: bool,
}

impl Listener {
    fn to_json(&self, module: &Path) -> Value {
        if self.is_tcp {
            return self.to_tcp_json(module);
        }
        let mut routes = vec![json!({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}})];
        if self.has_direct_response {
            routes.insert(
                0,
                json!({"match": {"path": "/direct"}, "direct_response": {"status": 403, "body": {"inline_string": "direct"}}}),
            );
        }
        let mut extension = wasm_filter(module, &self.root_id, &self.configuration);
        if self.allow_on_headers_stop_iteration {
            // Envoys before 1.35 reject it.
            extension["typed_config"]["config"]["allow_on_headers_stop_iteration"] = true.into();
        }
        http_listener(&self.name, self.port, &routes, &[extension])
    }

    fn to_tcp_json(&self, module: &Path) -> Value {
        let proxy = json!({"name": "tcp_proxy", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": self.name,
            "cluster": "upstream",
        }});
        let extension = filter("network", module, &self.root_id, &self.configuration);
        listener(&self.name, self.port, &[extension, proxy])
    }
}

/// A Wasm HTTP filter, as an element of `http_filters`.
///
/// Filters with the same module share a VM in each worker, also if their `root_id`s differ.
pub fn wasm_filter(module: &Path, root_id: &str, configuration: &Configuration) -> Value {
    filter("http", module, root_id, configuration)
}

/// A Wasm filter. `layer` is `http` or `network`.
fn filter(layer: &str, module: &Path, root_id: &str, configuration: &Configuration) -> Value {
    json!({"name": "extension", "typed_config": {
        "@type": format!("type.googleapis.com/envoy.extensions.filters.{layer}.wasm.v3.Wasm"),
        "config": {
            "name": "extension",
            "root_id": root_id,
            "configuration": configuration.to_json(),
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module}},
            },
        },
    }})
}

/// A listener on a port of 127.0.0.1 (0 is a free one), whose requests pass through these HTTP
/// filters and then take the first of these routes that matches.
pub fn http_listener(name: &str, port: u16, routes: &[Value], filters: &[Value]) -> Value {
    let router = json!({"name": "router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    }});
    let filters: Vec<&Value> = filters.iter().chain([&router]).collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO",
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": routes,
        }]},
        "http_filters": filters,
    });
    listener(
        name,
        port,
        &[json!({"name": "http", "typed_config": manager})],
    )
}

/// A listener whose connections pass through these network filters.
fn listener(name: &str, port: u16, filters: &[Value]) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "stat_prefix": name,
        "address": loopback(port),
        "filter_chains": [{"filters": filters}],
    })
}

/// The listeners of an extension, as Envoy reads them from a file.
pub fn listeners(module: &Path, listeners: &[Listener]) -> Value {
    let listeners: Vec<Value> = listeners
        .iter()
        .map(|listener| listener.to_json(module))
        .collect();
    discovery_response(&listeners)
}

/// The content of the file from which Envoy reads listeners.
pub fn discovery_response(listeners: &[Value]) -> Value {
    json!({"resources": listeners})
}

/// Envoy's bootstrap: an admin interface on a port of 127.0.0.1, the upstream's host and port, and
/// the file that holds the listeners.
pub fn bootstrap(listeners: &Path, admin_port: u16, (host, port): (&str, u16)) -> Value {
    let discovery = if host.parse::<IpAddr>().is_ok() {
        "STATIC"
    } else {
        "STRICT_DNS"
    };
    json!({
        "admin": {"address": loopback(admin_port)},
        "node": node(),
        "dynamic_resources": {"lds_config": listener_source(listeners)},
        "static_resources": {
            "clusters": [{
                "name": "upstream",
                "type": discovery,
                "dns_lookup_family": "V4_PREFERRED",
                "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}},
                ]}]},
            }],
        },
    })
}

/// The node. Without one, Envoy does not request listeners.
pub fn node() -> Value {
    json!({"id": "test", "cluster": "test"})
}

/// The source of the listeners: a file, which Envoy reads again when another one is moved to its path.
pub fn listener_source(listeners: &Path) -> Value {
    json!({
        "resource_api_version": "V3",
        "path_config_source": {"path": listeners},
    })
}

/// Replaces a file that Envoy watches. Envoy reads it when another one is moved to its path.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be written.
pub fn replace(path: &Path, resources: &Value) -> Result<(), Error> {
    let next = path.with_extension("next");
    fs::write(&next, resources.to_string())
        .and_then(|()| fs::rename(&next, path))
        .map_err(Error::io(format!("write {}", path.display())))
}

/// An address on a port of 127.0.0.1.
pub fn loopback(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}
