//! The listeners and clusters of a case, as Envoy reads them.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cases::format::ProxyOptions;
use crate::cases::json::CaseConfiguration;
use crate::cases::text::Text;
use crate::envoy::resources::{
    self, discovery_response, http_listener, listener_source, loopback, node, wasm_filter,
};

/// The name of the listener on which Envoy responds itself.
pub const BARRIER: &str = "barrier";

/// A port on which nothing listens.
const CLOSED_PORT: u16 = 1;

/// Envoy's bootstrap, with the files that hold the listeners and the clusters.
pub fn bootstrap(listeners: &Path, clusters: &Path) -> Value {
    json!({
        "admin": {"address": loopback(0)},
        "node": node(),
        "dynamic_resources": {
            "lds_config": listener_source(listeners),
            "cds_config": listener_source(clusters),
        },
    })
}

/// A cluster with one endpoint. Without an address, nothing listens there.
pub fn cluster(name: &str, address: Option<SocketAddr>, options: &ProxyOptions) -> Value {
    let address = address.map_or_else(|| loopback(CLOSED_PORT), |address| loopback(address.port()));
    with_limit(
        options,
        json!({
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": name,
            "type": "STATIC",
            "load_assignment": endpoints(name, &address),
            "typed_extension_protocol_options": protocol(json!({
                "http_protocol_options": {"enable_trailers": true},
            })),
        }),
    )
}

/// The cluster of a gRPC service: a listener of this Envoy, which translates to HTTP/1.1.
pub fn grpc_cluster(name: &str, socket: &Path) -> Value {
    let address = json!({"pipe": {"path": socket}});
    json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "load_assignment": endpoints(name, &address),
        "typed_extension_protocol_options": protocol(json!({"http2_protocol_options": {}})),
    })
}

/// A listener that translates gRPC to HTTP/1.1 for the service of a cluster.
pub fn grpc_translator(name: &str, socket: &Path, cluster: &str) -> Value {
    let mut listener = listener(name, cluster, &[]);
    listener["address"] = json!({"pipe": {"path": socket}});
    listener["filter_chains"][0]["filters"][0]["typed_config"]["codec_type"] = "HTTP2".into();
    listener
}

/// The listener on which Envoy responds itself.
pub fn barrier() -> Value {
    let routes = [json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}})];
    http_listener(BARRIER, 0, &routes, &[])
}

/// A listener with the extension, which has a VM of its own.
pub fn extension(
    name: &str,
    module: &Path,
    configuration: &CaseConfiguration,
    options: &ProxyOptions,
) -> Value {
    let root_id = options.root_id.as_deref().unwrap_or_default();
    let mut filter = wasm_filter(module, root_id, &encoded(configuration));
    let config = &mut filter["typed_config"]["config"];
    config["vm_config"]["vm_id"] = name.into();
    if let Some(name) = &options.plugin_name {
        config["name"] = name.as_str().into();
    }
    if options.allow_on_headers_stop_iteration {
        // Envoys before 1.35 reject it.
        config["allow_on_headers_stop_iteration"] = true.into();
    }
    if let Some(configuration) = &options.vm_configuration {
        config["vm_config"]["configuration"] = json!({
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": configuration,
        });
    }
    for (name, Text(value)) in &options.environment.0 {
        let variables = &mut config["vm_config"]["environment_variables"]["key_values"];
        variables[name] = value.as_str().into();
    }
    with_limit(options, listener(name, super::plan::UPSTREAM, &[filter]))
}

/// The content of a file that Envoy reads.
pub fn file(resources: &[Value]) -> Value {
    discovery_response(resources)
}

fn listener(name: &str, cluster: &str, filters: &[Value]) -> Value {
    let route = json!({"cluster": cluster, "timeout": "0s"});
    let routes = [json!({"match": {"prefix": "/"}, "route": route})];
    let mut listener = http_listener(name, 0, &routes, filters);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["http_protocol_options"] = json!({"enable_trailers": true});
    // A response that is cut off closes the connection at once.
    manager["delayed_close_timeout"] = "0s".into();
    listener
}

fn with_limit(options: &ProxyOptions, mut resource: Value) -> Value {
    if let Some(bytes) = options.buffer_limit {
        resource["per_connection_buffer_limit_bytes"] = bytes.into();
    }
    resource
}

fn endpoints(name: &str, address: &Value) -> Value {
    json!({"cluster_name": name, "endpoints": [
        {"lb_endpoints": [{"endpoint": {"address": address}}]},
    ]})
}

fn protocol(explicit: Value) -> Value {
    json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": explicit,
    }})
}

fn encoded(configuration: &CaseConfiguration) -> resources::Configuration {
    match configuration {
        CaseConfiguration::Absent => resources::Configuration::Absent,
        CaseConfiguration::Bytes(bytes) => match String::from_utf8(bytes.clone()) {
            Ok(text) => resources::Configuration::Text(text),
            Err(_) => resources::Configuration::Base64(STANDARD.encode(bytes)),
        },
    }
}
