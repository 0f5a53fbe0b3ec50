//! The host calls, with arguments within their limits, at them and beyond.

use std::fmt::Display;

use crate::module::{Out, call_headers, pairs};
use crate::scenario::ID;

use super::places::{PLACES, Place};
use super::{Group, Probe};

/// An address without memory.
const BAD: &str = "#0x7fffffff";
const VALUE: Out = Out::Bytes(0, 4);
const NUMBER: Out = Out::Number(8);

const BODIES: &[&str] = &["request_body", "response_body"];
const STREAM: &[&str] = &[
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
];
/// The callbacks of streams. Those of plugins run in Envoy's main thread as well, which has a VM of its
/// own, and share data with it.
const ONLY_IN_WORKER: &[&str] = &[
    "create_stream",
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
    "call_response",
    "queue_ready",
    "log",
    "done_stream",
    "delete_stream",
];

/// Host calls of which one follows another, in all callbacks.
fn reading(name: &'static str, outs: &[Out], arguments: impl IntoIterator<Item = String>) -> Group {
    Group {
        name: name.to_owned(),
        is_single: false,
        places: PLACES.to_vec(),
        probes: probes(name, outs, arguments),
    }
}

/// Host calls of which each has a scenario of its own.
fn changing(
    name: &'static str,
    places: &[&str],
    outs: &[Out],
    arguments: impl IntoIterator<Item = String>,
) -> Group {
    Group {
        name: name.to_owned(),
        is_single: true,
        places: Place::named(places),
        probes: probes(name, outs, arguments),
    }
}

/// Calls that belong together, in each of these callbacks.
fn sequence(name: &'static str, places: &[&str], calls: &[(&str, &[Out])]) -> Group {
    let calls = calls
        .iter()
        .map(|(call, outs)| ((*call).to_owned(), outs.to_vec()));
    Group {
        name: name.to_owned(),
        is_single: false,
        places: Place::named(places),
        probes: vec![Probe {
            calls: calls.collect(),
        }],
    }
}

