//! Properties, shared data, queues, metrics and foreign functions.

use crate::module::Out;
use crate::scenario::ID;

use super::groups::{
    BAD, Group, NUMBER, ONLY_IN_WORKER, Probe, VALUE, changing, each, probes, reading, sequence,
};
use super::places::{PLACES, Place};

pub fn groups() -> Vec<Group> {
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
    // Only the status is logged: the entries of a map have no order, and the other values differ from
    // run to run.
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
