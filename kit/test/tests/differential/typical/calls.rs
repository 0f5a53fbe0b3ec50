//! Extensions that call a service before a request or a response continues.

use crate::messages::{Reaction, Reply, Request};
use crate::module::{Module, Out, call_headers, probe};
use crate::scenario::Scenario;

pub fn scenarios() -> Vec<Scenario> {
    let denies = Reply::new(403).field("x-reason", "no").body("denied");
    let mut scenarios = vec![
        get("auth.allowed", &auth("service", 5000)),
        post("auth.allowed_with_body", &auth("service", 5000)),
        post("auth.allowed_with_body.stop", &auth("service", 5000)).stops_iteration(),
        get("auth.denied", &auth("service", 5000)).service("/auth", denies.clone()),
        post("auth.denied_with_body", &auth("service", 5000)).service("/auth", denies.clone()),
        with_unresponsive_service("auth.times_out", &auth("service", 50))
            .wait(50, "proxy_on_http_call_response"),
        with_unresponsive_service("auth.client_leaves", &auth("service", 5000)).disconnect(),
        with_unresponsive_service("auth.never", &auth("service", 5000)),
        get("auth.service_resets", &auth("service", 5000)).service("/auth", Reaction::Reset),
        get("auth.service_is_cut_off", &auth("service", 5000))
            .service("/auth", Reply::new(200).body("begin").cut_off()),
        get("auth.dead_cluster", &auth("dead", 5000)).wait(0, "proxy_on_http_call_response"),
        get("auth.empty_cluster", &auth("empty", 5000)),
        get("auth.missing_cluster", &auth("missing", 5000)),
        get("auth.response_without_body", &auth("service", 5000)).service("/auth", Reply::new(204)),
        get("auth.response_with_trailers", &auth("service", 5000)).service(
            "/auth",
            Reply::new(200)
                .body("one")
                .body("two")
                .trailer("x-trailer", "value"),
        ),
        get("auth.two_requests", &auth("service", 5000)).request(Request::get()),
        get("calls.response", &on_response()),
        get("calls.in_sequence", &in_sequence())
            .service("/one", Reply::new(200).field("x-next", "/two"))
            .service("/two", Reply::new(201)),
        get("calls.in_parallel", &in_parallel()),
        post("calls.from_body", &from_body()),
        post("calls.from_body.stop", &from_body()).stops_iteration(),
        post("calls.from_body.denied", &from_body()).service("/auth", denies.clone()),
        get("calls.without_stream", &without_stream()),
        get(
            "calls.local_response_of_tick",
            &continued_by_tick(
                "(drop (call $proxy_send_local_response #503 @\"\" @\"tick\" #0 #0 #-1))",
            ),
        )
        .wait(20, "ticked"),
        get(
            "calls.continued_by_tick",
            &continued_by_tick("(drop (call $proxy_continue_stream #0))"),
        )
        .wait(20, "ticked"),
        get("calls.from_tick", &from_tick()).wait(20, "proxy_on_http_call_response"),
        get(
            "calls.closed_by_tick",
            &continued_by_tick("(drop (call $proxy_close_stream #0))"),
        )
        .wait(20, "ticked"),
    ];
    for status in [200, 403] {
        scenarios.push(
            Scenario::new(format!("auth.head.{status}"), &auth("service", 5000).wat())
                .service("/auth", Reply::new(status))
                .request(Request::new("HEAD", "/")),
        );
    }
    scenarios
}

fn get(name: &str, module: &Module) -> Scenario {
    Scenario::new(name, &module.wat()).request(Request::get())
}

fn post(name: &str, module: &Module) -> Scenario {
    Scenario::new(name, &module.wat()).request(Request::post(&["request ", "body"]))
}

fn with_unresponsive_service(name: &str, module: &Module) -> Scenario {
    get(name, module).service("/auth", Reaction::Silence)
}