fn probes(name: &str, outs: &[Out], calls: impl IntoIterator<Item = String>) -> Vec<Probe> {
    let calls = calls.into_iter();
    calls
        .map(|arguments| Probe {
            calls: vec![(format!("$proxy_{name} {arguments}"), outs.to_vec())],
        })
        .collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Each of the first with each of the second.
fn each<A: Display, B: Display>(first: impl IntoIterator<Item = A>, second: &[B]) -> Vec<String> {
    let first = first.into_iter();
    first
        .flat_map(|first| {
            second
                .iter()
                .map(move |second| format!("#{first} {second}"))
        })
        .collect()
}

pub fn groups() -> Vec<Group> {
    let mut groups = reading_groups();
    groups.extend(stream_groups());
    groups.extend(map_groups());
    groups.extend(call_groups());
    groups.extend(state_groups());
    groups
}

fn reading_groups() -> Vec<Group> {
    const MAPS: [i32; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, -1];
    let mut buffer_status = each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, -1], &["#8 #12"]);
    buffer_status.extend(each([7], &[format!("{BAD} #12"), format!("#8 {BAD}")]));
    let ranges = [
        "#0 #0 @out",
        "#0 #5 @out",
        "#1 #2 @out",
        "#3 #100 @out",
        "#100 #1 @out",
        "#5 #0 @out",
        "#0 #-1 @out",
        "#1 #-1 @out",
        "#-1 #1 @out",
        "#-1 #-1 @out",
        "#0 #0x7fffffff @out",
    ];
    let mut buffer_bytes = each([0, 1, 4, 6, 7], &ranges);
    let others = ["#0 #0 @out", "#0 #5 @out", "#1 #-1 @out"];
    buffer_bytes.extend(each([2, 3, 5, 8, 9, 100, -1], &others));
    buffer_bytes.extend(each(
        [7],
        &[format!("#0 #5 {BAD} #4"), format!("#0 #5 #0 {BAD}")],
    ));
    let mut map_size = each(MAPS, &["#8"]);
    map_size.extend(each([0], &[BAD]));
    // Responses to calls contain times.
    let mut map_pairs = each(
        MAPS.into_iter().filter(|map| ![4, 6].contains(map)),
        &["@out"],
    );
    map_pairs.extend(each([0], &[format!("{BAD} #4"), format!("#0 {BAD}")]));
    let names = [
        "@\"name\" @out",
        "@\"NAME\" @out",
        "@\"none\" @out",
        "@\"\" @out",
        "@\"trailer\" @out",
        "@\":path\" @out",
        "@\":status\" @out",
        "@\"host\" @out",
        "@\":authority\" @out",
    ];
    let mut map_value = each([0, 1, 2, 3, 6, 7], &names);
    map_value.extend(each([4, 5, 8, 100, -1], &["@\"name\" @out"]));
    map_value.extend(each(
        [0],
        &[
            format!("{BAD} #4 @out"),
            format!("@\"name\" {BAD} #4"),
            format!("@\"name\" #0 {BAD}"),
        ],
    ));
    let log = [0, 1, 2, 3, 4, 5, 6, 100, -1];
    let mut log = each(log, &["@\"text\""]);
    log.extend(each(
        [2],
        &[
            "@\"\"",
            "#0x7fffffff #1",
            "#0 #-1",
            "#131072 #0",
            "#131072 #1",
        ],
    ));
    vec![
        reading("get_log_level", &[NUMBER], strings(&["#8", BAD])),
        reading("get_current_time_nanoseconds", &[], strings(&["#8", BAD])),
        reading(
            "get_buffer_status",
            &[NUMBER, Out::Number(12)],
            buffer_status,
        ),
        reading("get_buffer_bytes", &[VALUE], buffer_bytes),
        reading("get_header_map_size", &[NUMBER], map_size),
        reading("get_header_map_pairs", &[VALUE], map_pairs),
        reading("get_header_map_value", &[VALUE], map_value),
        reading(
            "get_status",
            &[NUMBER, VALUE],
            vec![
                "#8 @out".to_owned(),
                format!("{BAD} @out"),
                format!("#8 {BAD} #4"),
                format!("#8 #0 {BAD}"),
            ],
        ),
        reading("log", &[], log),
        reading("done", &[], strings(&[""])),
        reading(
            "set_tick_period_milliseconds",
            &[],
            strings(&["#1000000", "#-1", "#0"]),
        ),
    ]
}

