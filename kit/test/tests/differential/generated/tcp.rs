//! TCP: callbacks × actions × host calls.

use crate::module::{Module, Out, pairs, probe};
use crate::scenario::Scenario;
use crate::tcp::Side::{Client, Upstream};

use super::groups::{NUMBER, VALUE, each, strings};

/// The callbacks of a connection.
const PLACES: [&str; 5] = [
    "new_connection",
    "downstream_data",
    "downstream_connection_close",
    "upstream_data",
    "upstream_connection_close",
];

/// Those that return an action.
const PAUSING: [&str; 3] = ["new_connection", "downstream_data", "upstream_data"];

/// Those that each context has.
const OF_CONTEXTS: [&str; 4] = ["context_create", "done", "log", "delete"];

pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for place in PAUSING {
        for action in [1, 2, 3, -1] {
            let module = Module::new().on(&callback(place), &format!("(return #{action})"));
            let name = format!("tcp_return.{place}.{action}");
            scenarios.push(whole(Scenario::tcp(&name, &module.wat())));
            let upstream_first = Scenario::tcp(format!("{name}.upstream_first"), &module.wat());
            scenarios.push(upstream_ends_first(upstream_first));
            let reset = Scenario::tcp(format!("{name}.reset"), &module.wat());
            scenarios.push(
                reset
                    .connect()
                    .send(Client, "one")
                    .send(Upstream, "two")
                    .reset(Client),
            );
        }
        // Pauses the first time.
        let module = Module::new().with("(global $count (mut i32) #0)").on(
            &callback(place),
            "(global.set $count (i32.add (global.get $count) #1))
                (return (i32.eq (global.get $count) #1))",
        );
        scenarios.push(whole(Scenario::tcp(
            format!("tcp_return.{place}.first"),
            &module.wat(),
        )));
    }
    for place in PLACES.into_iter().chain(OF_CONTEXTS) {
        for call in ["continue_stream", "close_stream"] {
            for stream in [0, 1, 2, 3, 4] {
                let module = Module::new().on(
                    &callback(place),
                    &in_stream(place, &probe(&format!("$proxy_{call} #{stream}"), &[])),
                );
                let name = format!("tcp_{call}.{place}.{stream}");
                scenarios.push(whole(Scenario::tcp(name, &module.wat())));
            }
        }
        for (name, calls) in reading() {
            let body: String = calls.iter().map(|(call, outs)| probe(call, outs)).collect();
            let module = Module::new().on(&callback(place), &in_stream(place, &body));
            scenarios.push(whole(Scenario::tcp(
                format!("tcp_{name}.{place}"),
                &module.wat(),
            )));
        }
    }
    for place in PAUSING {
        for stream in [2, 3] {
            for call in ["continue_stream", "close_stream"] {
                let body = format!("(drop (call $proxy_{call} #{stream})) (return #1)");
                let module = Module::new().on(&callback(place), &body);
                let name = format!("tcp_{call}.{place}.{stream}.pause");
                scenarios.push(whole(Scenario::tcp(name, &module.wat())));
            }
        }
    }
    for place in ["downstream_data", "upstream_data"] {
        let buffer = if place == "downstream_data" { 2 } else { 3 };
        for (number, range) in (1..).zip(CHANGES) {
            for action in [0, 1] {
                let body = probe(&format!("$proxy_set_buffer_bytes #{buffer} {range}"), &[]);
                let body = format!("{body} (return #{action})");
                let module = Module::new().on(&callback(place), &body);
                let name = format!("tcp_set_buffer_bytes.{place}.{number}.{action}");
                scenarios.push(whole(Scenario::tcp(name, &module.wat())));
            }
        }
    }
    scenarios
}

/// Changes of a buffer: start, size, and bytes.
const CHANGES: [&str; 11] = [
    "#0 #0 @\"new\"",
    "#0 #1 @\"new\"",
    "#0 #100 @\"new\"",
    "#0 #-1 @\"\"",
    "#1 #0 @\"new\"",
    "#1 #1 @\"new\"",
    "#2 #100 @\"new\"",
    "#3 #0 @\"new\"",
    "#100 #0 @\"new\"",
    "#-1 #-1 @\"new\"",
    "#0 #3 #0x7fffffff #1",
];

fn callback(place: &str) -> String {
    format!("proxy_on_{place}")
}

/// Runs the body only for connections: plugins have some of the callbacks, too.
fn in_stream(place: &str, body: &str) -> String {
    match place {
        "context_create" => format!("(if (local.get $parent_context_id) (then {body}))"),
        "done" | "delete" => format!("(if (i32.ne (local.get $context_id) #1) (then {body}))"),
        _ => body.to_owned(),
    }
}

type Calls = Vec<(String, Vec<Out>)>;

/// Host calls that read, and what they read.
fn reading() -> Vec<(&'static str, Calls)> {
    let calls = |name: &str, arguments: Vec<String>, outs: &[Out]| {
        let arguments = arguments.into_iter();
        arguments
            .map(|arguments| (format!("$proxy_{name} {arguments}"), outs.to_vec()))
            .collect::<Vec<_>>()
    };
    let ranges = [
        "#0 #0 @out",
        "#0 #2 @out",
        "#1 #100 @out",
        "#100 #1 @out",
        "#0 #-1 @out",
        "#-1 #-1 @out",
    ];
    let maps = [0, 1, 2, 3];
    let mut changes = calls("add_header_map_value", each(maps, &["@\"a\" @\"b\""]), &[]);
    changes.extend(calls(
        "replace_header_map_value",
        each(maps, &["@\"a\" @\"b\""]),
        &[],
    ));
    changes.extend(calls(
        "remove_header_map_value",
        each(maps, &["@\"a\""]),
        &[],
    ));
    changes.extend(calls(
        "set_header_map_pairs",
        each(maps, &[format!("@\"{}\"", pairs(&[("a", "b")]))]),
        &[],
    ));
    let mut maps_read = calls(
        "get_header_map_value",
        each(0..8, &["@\"a\" @out"]),
        &[VALUE],
    );
    maps_read.extend(calls(
        "get_header_map_pairs",
        each(0..8, &["@out"]),
        &[VALUE],
    ));
    maps_read.extend(calls("get_header_map_size", each(0..8, &["#8"]), &[NUMBER]));
    let mut buffers = calls("get_buffer_bytes", each([2, 3], &ranges), &[VALUE]);
    buffers.extend(calls(
        "get_buffer_bytes",
        each([0, 1, 4, 5, 6, 7], &["#0 #100 @out"]),
        &[VALUE],
    ));
    buffers.extend(calls(
        "get_buffer_status",
        each(0..8, &["#8 #12"]),
        &[NUMBER, Out::Number(12)],
    ));
    let local = "#403 @\"details\" @\"denied\" #0 #0 #-1";
    let mut others = calls("send_local_response", strings(&[local, local]), &[]);
    others.extend(calls("get_status", strings(&["#8 @out"]), &[NUMBER, VALUE]));
    others.extend(calls("done", strings(&[""]), &[]));
    others.extend(calls(
        "set_property",
        strings(&["@\"mine\" @\"value\""]),
        &[],
    ));
    let properties = PROPERTIES.map(|path| format!("@\"{}\" @out", path.replace('.', "\\0")));
    others.extend(calls("get_property", properties.to_vec(), &[VALUE]));
    vec![
        ("buffers", buffers),
        ("maps", maps_read),
        ("changes", changes),
        ("others", others),
    ]
}

/// Properties that are the same in each run.
const PROPERTIES: [&str; 64] = [
    "request.duration",
    "response.backend_latency",
    "mine",
    "plugin_name",
    "plugin_root_id",
    "plugin_vm_id",
    "xds",
    "xds.node.id",
    "xds.cluster_name",
    "xds.cluster_metadata",
    "xds.route_name",
    "xds.route_metadata",
    "xds.virtual_host_name",
    "xds.virtual_host_metadata",
    "xds.filter_chain_name",
    "xds.listener_direction",
    "xds.listener_metadata",
    "xds.upstream_host_metadata",
    "xds.upstream_host_locality_metadata",
    "request",
    "request.path",
    "request.url_path",
    "request.query",
    "request.host",
    "request.scheme",
    "request.method",
    "request.referer",
    "request.useragent",
    "request.id",
    "request.headers",
    "request.headers.a",
    "request.protocol",
    "request.size",
    "request.total_size",
    "response",
    "response.code",
    "response.code_details",
    "response.grpc_status",
    "response.flags",
    "response.headers",
    "response.headers.a",
    "response.trailers",
    "response.size",
    "response.total_size",
    "source",
    "destination",
    "connection",
    "connection.mtls",
    "connection.requested_server_name",
    "connection.tls_version",
    "connection.termination_details",
    "connection.transport_failure_reason",
    "upstream",
    "upstream.transport_failure_reason",
    "upstream.locality",
    "upstream.num_endpoints",
    "upstream.request_attempt_count",
    "upstream.tls_version",
    "metadata",
    "metadata.filter_metadata",
    "filter_state",
    "filter_state.wasm.mine",
    "upstream_filter_state",
    "unknown",
];

/// The client ends first.
fn whole(scenario: Scenario) -> Scenario {
    scenario
        .connect()
        .send(Client, "one")
        .send(Upstream, "two")
        .send(Client, "three")
        .end(Client)
        .send(Upstream, "four")
        .end(Upstream)
}

fn upstream_ends_first(scenario: Scenario) -> Scenario {
    scenario
        .connect()
        .send(Upstream, "one")
        .send(Client, "two")
        .send(Upstream, "three")
        .end(Upstream)
        .send(Client, "four")
        .end(Client)
}
