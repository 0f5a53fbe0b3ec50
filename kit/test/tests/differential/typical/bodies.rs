//! Extensions that read and change bodies.

use crate::messages::{Reply, Request};
use crate::module::{Module, Out, probe};
use crate::scenario::Scenario;

pub fn scenarios() -> Vec<Scenario> {
    let replaced = "#0 #-1 @\"a new body\"";
    let shorter = "#0 #-1 @\"new\"";
    let longer = "#0 #-1 @\"a body that is much longer than the old one was\"";
    let without_length = |name: &str, module: Module| {
        both(
            name,
            module
                .on(
                    "proxy_on_request_headers",
                    "(drop (call $proxy_remove_header_map_value #0 @\"content-length\"))",
                )
                .on(
                    "proxy_on_response_headers",
                    "(drop (call $proxy_remove_header_map_value #2 @\"content-length\"))",
                ),
        )
    };
    let mut scenarios = vec![
        without_length("bodies.replaced", at_end(replaced)),
        without_length("bodies.emptied", at_end("#0 #-1 @\"\"")),
        without_length("bodies.prepended", at_end("#0 #0 @\"before \"")),
        without_length("bodies.appended", at_end("#-1 #0 @\" after\"")),
        without_length("bodies.each_chunk", each_chunk("#0 #-1 @\"chunk \"")),
        without_length("bodies.each_chunk_prepended", each_chunk("#0 #0 @\"+\"")),
        both("bodies.shorter_than_length", at_end(shorter)),
        both("bodies.longer_than_length", at_end(longer)),
        both(
            "bodies.as_long_as_length",
            at_end("#0 #-1 @\"REQUEST BODY\""),
        ),
        both("bodies.emptied_with_length", at_end("#0 #-1 @\"\"")),
        both("bodies.read", held("(call $show)")),
        both("bodies.read.stop", held("(call $show)")).stops_iteration(),
        both(
            "bodies.held_with_headers",
            held("(call $show)").on("proxy_on_request_headers", "(return #1)"),
        ),
        both(
            "bodies.held_with_headers.stop",
            held("(call $show)").on("proxy_on_request_headers", "(return #1)"),
        )
        .stops_iteration(),
        both(
            "bodies.denied",
            held("(drop (call $proxy_send_local_response #413 @\"\" @\"too large\" #0 #0 #-1))"),
        ),
        Scenario::new("bodies.none", &held("(call $show)").wat())
            .upstream(Reply::new(204))
            .request(Request::get()),
        Scenario::new("bodies.empty", &held("(call $show)").wat())
            .upstream(Reply::new(200))
            .request(Request::post(&[])),
        Scenario::new("bodies.with_trailers", &held("(call $show)").wat())
            .upstream(Reply::hello().trailer("a", "b"))
            .request(Request::post(&["one", "two"]).trailer("c", "d")),
        Scenario::new("bodies.not_modified", &Module::new().wat())
            .upstream(Reply::new(304))
            .request(Request::get()),
        both(
            "bodies.trailing_headers",
            Module::new().on(
                "proxy_on_response_body",
                &probe("$proxy_add_header_map_value #2 @\"x-late\" @\"value\"", &[]),
            ),
        ),
        both(
            "bodies.request_body_in_response",
            Module::new().on(
                "proxy_on_response_headers",
                &probe(
                    "$proxy_get_buffer_bytes #0 #0 #100 @out",
                    &[Out::Bytes(0, 4)],
                ),
            ),
        ),
    ];
    for (name, length) in [("1_megabyte", 1_000_000), ("2_megabytes", 2_000_000)] {
        let large = "x".repeat(length);
        let pass = Scenario::new(format!("bodies.pass.{name}"), &Module::quiet().wat());
        scenarios.push(
            pass.upstream(Reply::new(200).body(&large))
                .request(Request::post(&[&large])),
        );
        let hold = |buffer: &str| {
            let callback = format!("proxy_on_{buffer}_body");
            Module::quiet().on(
                &callback,
                "(if (i32.eqz (local.get $end_of_stream)) (then (return #1)))",
            )
        };
        scenarios.push(
            Scenario::new(
                format!("bodies.hold_request.{name}"),
                &hold("request").wat(),
            )
            .request(Request::post(&[&large])),
        );
        scenarios.push(
            Scenario::new(
                format!("bodies.hold_response.{name}"),
                &hold("response").wat(),
            )
            .upstream(Reply::new(200).body(&large))
            .request(Request::get()),
        );
    }
    scenarios
}

fn both(name: &str, module: Module) -> Scenario {
    Scenario::new(name, &module.wat())
        .upstream(Reply::new(200).body("response ").body("body"))
        .request(Request::post(&["request ", "body"]))
}

/// Changes both bodies when they are complete.
fn at_end(change: &str) -> Module {
    held("(drop (call $change)) (call $show)").with(&format!(
        "(func $change (result i32) (call $proxy_set_buffer_bytes (global.get $buffer) {change}))"
    ))
}

/// Changes each chunk of both bodies.
fn each_chunk(change: &str) -> Module {
    let change = |buffer: u8| {
        format!(
            "(if (local.get $body_size) (then (drop (call $proxy_set_buffer_bytes #{buffer} {change}))))"
        )
    };
    Module::new()
        .on("proxy_on_request_body", &change(0))
        .on("proxy_on_response_body", &change(1))
}

/// Holds both bodies until they are complete, and then does something.
fn held(action: &str) -> Module {
    let show = probe(
        "$proxy_get_buffer_bytes (global.get $buffer) #0 #-1 @out",
        &[Out::Bytes(0, 4)],
    );
    let hold = |buffer: u8| {
        format!(
            "(if (i32.eqz (local.get $end_of_stream)) (then (return #1)))
             (global.set $buffer #{buffer}) {action}"
        )
    };
    Module::new()
        .with("(global $buffer (mut i32) (i32.const 0))")
        .with(&format!("(func $show {show})"))
        .on("proxy_on_request_body", &hold(0))
        .on("proxy_on_response_body", &hold(1))
}