fn stream_groups() -> Vec<Group> {
    let ranges = [
        "#0 #0 @\"new\"",
        "#0 #1 @\"new\"",
        "#0 #100 @\"new\"",
        "#0 #-1 @\"new\"",
        "#1 #0 @\"new\"",
        "#1 #1 @\"new\"",
        "#1 #-1 @\"new\"",
        "#100 #0 @\"new\"",
        "#-1 #0 @\"new\"",
        "#-1 #-1 @\"new\"",
        "#0 #100 @\"\"",
        "#0 #0 @\"\"",
        "#0 #8 @\"new\"",
        "#8 #0 @\"new\"",
        "#9 #0 @\"new\"",
        "#0 #9 @\"new\"",
        "#0 #100 @\"something that is longer\"",
        "#0 #0 #0x7fffffff #1",
    ];
    let mut groups = vec![
        changing("set_buffer_bytes", BODIES, &[], each([0, 1], &ranges)),
        reading(
            "set_buffer_bytes",
            &[],
            each(
                [2, 3, 4, 5, 6, 7, 8, 9, 100, -1],
                &["#0 #0 @\"new\"", "#0 #100 @\"new\"", "#1 #1 @\"new\""],
            ),
        ),
        changing(
            "send_local_response",
            STREAM,
            &[],
            vec![
                "#403 @\"details\" @\"denied\" #0 #0 #-1".to_owned(),
                "#200 @\"\" @\"\" #0 #0 #-1".to_owned(),
                "#418 @\"\" @\"\" #0 #0 #7".to_owned(),
                "#0 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#99 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#101 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#600 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#204 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#304 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#65536 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#-1 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                format!(
                    "#403 @\"\" @\"text\" @\"{}\" #-1",
                    pairs(&[("a", "b"), ("content-type", "c/d"), ("content-length", "1")])
                ),
                format!(
                    "#403 @\"\" @\"\" @\"{}\" #-1",
                    pairs(&[(":status", "200"), ("x y", "b"), ("A", "b")])
                ),
                "#403 @\"\" @\"text\" @\"abc\" #-1".to_owned(),
                "#403 #0x7fffffff #1 @\"text\" #0 #0 #-1".to_owned(),
                "#403 @\"\" #0x7fffffff #1 #0 #0 #-1".to_owned(),
                "#403 @\"\" @\"\" #0x7fffffff #1 #-1".to_owned(),
                "#403 @\"a b\\nc\" @\"text\" #0 #0 #16".to_owned(),
            ],
        ),
        changing(
            "send_local_response",
            &[
                "tick",
                "create_stream",
                "call_response",
                "queue_ready",
                "log",
                "done_stream",
                "delete_stream",
                "create_plugin",
                "vm_start",
                "configure",
                "done_plugin",
                "delete_plugin",
            ],
            &[],
            strings(&["#403 @\"details\" @\"denied\" #0 #0 #-1"]),
        ),
        changing(
            "continue_stream",
            STREAM,
            &[],
            strings(&["#0", "#1", "#2", "#3", "#4", "#-1"]),
        ),
        changing(
            "close_stream",
            STREAM,
            &[],
            strings(&["#0", "#1", "#2", "#3", "#4", "#-1"]),
        ),
    ];
    let elsewhere = [
        "create_plugin",
        "vm_start",
        "configure",
        "tick",
        "create_stream",
        "call_response",
        "queue_ready",
        "log",
        "done_stream",
        "delete_stream",
        "done_plugin",
        "delete_plugin",
    ];
    groups.push(changing(
        "continue_stream",
        &elsewhere,
        &[],
        strings(&["#0", "#1", "#2", "#4"]),
    ));
    groups.push(changing(
        "close_stream",
        &elsewhere,
        &[],
        strings(&["#0", "#1", "#2", "#4"]),
    ));
    groups
}

