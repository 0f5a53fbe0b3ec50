//! Envoy's configuration: a listener for each scenario, and the clusters that modules may call.

use std::path::Path;

use proxy_wasm_test::envoy::resources::{listener_source, loopback, node};
use serde_json::{Value, json};

use crate::scenario::Scenario;

/// The listener without an extension.
pub const BARRIER: &str = "barrier";

const TYPES: &str = "type.googleapis.com/envoy";

/// A listener whose requests pass through the scenario's module, which is in this file.
pub fn listener(scenario: &Scenario, module: &Path) -> Value {
    let configuration = |text: Option<&String>| {
        text.map(|text| json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text}))
    };
    let filter = json!({"name": "extension", "typed_config": {
        "@type": format!("{TYPES}.extensions.filters.http.wasm.v3.Wasm"),
        "config": {
            "name": scenario.name,
            "root_id": scenario.name,
            "configuration": configuration(scenario.configuration.as_ref()),
            "allow_on_headers_stop_iteration": scenario.stops_iteration,
            "vm_config": {
                "vm_id": scenario.name,
                "runtime": "envoy.wasm.runtime.v8",
                "configuration": configuration(scenario.vm_configuration.as_ref()),
                "code": {"local": {"filename": module}},
            },
        },
    }});
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]);
    http_listener(&scenario.name, &routes, Some(filter))
}

/// A listener that Envoy responds to by itself.
pub fn barrier() -> Value {
    let routes = json!([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]);
    http_listener(BARRIER, &routes, None)
}

fn http_listener(name: &str, routes: &Value, filter: Option<Value>) -> Value {
    let router = json!({"name": "router", "typed_config": {
        "@type": format!("{TYPES}.extensions.filters.http.router.v3.Router"),
        "suppress_envoy_headers": true,
    }});
    let filters: Vec<Value> = filter.into_iter().chain([router]).collect();
    let manager = json!({
        "@type": format!("{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name,
        "codec_type": "HTTP1",
        "http_protocol_options": {"enable_trailers": true},
        "generate_request_id": false,
        "route_config": {
            "name": "routes",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        },
        "http_filters": filters,
    });
    json!({
        "@type": format!("{TYPES}.config.listener.v3.Listener"),
        "name": name,
        "stat_prefix": name,
        "address": loopback(0),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    })
}

/// Envoy's bootstrap: the file with the listeners, and the clusters. `upstream` and `service` are
/// servers of the test, and nothing listens where `dead` is.
pub fn bootstrap(listeners: &Path, upstream: u16, service: u16) -> Value {
    json!({
        "admin": {"address": loopback(0)},
        "node": node(),
        "dynamic_resources": {"lds_config": listener_source(listeners)},
        "static_resources": {"clusters": [
            cluster("upstream", &[upstream]),
            cluster("service", &[service]),
            cluster("dead", &[1]),
            cluster("empty", &[]),
        ]},
    })
}

fn cluster(name: &str, ports: &[u16]) -> Value {
    let endpoints: Vec<Value> = ports
        .iter()
        .map(|port| json!({"endpoint": {"address": loopback(*port)}}))
        .collect();
    let options = json!({
        "@type": format!("{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions"),
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
    });
    json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options,
        },
    })
}
