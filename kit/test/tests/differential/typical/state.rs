//! Extensions that count, share, configure and log.

use crate::messages::{Reply, Request};
use crate::module::{Module, Out, probe};
use crate::scenario::{ID, Scenario};

const VALUE: &[Out] = &[Out::Bytes(0, 4)];

pub fn scenarios() -> Vec<Scenario> {
    let metric = format!("{ID}_requests");
    let gauge = format!("{ID}_open");
    vec![
        two_requests("metrics.requests", &counting(&metric, &gauge))
            .metric(&metric)
            .metric(&gauge),
        two_requests("shared_data.counts", &shared_counter()),
        two_requests("queues.tasks", &tasks()),
        get("properties.of_request", &properties("proxy_on_request_headers")),
        get("properties.of_response", &properties("proxy_on_response_headers")),
        get("properties.of_log", &properties("proxy_on_log")),
        get("properties.of_plugin", &properties("proxy_on_configure")),
        two_requests("properties.own", &Module::new()
            .on("proxy_on_request_headers", &(get_property("own") + &probe("$proxy_set_property @\"own\" @\"value\"", &[])))
            .on("proxy_on_response_headers", &get_property("own"))
            .on("proxy_on_log", &get_property("own"))),
        get("logging.access_log", &access_log()),
        get("logging.levels", &Module::new().on("proxy_on_request_headers", &(0..6).map(|level| format!("(drop (call $proxy_log #{level} @\"level {level}\"))")).collect::<String>())),
        get("logging.lines", &Module::new().on("proxy_on_request_headers", "(call $say @\"two\\nlines\") (call $say @\"\") (call $say @\"a: b\")")),
        get("logging.not_utf8", &Module::new().on("proxy_on_request_headers", "(i32.store8 #8 #255) (call $say #8 #1)")),
        get("logging.standard_output", &Module::new().on("proxy_on_request_headers",
            "(call $vector @\"out\\n\") (drop (call $wasi_fd_write #1 #128 #1 #8))
             (call $vector @\"error\\nmore\\n\") (drop (call $wasi_fd_write #2 #128 #1 #8))
             (call $vector @\"no end\") (drop (call $wasi_fd_write #1 #128 #1 #8))")),
        get("configuration.read", &read_configuration()).configuration(Some("{\"a\": 1}")),
        get("configuration.none", &read_configuration()).configuration(None),
        get("configuration.empty", &read_configuration()).configuration(Some("")),
        get("configuration.rejected", &Module::new().on("proxy_on_configure", "(drop (call $proxy_log #4 @\"no\")) (return #0)")),
        get("configuration.vm_rejected", &Module::new().on("proxy_on_vm_start", "(drop (call $proxy_log #4 @\"no\")) (return #0)")),
        get("configuration.vm", &read_configuration()).vm_configuration("vm"),
        get("time.now", &Module::new().on("proxy_on_request_headers",
            "(drop (call $proxy_get_current_time_nanoseconds #8))
             (call $decimal (i64.div_u (i64.load #8) (i64.const 1000000000000000))) (call $end_line)")),
        get("random.numbers", &Module::new().on("proxy_on_request_headers", "(drop (call $wasi_random_get #8 #8)) (call $decimal (i64.load #8)) (call $end_line)")),
        get("foreign.filter_state", &Module::new().on("proxy_on_request_headers",
            &(probe("$proxy_call_foreign_function @\"set_envoy_filter_state\" @\"\\n\u{1}a\u{12}\u{1}b\" @out", VALUE)
                + &get_property("filter_state\\0a")))),
        get("foreign.declared_property", &Module::new()
            .on("proxy_on_configure", &probe("$proxy_call_foreign_function @\"declare_property\" @\"\\n\u{3}own\" @out", VALUE))
            .on("proxy_on_request_headers", &(probe("$proxy_set_property @\"own\" @\"value\"", &[]) + &get_property("own")))),
        get("foreign.compress", &Module::new().on("proxy_on_request_headers",
            &(probe("$proxy_call_foreign_function @\"compress\" @\"text text text\" @out", &[])
                + "(global.set $size (i32.load #4)) (memory.copy #9000 (i32.load #0) (i32.load #4))"
                + &probe("$proxy_call_foreign_function @\"uncompress\" #9000 (global.get $size) @out", VALUE)))
            .with("(global $size (mut i32) (i32.const 0))")),
        get("foreign.expression", &Module::new().on("proxy_on_request_headers",
            &(probe("$proxy_call_foreign_function @\"expr_create\" @\"request.method\" @out", &[])
                + "(i32.store #9000 (i32.load (i32.load #0)))"
                + &probe("$proxy_call_foreign_function @\"expr_evaluate\" #9000 #4 @out", VALUE)
                + &probe("$proxy_call_foreign_function @\"expr_delete\" #9000 #4 @out", &[])
                + &probe("$proxy_call_foreign_function @\"expr_evaluate\" #9000 #4 @out", VALUE)))),
        get("foreign.route_cache", &Module::new().on("proxy_on_request_headers",
            &probe("$proxy_call_foreign_function @\"clear_route_cache\" @\"\" @out", VALUE))),
    ]
}

fn get(name: &str, module: &Module) -> Scenario {
    Scenario::new(name, &module.wat())
        .upstream(Reply::hello().field("name", "response"))
        .request(
            Request::new("GET", "/items?a=b")
                .field("name", "request")
                .field("user-agent", "agent"),
        )
}

fn two_requests(name: &str, module: &Module) -> Scenario {
    get(name, module).request(Request::post(&["body"]))
}

fn counting(counter: &str, gauge: &str) -> Module {
    Module::new()
        .with("(global $counter (mut i32) (i32.const 0)) (global $gauge (mut i32) (i32.const 0))")
        .on(
            "proxy_on_configure",
            &format!(
                "(drop (call $proxy_define_metric #0 @\"{counter}\" #8)) (global.set $counter (i32.load #8))
                 (drop (call $proxy_define_metric #1 @\"{gauge}\" #8)) (global.set $gauge (i32.load #8))"
            ),
        )
        .on(
            "proxy_on_request_headers",
            "(drop (call $proxy_increment_metric (global.get $counter) (i64.const 1)))
             (drop (call $proxy_increment_metric (global.get $gauge) (i64.const 3)))",
        )
        .on(
            "proxy_on_log",
            &("(drop (call $proxy_increment_metric (global.get $gauge) (i64.const -1)))".to_owned()
                + &probe("$proxy_get_metric (global.get $counter) #24", &[Out::Long(24)])
                + &probe("$proxy_get_metric (global.get $gauge) #24", &[Out::Long(24)])),
        )
}

/// Counts requests with optimistic updates.
fn shared_counter() -> Module {
    Module::new().on(
        "proxy_on_request_headers",
        &(probe("$proxy_get_shared_data @\"count\" @out #8", VALUE)
            + "(if (global.get $status)
                (then (drop (call $proxy_set_shared_data @\"count\" @\"a\" #0)))
                (else (i32.store8 (i32.load #0) (i32.add #1 (i32.load8_u (i32.load #0))))
                  (drop (call $proxy_set_shared_data @\"count\" (i32.load #0) #1 (i32.load #8)))))"
            + &probe("$proxy_get_shared_data @\"count\" @out #8", VALUE)),
    )
}

/// Puts a task into a queue for each request.
fn tasks() -> Module {
    Module::new()
        .on(
            "proxy_on_configure",
            "(drop (call $proxy_register_shared_queue @\"tasks\" #16)) (call $keep)",
        )
        .on(
            "proxy_on_request_headers",
            &(probe(
                "$proxy_enqueue_shared_queue (global.get $kept) @\"one\"",
                &[],
            ) + &probe(
                "$proxy_enqueue_shared_queue (global.get $kept) @\"two\"",
                &[],
            )),
        )
        .on(
            "proxy_on_queue_ready",
            &probe("$proxy_dequeue_shared_queue (global.get $kept) @out", VALUE),
        )
        .on(
            "proxy_on_log",
            &(probe("$proxy_dequeue_shared_queue (global.get $kept) @out", VALUE)),
        )
}

fn get_property(path: &str) -> String {
    probe(&format!("$proxy_get_property @\"{path}\" @out"), VALUE)
}

fn properties(callback: &str) -> Module {
    let paths = [
        "plugin_name",
        "plugin_root_id",
        "plugin_vm_id",
        "request\\0path",
        "request\\0url_path",
        "request\\0query",
        "request\\0host",
        "request\\0method",
        "request\\0protocol",
        "request\\0scheme",
        "request\\0useragent",
        "request\\0headers\\0name",
        "response\\0code",
        "response\\0headers\\0name",
        "cluster_name",
        "route_name",
        "xds\\0cluster_name",
        "xds\\0route_name",
        "xds\\0virtual_host_name",
        "node\\0id",
    ];
    Module::new().on(callback, &paths.map(get_property).concat())
}

/// What an access log would contain.
fn access_log() -> Module {
    Module::new().on(
        "proxy_on_log",
        &(probe("$proxy_get_header_map_value #0 @\":path\" @out", VALUE)
            + &probe("$proxy_get_header_map_value #0 @\"name\" @out", VALUE)
            + &probe("$proxy_get_header_map_value #2 @\":status\" @out", VALUE)
            + &probe("$proxy_get_header_map_value #2 @\"name\" @out", VALUE)
            + &probe("$proxy_get_buffer_bytes #1 #0 #10 @out", VALUE)
            + &get_property("response\\0code")
            + &get_property("response\\0code_details")
            + &get_property("response\\0flags")),
    )
}

fn read_configuration() -> Module {
    Module::new()
        .on(
            "proxy_on_vm_start",
            &probe(
                "$proxy_get_buffer_bytes #6 #0 (local.get $vm_configuration_size) @out",
                VALUE,
            ),
        )
        .on(
            "proxy_on_configure",
            &probe(
                "$proxy_get_buffer_bytes #7 #0 (local.get $plugin_configuration_size) @out",
                VALUE,
            ),
        )
        .on(
            "proxy_on_request_headers",
            &(probe("$proxy_get_buffer_bytes #7 #0 #10 @out", VALUE)
                + &probe("$proxy_get_buffer_bytes #6 #0 #10 @out", VALUE)),
        )
}