/// A change of a map, and what is in it then.
fn map_groups() -> Vec<Group> {
    let fields = [
        "@\"x-new\" @\"value\"",
        "@\"name\" @\"value\"",
        "@\"X-Upper\" @\"Value\"",
        "@\"\" @\"value\"",
        "@\"x-empty\" @\"\"",
        "@\"x y\" @\"a\\nb\"",
        "@\":path\" @\"/new\"",
        "@\":status\" @\"418\"",
        "@\":new\" @\"value\"",
        "@\"host\" @\"new\"",
        "@\"content-length\" @\"3\"",
        "@\"content-type\" @\"a/b\"",
        "@\"trailer\" @\"value\"",
        "@\"x\" #0x7fffffff #1",
    ];
    let mut groups = Vec::new();
    for (map, place) in [
        (0, "request_headers"),
        (1, "request_trailers"),
        (2, "response_headers"),
        (3, "response_trailers"),
    ] {
        let show = format!("$proxy_get_header_map_pairs #{map} @out");
        let then_show = |call: String| Probe {
            calls: vec![(call, Vec::new()), (show.clone(), vec![VALUE])],
        };
        for verb in ["add", "replace"] {
            let calls = fields
                .iter()
                .map(|field| then_show(format!("$proxy_{verb}_header_map_value #{map} {field}")));
            groups.push(single(
                format!("{verb}_header_map_value"),
                place,
                calls.collect(),
            ));
        }
        let names = [
            "name",
            "none",
            "",
            "NAME",
            ":path",
            ":method",
            ":authority",
            "host",
            ":status",
            "content-length",
            "trailer",
        ];
        let calls = names
            .iter()
            .map(|name| then_show(format!("$proxy_remove_header_map_value #{map} @\"{name}\"")));
        groups.push(single(
            "remove_header_map_value".to_owned(),
            place,
            calls.collect(),
        ));
        let request: &[_] = &[
            (":method", "PUT"),
            (":path", "/new"),
            (":authority", "new"),
            ("B", "2"),
            ("a", "1"),
            ("a", "3"),
        ];
        let maps = [
            String::new(),
            pairs(&[]),
            pairs(&[("a", "b")]),
            pairs(request),
            pairs(&[(":status", "201"), ("b", "1"), ("a", "2"), ("b", "3")]),
            pairs(&[("", "a"), ("b", ""), ("c d", "e\nf")]),
            "abc".to_owned(),
            pairs(&[("a", "b")]) + "more",
            pairs(&[("a", "b")])[..10].to_owned(),
            "\u{7f}\u{7f}\u{7f}\u{7f}".to_owned(),
        ];
        let calls = maps
            .iter()
            .map(|text| then_show(format!("$proxy_set_header_map_pairs #{map} @\"{text}\"")));
        groups.push(single(
            "set_header_map_pairs".to_owned(),
            place,
            calls.collect(),
        ));
    }
    // Everywhere, maps that do not belong there as well.
    let mut everywhere = Vec::new();
    for map in [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, -1] {
        for call in [
            format!("$proxy_add_header_map_value #{map} @\"x\" @\"y\""),
            format!("$proxy_replace_header_map_value #{map} @\"x\" @\"y\""),
            format!("$proxy_remove_header_map_value #{map} @\"none\""),
        ] {
            everywhere.push(Probe {
                calls: vec![(call, Vec::new())],
            });
        }
        if !(0..4).contains(&map) {
            let call = format!(
                "$proxy_set_header_map_pairs #{map} @\"{}\"",
                pairs(&[("a", "b")])
            );
            everywhere.push(Probe {
                calls: vec![(call, Vec::new())],
            });
        }
    }
    groups.push(Group {
        name: "change_header_map".to_owned(),
        is_single: false,
        places: PLACES.to_vec(),
        probes: everywhere,
    });
    groups
}

fn single(name: String, place: &str, probes: Vec<Probe>) -> Group {
    Group {
        name,
        is_single: true,
        places: Place::named(&[place]),
        probes,
    }
}

fn call_groups() -> Vec<Group> {
    let text = |text: &str| format!("@\"{text}\"");
    let good = call_headers("/call");
    let more = text(&pairs(&[
        (":method", "POST"),
        (":path", "/call"),
        (":authority", ID),
        ("a", "1"),
        ("A", "2"),
        ("content-length", "1"),
    ]));
    let without = |name: &str| {
        let all = [(":method", "GET"), (":path", "/call"), (":authority", ID)];
        let fields: Vec<_> = all
            .into_iter()
            .filter(|(other, _)| *other != name)
            .collect();
        text(&pairs(&fields))
    };
    let http_calls = vec![
        format!("@\"service\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"service\" {more} @\"body\" #0 #0 #5000 #8"),
        format!(
            "@\"service\" {good} @\"body\" @\"{}\" #5000 #8",
            pairs(&[("trailer", "call")])
        ),
        format!(
            "@\"service\" {good} @\"\" @\"{}\" #5000 #8",
            pairs(&[("trailer", "call")])
        ),
        format!("@\"missing\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"dead\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"empty\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"service\" {} @\"\" #0 #0 #5000 #8", without(":method")),
        format!("@\"service\" {} @\"\" #0 #0 #5000 #8", without(":path")),
        format!(
            "@\"service\" {} @\"\" #0 #0 #5000 #8",
            without(":authority")
        ),
        "@\"service\" #0 #0 @\"\" #0 #0 #5000 #8".to_owned(),
        format!("@\"service\" {good} @\"\" #0 #0 #0 #8"),
        format!("@\"service\" {good} @\"\" #0 #0 #0x7fffffff #8"),
        format!("@\"service\" {good} @\"\" #0 #0 #0x80000000 #8"),
        format!("@\"service\" {good} @\"\" #0 #0 #-1 #8"),
        format!("@\"service\" {good} @\"\" #0 #0 #5000 {BAD}"),
        format!("@\"service\" {good} #0x7fffffff #1 #0 #0 #5000 #8"),
        "@\"service\" @\"abc\" @\"\" #0 #0 #5000 #8".to_owned(),
        format!("#0x7fffffff #1 {good} @\"\" #0 #0 #5000 #8"),
    ];
    let elsewhere = [
        "create_plugin",
        "vm_start",
        "configure",
        "create_stream",
        "request_body",
        "response_headers",
        "response_trailers",
        "call_response",
        "queue_ready",
        "log",
        "done_stream",
        "delete_stream",
        "done_plugin",
        "delete_plugin",
    ];
    vec![
        changing("http_call", &["request_headers"], &[], http_calls.clone()),
        changing(
            "http_call",
            &elsewhere,
            &[],
            [0, 4, 6]
                .into_iter()
                .filter_map(|index| http_calls.get(index).cloned()),
        ),
    ]
}

