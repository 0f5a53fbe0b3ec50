//! Envoy's configuration: a listener for each scenario, and the clusters that modules may call.

use std::path::Path;

use proxy_wasm_test::envoy::resources::{listener_source, loopback, node};
use serde_json::{Value, json};

use crate::scenario::Scenario;

/// How many listeners stay when no scenario has one: [`BARRIER`], and one for gRPC.
pub const PERMANENT_LISTENERS: u64 = 2;

/// The listener without an extension.
pub const BARRIER: &str = "barrier";

const TYPES: &str = "type.googleapis.com/envoy";

/// Listeners whose requests pass through the scenario's module, which is in this file: one for each
/// plugin.
pub fn listeners(scenario: &Scenario, module: &Path) -> Vec<Value> {
    let first = listener(
        &scenario.name,
        scenario,
        scenario.configuration.as_ref(),
        module,
    );
    let second = scenario.second_configuration.as_ref().map(|configuration| {
        let name = format!("{}-second", scenario.name);
        listener(&name, scenario, Some(configuration), module)
    });
    [first].into_iter().chain(second).collect()
}

fn listener(
    name: &str,
    scenario: &Scenario,
    plugin_configuration: Option<&String>,
    module: &Path,
) -> Value {
    let configuration = |text: Option<&String>| {
        text.map(|text| {
            json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text})
        })
    };
    let layer = if scenario.is_tcp { "network" } else { "http" };
    let filter = json!({"name": "extension", "typed_config": {
        "@type": format!("{TYPES}.extensions.filters.{layer}.wasm.v3.Wasm"),
        "config": {
            "name": scenario.plugin_name(),
            "root_id": scenario.root_id(),
            "configuration": configuration(plugin_configuration),
            "allow_on_headers_stop_iteration": scenario.stops_iteration,
            "vm_config": {
                "vm_id": scenario.name,
                "runtime": "envoy.wasm.runtime.v8",
                "configuration": configuration(scenario.vm_configuration.as_ref()),
                "code": {"local": {"filename": module}},
            },
        },
    }});
    if scenario.is_tcp {
        return tcp_listener(name, &filter);
    }
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]);
    http_listener(name, &routes, Some(filter), scenario.is_unfiltered)
}

/// The listener on which Envoy responds itself.
pub fn barrier() -> Value {
    let routes = json!([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]);
    http_listener(BARRIER, &routes, None, false)
}

/// A listener whose connections pass through a filter, and then to the upstream.
fn tcp_listener(name: &str, filter: &Value) -> Value {
    let proxy = json!({"name": "tcp_proxy", "typed_config": {
        "@type": format!("{TYPES}.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
        "stat_prefix": name,
        "cluster": "tcp",
    }});
    json!({
        "@type": format!("{TYPES}.config.listener.v3.Listener"),
        "name": name,
        "stat_prefix": name,
        "address": loopback(0),
        "filter_chains": [{"filters": [filter, proxy]}],
    })
}

fn http_listener(name: &str, routes: &Value, filter: Option<Value>, adds_headers: bool) -> Value {
    let filters: Vec<Value> = filter.into_iter().chain([router(adds_headers)]).collect();
    json!({
        "@type": format!("{TYPES}.config.listener.v3.Listener"),
        "name": name,
        "stat_prefix": name,
        "address": loopback(0),
        "filter_chains": [manager(name, "HTTP1", routes, &filters, adds_headers)],
    })
}

fn router(adds_headers: bool) -> Value {
    json!({"name": "router", "typed_config": {
        "@type": format!("{TYPES}.extensions.filters.http.router.v3.Router"),
        "suppress_envoy_headers": !adds_headers,
    }})
}

/// A filter chain with the HTTP connection manager.
fn manager(
    name: &str,
    codec: &str,
    routes: &Value,
    filters: &[Value],
    adds_headers: bool,
) -> Value {
    let manager = json!({
        "@type": format!("{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name,
        "codec_type": codec,
        "http_protocol_options": {"enable_trailers": true},
        "generate_request_id": adds_headers,
        // A response that is cut off closes the connection at once.
        "delayed_close_timeout": "0s",
        "route_config": {
            "name": "routes",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        },
        "http_filters": filters,
    });
    json!({"filters": [{"name": "http", "typed_config": manager}]})
}

/// The ports of the test's servers.
pub struct Ports {
    pub upstream: u16,
    pub service: u16,
    pub tcp: u16,
}

/// Envoy's bootstrap: the file with the listeners, and the clusters. `upstream`, `service` and `tcp` are
/// servers of the test, and nothing listens where `dead` is.
///
/// gRPC needs HTTP/2, which the test's servers do not speak: a listener translates it to HTTP/1.1.
pub fn bootstrap(directory: &Path, listeners: &Path, ports: &Ports) -> Value {
    let translator = json!({"pipe": {"path": directory.join("grpc.sock")}});
    let routes =
        json!([{"match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": "0s"}}]);
    json!({
        "admin": {"address": loopback(0)},
        "node": node(),
        "dynamic_resources": {"lds_config": listener_source(listeners)},
        "static_resources": {
            "listeners": [{
                "name": "grpc",
                "address": translator,
                "filter_chains": [manager("grpc", "HTTP2", &routes, &[router(false)], false)],
            }],
            "clusters": [
                cluster("upstream", &[loopback(ports.upstream)], "http_protocol_options"),
                cluster("service", &[loopback(ports.service)], "http_protocol_options"),
                cluster("tcp", &[loopback(ports.tcp)], "http_protocol_options"),
                cluster("dead", &[loopback(1)], "http_protocol_options"),
                cluster("empty", &[], "http_protocol_options"),
                cluster("grpc", &[translator], "http2_protocol_options"),
            ],
        },
    })
}

fn cluster(name: &str, addresses: &[Value], protocol: &str) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"endpoint": {"address": address}}))
        .collect();
    let options = match protocol {
        "http_protocol_options" => json!({"enable_trailers": true}),
        _ => json!({}),
    };
    json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": format!("{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": {protocol: options},
            },
        },
    })
}