/// Continues a request if a service responds with 200, and denies it otherwise.
fn auth(cluster: &str, timeout: u32) -> Module {
    holding()
        .on(
            "proxy_on_request_headers",
            &format!(
                "(global.set $stream (local.get $stream_context_id))
                 {}
                 (if (global.get $status) (then
                   (drop (call $proxy_send_local_response #500 @\"\" @\"no call\" #0 #0 #-1))))
                 (return #1)",
                call(cluster, "/auth", timeout)
            ),
        )
        .on("proxy_on_http_call_response", DECIDE)
}

/// Shows the response to a call, and continues or denies the request.
const DECIDE: &str = "(call $show_call_response)
    (drop (call $proxy_set_effective_context (global.get $stream)))
    (if (i32.and (i32.eqz (global.get $status)) (i32.eq (i32.load8_u (i32.load #0)) #50))
      (then (drop (call $proxy_add_header_map_value #0 @\"x-user\" @\"me\"))
        (drop (call $proxy_continue_stream #0)))
      (else (drop (call $proxy_send_local_response #401 @\"denied\" @\"go away\" #0 #0 #-1))))";

/// A module that can hold a stream, and show the response to a call.
fn holding() -> Module {
    let value = [Out::Bytes(0, 4)];
    let show = [
        probe(
            "$proxy_get_status #8 @out",
            &[Out::Number(8), Out::Bytes(0, 4)],
        ),
        probe("$proxy_get_buffer_bytes #4 #0 #100 @out", &value),
        probe("$proxy_get_header_map_value #7 @\"x-trailer\" @out", &value),
        probe("$proxy_get_header_map_value #6 @\"x-reason\" @out", &value),
        probe("$proxy_get_header_map_value #6 @\":status\" @out", &value),
    ]
    .concat();
    Module::new()
        .with("(global $stream (mut i32) (i32.const 0))")
        .with(&format!("(func $show_call_response {show})"))
}

fn call(cluster: &str, path: &str, timeout: u32) -> String {
    let headers = call_headers(path);
    probe(
        &format!("$proxy_http_call @\"{cluster}\" {headers} #0 #0 #0 #0 #{timeout} #8"),
        &[],
    )
}

fn on_response() -> Module {
    holding()
        .on(
            "proxy_on_response_headers",
            &format!(
                "(global.set $stream (local.get $stream_context_id)) {} (return #1)",
                call("service", "/", 5000)
            ),
        )
        .on(
            "proxy_on_http_call_response",
            "(drop (call $proxy_set_effective_context (global.get $stream)))
             (drop (call $proxy_add_header_map_value #2 @\"x-new\" @\"value\"))
             (drop (call $proxy_continue_stream #1))",
        )
}

/// The second call needs the response to the first.
fn in_sequence() -> Module {
    holding()
        .with("(global $has_called (mut i32) (i32.const 0))")
        .on(
            "proxy_on_request_headers",
            &format!(
                "(global.set $stream (local.get $stream_context_id)) {} (return #1)",
                call("service", "/one", 5000)
            ),
        )
        .on(
            "proxy_on_http_call_response",
            &format!(
                "(call $show_call_response)
                 (if (global.get $has_called)
                   (then (drop (call $proxy_set_effective_context (global.get $stream)))
                     (drop (call $proxy_continue_stream #0)))
                   (else (global.set $has_called #1)
                     {}
                     {}))",
                probe(
                    "$proxy_get_header_map_value #6 @\"x-next\" @out",
                    &[Out::Bytes(0, 4)]
                ),
                call("service", "/two", 5000)
            ),
        )
}

fn in_parallel() -> Module {
    holding()
        .with("(global $responses (mut i32) (i32.const 0))")
        .on(
            "proxy_on_request_headers",
            &format!(
                "(global.set $stream (local.get $stream_context_id)) {} {} (return #1)",
                call("service", "/one", 5000),
                call("service", "/two", 5000)
            ),
        )
        .on(
            "proxy_on_http_call_response",
            "(global.set $responses (i32.add (global.get $responses) #1))
             (if (i32.eq (global.get $responses) #2)
               (then (drop (call $proxy_set_effective_context (global.get $stream)))
                 (drop (call $proxy_continue_stream #0))))",
        )
}

/// Decides about a request after it has seen the whole body.
fn from_body() -> Module {
    holding()
        .on("proxy_on_request_headers", "(return #1)")
        .on(
            "proxy_on_request_body",
            &format!(
                "(global.set $stream (local.get $stream_context_id))
                 (if (local.get $end_of_stream) (then {} {}))
                 (return #1)",
                probe(
                    "$proxy_get_buffer_bytes #0 #0 #100 @out",
                    &[Out::Bytes(0, 4)]
                ),
                call("service", "/auth", 5000)
            ),
        )
        .on("proxy_on_http_call_response", DECIDE)
}

/// A call whose response arrives after the stream has ended.
fn without_stream() -> Module {
    holding()
        .on("proxy_on_log", &call("service", "/", 5000))
        .on("proxy_on_http_call_response", "(call $show_call_response)")
}

/// A request that waits for the next tick.
fn continued_by_tick(action: &str) -> Module {
    holding()
        .on(
            "proxy_on_request_headers",
            "(global.set $stream (local.get $stream_context_id))
             (drop (call $proxy_set_tick_period_milliseconds #20))
             (return #1)",
        )
        .on(
            "proxy_on_tick",
            &format!(
                "(drop (call $proxy_set_tick_period_milliseconds #0))
                 (drop (call $proxy_set_effective_context (global.get $stream)))
                 {action} (call $say @\"ticked\")"
            ),
        )
}

/// A request that waits for the response to a call that the next tick makes.
fn from_tick() -> Module {
    let call = call("service", "/auth", 5000);
    holding()
        .on(
            "proxy_on_request_headers",
            "(global.set $stream (local.get $stream_context_id))
             (drop (call $proxy_set_tick_period_milliseconds #20))
             (return #1)",
        )
        .on(
            "proxy_on_tick",
            &format!("(drop (call $proxy_set_tick_period_milliseconds #0)) {call}"),
        )
        .on("proxy_on_http_call_response", DECIDE)
}