fn state_groups() -> Vec<Group> {
    let properties = [
        "",
        "\\0",
        "none",
        "request",
        "response",
        "connection",
        "source",
        "upstream",
        "node",
        "metadata",
        "filter_state",
        "request\\0path",
        "request\\0url_path",
        "request\\0host",
        "request\\0scheme",
        "request\\0method",
        "request\\0headers\\0name",
        "request\\0headers\\0none",
        "request\\0path\\0x",
        "request\\0none",
        "request\\0referer",
        "request\\0useragent",
        "request\\0protocol",
        "request\\0query",
        "request\\0size",
        "request\\0total_size",
        "request\\0path\\0",
        "\\0request\\0path",
        "request.path",
        "response\\0code",
        "response\\0code_details",
        "response\\0flags",
        "response\\0grpc_status",
        "response\\0headers\\0name",
        "response\\0trailers",
        "response\\0size",
        "response\\0total_size",
        "connection\\0mtls",
        "connection\\0requested_server_name",
        "connection\\0tls_version",
        "connection\\0subject_local_certificate",
        "connection\\0termination_details",
        "upstream\\0tls_version",
        "upstream\\0transport_failure_reason",
        "listener_direction",
        "listener_metadata",
        "cluster_name",
        "cluster_metadata",
        "route_name",
        "route_metadata",
        "upstream_host_metadata",
        "plugin_name",
        "plugin_root_id",
        "plugin_vm_id",
        "node\\0id",
        "node\\0cluster",
        "node\\0metadata",
        "node\\0locality",
        "xds\\0cluster_name",
        "xds\\0cluster_metadata",
        "xds\\0route_name",
        "xds\\0route_metadata",
        "xds\\0virtual_host_name",
        "xds\\0virtual_host_metadata",
        "xds\\0upstream_host_metadata",
        "xds\\0filter_chain_name",
        "xds\\0listener_direction",
        "xds\\0listener_metadata",
    ];
    // The entries of a map have no order.
    let present = [
        "request\\0headers",
        "response\\0headers",
        "connection_id",
        "connection\\0id",
        "source\\0address",
        "source\\0port",
        "destination\\0address",
        "destination\\0port",
        "upstream\\0address",
        "upstream\\0port",
        "request\\0time",
        "request\\0duration",
        "response\\0backend_latency",
        "connection\\0transport_failure_reason",
    ];
    let mut get_property = probes(
        "get_property",
        &[VALUE],
        properties.map(|path| format!("@\"{path}\" @out")),
    );
    // Their values differ from run to run.
    get_property.extend(probes(
        "get_property",
        &[],
        present.map(|path| format!("@\"{path}\" @out")),
    ));
    get_property.extend(probes(
        "get_property",
        &[],
        [
            format!("@\"plugin_name\" {BAD} #4"),
            format!("@\"plugin_name\" #0 {BAD}"),
            format!("{BAD} #1 @out"),
        ],
    ));
    let mut foreign = Vec::new();
    let functions = [
        ("none", ""),
        ("", ""),
        ("compress", ""),
        ("uncompress", "text"),
        ("uncompress", ""),
        ("declare_property", ""),
        ("declare_property", "\n\u{1}a"),
        ("set_envoy_filter_state", ""),
        ("set_envoy_filter_state", "\n\u{1}a\u{12}\u{1}b"),
        ("clear_route_cache", ""),
        ("clear_route_cache", "x"),
    ];
    for (name, arguments) in functions {
        let arguments = format!("@\"{name}\" @\"{arguments}\" @out");
        foreign.extend(probes("call_foreign_function", &[VALUE], [arguments]));
    }
    let mut not_provided = Vec::new();
    for name in [
        "expr_create",
        "expr_evaluate",
        "expr_delete",
        "verify_signature",
        "sign",
    ] {
        not_provided.push(format!("@\"{name}\" @\"\" @out"));
    }
    vec![
        Group {
            name: "get_property".to_owned(),
            is_single: false,
            places: PLACES.to_vec(),
            probes: get_property,
        },
        Group {
            name: "call_foreign_function".to_owned(),
            is_single: false,
            places: PLACES.to_vec(),
            probes: foreign,
        },
        changing(
            "call_foreign_function",
            &["configure", "request_headers"],
            &[],
            not_provided,
        ),
        sequence(
            "set_property",
            ONLY_IN_WORKER,
            &[
                ("$proxy_set_property @\"own\" @\"value\"", &[]),
                ("$proxy_get_property @\"own\" @out", &[VALUE]),
                ("$proxy_get_property @\"wasm.own\" @out", &[VALUE]),
                (
                    "$proxy_get_property @\"filter_state\\0wasm.own\" @out",
                    &[VALUE],
                ),
                ("$proxy_set_property @\"own\" @\"other\"", &[]),
                ("$proxy_get_property @\"own\" @out", &[VALUE]),
                ("$proxy_set_property @\"own\\0part\" @\"part\"", &[]),
                ("$proxy_get_property @\"own\\0part\" @out", &[VALUE]),
                ("$proxy_set_property @\"\" @\"value\"", &[]),
                ("$proxy_get_property @\"\" @out", &[VALUE]),
                ("$proxy_set_property @\"request\\0path\" @\"/new\"", &[]),
                ("$proxy_get_property @\"request\\0path\" @out", &[VALUE]),
                ("$proxy_set_property #0x7fffffff #1 @\"value\"", &[]),
                ("$proxy_set_property @\"own\" #0x7fffffff #1", &[]),
            ],
        ),
        sequence(
            "shared_data",
            ONLY_IN_WORKER,
            &[
                ("$proxy_get_shared_data @\"key\" @out #8", &[VALUE]),
                ("$proxy_set_shared_data @\"key\" @\"one\" #7", &[]),
                ("$proxy_set_shared_data @\"key\" @\"one\" #0", &[]),
                ("$proxy_get_shared_data @\"key\" @out #8", &[VALUE]),
                ("$proxy_set_shared_data @\"key\" @\"two\" #0x7fffffff", &[]),
                ("$proxy_get_shared_data @\"key\" @out #8", &[VALUE]),
                ("$proxy_set_shared_data @\"key\" @\"two\" #0", &[]),
                ("$proxy_get_shared_data @\"key\" @out #8", &[VALUE]),
                ("$proxy_set_shared_data @\"key\" @\"\" #0", &[]),
                ("$proxy_get_shared_data @\"key\" @out #8", &[VALUE]),
                ("$proxy_set_shared_data @\"\" @\"empty\" #0", &[]),
                ("$proxy_get_shared_data @\"\" @out #8", &[VALUE]),
                ("$proxy_set_shared_data #0x7fffffff #1 @\"value\" #0", &[]),
                ("$proxy_set_shared_data @\"key\" #0x7fffffff #1 #0", &[]),
                ("$proxy_get_shared_data @\"key\" #0x7fffffff #4 #8", &[]),
                ("$proxy_get_shared_data @\"key\" @out #0x7fffffff", &[]),
            ],
        ),
        sequence(
            "queue",
            ONLY_IN_WORKER,
            &[
                ("$proxy_resolve_shared_queue @\"\" @\"other\" #16", &[]),
                ("$proxy_register_shared_queue @\"other\" #16", &[]),
                ("$proxy_register_shared_queue @\"other\" #16", &[]),
                ("$proxy_resolve_shared_queue @\"\" @\"other\" #16", &[]),
                ("$proxy_resolve_shared_queue @\"none\" @\"other\" #16", &[]),
                (
                    "$proxy_dequeue_shared_queue (global.get $kept) @out",
                    &[VALUE],
                ),
                ("$proxy_enqueue_shared_queue #-1 @\"item\"", &[]),
                ("$proxy_dequeue_shared_queue #-1 @out", &[VALUE]),
                ("$proxy_enqueue_shared_queue #0x7fffff00 @\"item\"", &[]),
                ("$proxy_register_shared_queue @\"\" #16", &[]),
                ("$proxy_register_shared_queue @\"other\" #0x7fffffff", &[]),
                ("$proxy_register_shared_queue #0x7fffffff #1 #16", &[]),
                (
                    "$proxy_resolve_shared_queue @\"\" @\"other\" #0x7fffffff",
                    &[],
                ),
            ],
        ),
        reading("define_metric", &[NUMBER], {
            let name = format!("@\"{ID}_metric\"");
            let mut calls = each([0, 0, 1, 2, 3, -1], &[format!("{name} #8")]);
            calls.push("#0 @\"\" #8".to_owned());
            calls.push(format!("#0 {BAD} #1 #8"));
            calls.push(format!("#0 {name} {BAD}"));
            calls
        }),
        metric("counter", 0),
        metric("gauge", 1),
        metric("histogram", 2),
    ]
}

