//! Extensions that call a gRPC service.

use crate::messages::{Reaction, Reply, Request};
use crate::module::{Module, Out, pairs, probe};
use crate::scenario::{CALLER, ID, Scenario};

const VALUE: &[Out] = &[Out::Bytes(0, 4)];

pub fn scenarios() -> Vec<Scenario> {
    let call = |cluster: &str, timeout: u32| {
        format!(
            "$proxy_grpc_call @\"{cluster}\" @\"a.B\" @\"C\" {} @\"request\" #{timeout} #8",
            metadata()
        )
    };
    let asking = |timeout: u32| holding(&probe(&call("grpc", timeout), &[Out::Number(8)]));
    let reply = |name: &str, reply: Reply| get(name, &asking(5000)).service("/a.B/C", reply);
    let streaming = |more: &str| {
        holding(&(probe(&stream(), &[Out::Number(8)]) + "(global.set $id (i32.load #8))" + more))
    };
    let send = |message: &str, end: u8| {
        probe(
            &format!("$proxy_grpc_send (global.get $id) @\"{message}\" #{end}"),
            &[],
        )
    };
    vec![
        reply("grpc.call", Reply::grpc(&["response"], 0, "")),
        reply("grpc.empty_message", Reply::grpc(&[""], 0, "")),
        reply("grpc.two_messages", Reply::grpc(&["one", "two"], 0, "")),
        reply("grpc.no_message", Reply::grpc(&[], 0, "")),
        reply("grpc.denied", Reply::grpc(&[], 7, "denied")),
        reply(
            "grpc.message_and_error",
            Reply::grpc(&["response"], 13, "broken"),
        ),
        reply("grpc.unknown_status", Reply::grpc(&[], 99, "")),
        reply(
            "grpc.metadata",
            Reply::grpc(&["response"], 0, "")
                .field("x-initial", "value")
                .trailer("x-trailing", "value"),
        ),
        reply("grpc.http_error", Reply::new(503)),
        get("grpc.resets", &asking(5000)).service("/a.B/C", Reaction::Reset),
        get("grpc.times_out", &asking(50))
            .service("/a.B/C", Reaction::Silence)
            .wait(50, "proxy_on_grpc_close"),
        get("grpc.no_timeout", &asking(0)).service("/a.B/C", Reply::grpc(&["response"], 0, "")),
        get(
            "grpc.missing_cluster",
            &holding(&probe(&call("missing", 5000), &[])),
        ),
        get(
            "grpc.dead_cluster",
            &holding(&probe(&call("dead", 5000), &[])),
        )
        .wait(0, "proxy_on_grpc_close"),
        get(
            "grpc.encoded_service",
            &holding(&probe(&call("\\n\u{6}\\n\u{4}grpc", 5000), &[])),
        )
        .service("/a.B/C", Reply::grpc(&["response"], 0, "")),
        get(
            "grpc.cancelled",
            &holding(
                &(probe(&call("grpc", 5000), &[])
                    + "(global.set $id (i32.load #8))"
                    + &probe("$proxy_grpc_cancel (global.get $id)", &[])
                    + &probe("$proxy_grpc_cancel (global.get $id)", &[])),
            ),
        )
        .service("/a.B/C", Reaction::Silence),
        get(
            "grpc.closed_call",
            &holding(
                &(probe(&call("grpc", 5000), &[])
                    + "(global.set $id (i32.load #8))"
                    + &probe("$proxy_grpc_send (global.get $id) @\"more\" #0", &[])
                    + &probe("$proxy_grpc_close (global.get $id)", &[])),
            ),
        )
        .service("/a.B/C", Reaction::Silence),
        get("grpc.client_leaves", &asking(5000))
            .service("/a.B/C", Reaction::Silence)
            .disconnect(),
        get(
            "grpc.stream",
            &streaming(&(send("one", 0) + &send("two", 1))),
        )
        .service(
            "/a.B/Stream",
            Reply::grpc(&["response", "more"], 0, "")
                .field("x-initial", "value")
                .trailer("x-trailing", "value"),
        ),
        get("grpc.stream_denied", &streaming(&send("one", 1)))
            .service("/a.B/Stream", Reply::grpc(&[], 7, "denied")),
        get(
            "grpc.stream_closed",
            &streaming(
                &(send("one", 0)
                    + &probe("$proxy_grpc_close (global.get $id)", &[])
                    + &send("two", 0)),
            ),
        )
        .service("/a.B/Stream", Reply::grpc(&["response"], 0, "")),
        get(
            "grpc.stream_cancelled",
            &streaming(
                &(send("one", 0)
                    + &probe("$proxy_grpc_cancel (global.get $id)", &[])
                    + &send("two", 0)),
            ),
        )
        .service("/a.B/Stream", Reaction::Silence),
        get(
            "grpc.stream_missing_cluster",
            &holding(&probe(
                "$proxy_grpc_stream @\"missing\" @\"a.B\" @\"Stream\" #0 #0 #8",
                &[],
            )),
        ),
        get(
            "grpc.unknown_ids",
            &Module::new().on(
                "proxy_on_request_headers",
                &[1, 2, 3, 77, 78, 79]
                    .iter()
                    .flat_map(|id| {
                        [
                            probe(&format!("$proxy_grpc_send #{id} @\"text\" #0"), &[]),
                            probe(&format!("$proxy_grpc_cancel #{id}"), &[]),
                            probe(&format!("$proxy_grpc_close #{id}"), &[]),
                        ]
                    })
                    .collect::<String>(),
            ),
        ),
    ]
}

fn get(name: &str, module: &Module) -> Scenario {
    Scenario::new(name, &module.wat())
        .grpc()
        .request(Request::get())
}

/// Initial metadata that says which scenario makes the call.
fn metadata() -> String {
    format!("@\"{}\"", pairs(&[(CALLER, ID), ("x-own", "value")]))
}

fn stream() -> String {
    format!(
        "$proxy_grpc_stream @\"grpc\" @\"a.B\" @\"Stream\" {} #8",
        metadata()
    )
}

/// Makes a call and holds the request until the call has ended.
fn holding(call: &str) -> Module {
    let status = probe(
        "$proxy_get_status #8 @out",
        &[Out::Number(8), Out::Bytes(0, 4)],
    );
    let field = |map: u8, name: &str| {
        probe(
            &format!("$proxy_get_header_map_value #{map} @\"{name}\" @out"),
            VALUE,
        )
    };
    let message = probe(
        "$proxy_get_buffer_bytes #5 #0 (local.get $message_size) @out",
        VALUE,
    );
    let goes_on = "(drop (call $proxy_set_effective_context (global.get $stream)))
        (drop (call $proxy_continue_stream #0))";
    Module::new()
        .with("(global $id (mut i32) (i32.const 0)) (global $stream (mut i32) (i32.const 0))")
        .on(
            "proxy_on_request_headers",
            &format!("(global.set $stream (local.get $stream_context_id)) {call} (return #1)"),
        )
        .on(
            "proxy_on_grpc_receive_initial_metadata",
            &field(4, "x-initial"),
        )
        .on(
            "proxy_on_grpc_receive",
            &format!("{message} {status} {goes_on}"),
        )
        .on(
            "proxy_on_grpc_receive_trailing_metadata",
            &field(5, "x-trailing"),
        )
        .on("proxy_on_grpc_close", &format!("{status} {goes_on}"))
}