fn metric(name: &'static str, kind: u32) -> Group {
    let define = format!("$proxy_define_metric #{kind} @\"{ID}_{name}\" #16");
    let mut calls = vec![(define, Vec::new())];
    for (call, outs) in [
        (
            "$proxy_get_metric (global.get $kept) #24",
            &[Out::Long(24)][..],
        ),
        (
            "$proxy_increment_metric (global.get $kept) (i64.const 5)",
            &[],
        ),
        ("$proxy_get_metric (global.get $kept) #24", &[Out::Long(24)]),
        (
            "$proxy_increment_metric (global.get $kept) (i64.const 0)",
            &[],
        ),
        (
            "$proxy_increment_metric (global.get $kept) (i64.const -2)",
            &[],
        ),
        ("$proxy_get_metric (global.get $kept) #24", &[Out::Long(24)]),
        ("$proxy_record_metric (global.get $kept) (i64.const 7)", &[]),
        ("$proxy_get_metric (global.get $kept) #24", &[Out::Long(24)]),
        ("$proxy_record_metric (global.get $kept) (i64.const 0)", &[]),
        ("$proxy_get_metric (global.get $kept) #24", &[Out::Long(24)]),
        (
            "$proxy_record_metric (global.get $kept) (i64.const -1)",
            &[],
        ),
        ("$proxy_get_metric (global.get $kept) #24", &[Out::Long(24)]),
        (
            "$proxy_increment_metric (global.get $kept) (i64.const 2)",
            &[],
        ),
        ("$proxy_get_metric (global.get $kept) #24", &[Out::Long(24)]),
        ("$proxy_get_metric (global.get $kept) #0x7fffffff", &[]),
        ("$proxy_get_metric #44444 #24", &[]),
        ("$proxy_record_metric #44444 (i64.const 1)", &[]),
        ("$proxy_increment_metric #44444 (i64.const 1)", &[]),
        ("$proxy_get_metric #-1 #24", &[]),
    ] {
        calls.push((call.to_owned(), outs.to_vec()));
    }
    Group {
        name: name.to_owned(),
        is_single: false,
        places: Place::named(ONLY_IN_WORKER),
        probes: vec![Probe { calls }],
    }
}
