//! Streams that end early, versions of the ABI, and what a module has to export.

use proxy_wasm_abi::AbiVersion;

use crate::messages::{Reaction, Reply, Request};
use crate::module::{Module, Out, call_headers, probe};
use crate::modules::{Expected, cases};
use crate::scenario::Scenario;
use crate::wat::Wat;

pub fn scenarios() -> Vec<Scenario> {
    let traced = Module::new();
    let quiet = Module::quiet();
    let hello = Reply::hello().body("more").trailer("trailer", "response");
    let post = Request::post(&["one", "two"]).trailer("trailer", "request");
    let mut scenarios =
        vec![
        of("stream.get", &traced).request(Request::get()),
        of("stream.head", &traced).request(Request::new("HEAD", "/x")),
        of("stream.post", &traced).request(Request::post(&["one", "two"])),
        of("stream.options", &traced)
            .upstream(Reply::new(204))
            .request(Request::new("OPTIONS", "/")),
        of("stream.trailers", &traced)
            .upstream(hello.clone())
            .request(post.clone()),
        of("stream.two_requests", &traced)
            .request(Request::get())
            .request(Request::post(&["one"])),
        of("stream.chunked_and_empty", &traced)
            .request(Request::post(&[]).unfinished())
            .disconnect(),
        of("stream.client_leaves", &traced)
            .upstream(Reaction::Silence)
            .request(Request::get())
            .disconnect(),
        of("stream.client_leaves_in_body", &traced)
            .request(Request::post(&["one", "two"]).unfinished())
            .disconnect(),
        of("stream.upstream_resets", &traced)
            .upstream(Reaction::Reset)
            .request(Request::get()),
        of("stream.upstream_resets_post", &traced)
            .upstream(Reaction::Reset)
            .request(Request::post(&["one"])),
        of("stream.upstream_resets_in_response", &traced)
            .upstream(Reply::hello().cut_off())
            .request(Request::get()),
        of("stream.upstream_is_silent", &traced)
            .upstream(Reaction::Silence)
            .request(Request::get()),
        of("stream.error_of_upstream", &traced)
            .upstream(Reply::new(503).body("no"))
            .request(Request::get()),
        of("stream.without_callbacks", &quiet)
            .upstream(hello)
            .request(post),
        of(
            "stream.two_at_a_time",
            &Module::quiet().on(
                "proxy_on_request_headers",
                "(if (i32.eq (local.get $stream_context_id) #2) (then (return #1)))
             (drop (call $proxy_set_effective_context #2)) (drop (call $proxy_continue_stream #0))",
            ),
        )
        .request(Request::get())
        .request(Request::get()),
        of(
            "plugin.two_of_a_vm",
            // Envoy shuts them down in any order.
            &Module::quiet()
                .with("(global $starts (mut i32) (i32.const 0))")
                .on(
                    "proxy_on_vm_start",
                    "(global.set $starts (i32.add (global.get $starts) #1))
                     (call $number (global.get $starts))",
                )
                .on("proxy_on_configure", "(call $number (local.get $plugin_configuration_size))"),
        )
        .second_configuration("second")
        .request(Request::get()),
        of(
            "plugin.done_later",
            &Module::new().on(
                "proxy_on_done",
                "(if (i32.eq (local.get $context_id) #1) (then (return #0)))",
            ),
        )
        .request(Request::get()),
        of(
            "plugin.done_at_once",
            &Module::new().on(
                "proxy_on_done",
                &format!(
                    "(if (i32.eq (local.get $context_id) #1) (then {} (return #0)))",
                    probe("$proxy_done", &[])
                ),
            ),
        )
        .request(Request::get()),
        of(
            "plugin.effective_context",
            &Module::new().on(
                "proxy_on_request_headers",
                &[
                    probe("$proxy_set_effective_context #1", &[]),
                    probe(
                        "$proxy_get_header_map_value #0 @\":path\" @out",
                        &[Out::Bytes(0, 4)],
                    ),
                    probe("$proxy_set_effective_context #2", &[]),
                    probe(
                        "$proxy_get_header_map_value #0 @\":path\" @out",
                        &[Out::Bytes(0, 4)],
                    ),
                    probe("$proxy_set_effective_context #0", &[]),
                    probe(
                        "$proxy_get_header_map_value #0 @\":path\" @out",
                        &[Out::Bytes(0, 4)],
                    ),
                    probe("$proxy_set_effective_context #77", &[]),
                ]
                .concat(),
            ),
        )
        .request(Request::get()),
        of(
            "plugin.ticks",
            &Module::new()
                .on(
                    "proxy_on_configure",
                    "(drop (call $proxy_set_tick_period_milliseconds #10))",
                )
                .on(
                    "proxy_on_tick",
                    "(drop (call $proxy_set_tick_period_milliseconds #0)) (call $say @\"ticked\")",
                ),
        )
        .wait(10, "ticked")
        .request(Request::get()),
    ];
    for version in [AbiVersion::V0_1_0, AbiVersion::V0_2_0] {
        for action in [0, 1] {
            let module = Module::new()
                .version(version)
                .on(
                    "proxy_on_response_headers",
                    &probe("$proxy_add_header_map_value #2 @\"x-new\" @\"value\"", &[]),
                )
                .on("proxy_on_request_headers", &format!("(return #{action})"));
            let name = format!("version.{version}.{action}");
            scenarios.push(of(&name, &module).request(Request::post(&["one"])));
        }
    }
    let old = Module::new().version(AbiVersion::V0_1_0);
    let calls = [
        probe("$proxy_clear_route_cache", &[]),
        probe("$proxy_continue_request", &[]),
        probe("$proxy_get_configuration @out", &[Out::Bytes(0, 4)]),
    ];
    let call = format!(
        "(drop (call $proxy_http_call @\"service\" {} #0 #0 #0 #0 #5000 #8)) (return #1)",
        call_headers("/")
    );
    let continued = |direction: &str| {
        format!(
            "(drop (call $proxy_set_effective_context #2))
             (drop (call $proxy_continue_{direction}))"
        )
    };
    scenarios.extend([
        of(
            "version.0.1.0.calls",
            &old.clone()
                .on("proxy_on_configure", &calls.concat())
                .on("proxy_on_response_headers", &calls.concat()),
        )
        .request(Request::post(&["one"])),
        of(
            "version.0.1.0.continue_request",
            &old.clone()
                .on("proxy_on_request_headers", &call)
                .on("proxy_on_http_call_response", &continued("request")),
        )
        .request(Request::get()),
        of(
            "version.0.1.0.continue_response",
            &old.on("proxy_on_response_headers", &call)
                .on("proxy_on_http_call_response", &continued("response")),
        )
        .request(Request::get()),
    ]);
    scenarios.extend(modules());
    scenarios
}

fn of(name: &str, module: &Module) -> Scenario {
    Scenario::new(name, &module.wat())
}

/// What a module has to export, and may import.
fn modules() -> Vec<Scenario> {
    let cases = cases().into_iter();
    cases
        .map(|case| {
            let name = case
                .name
                .replace(|character: char| !character.is_ascii_alphanumeric(), "_");
            let mut scenario = Scenario::new(format!("module.{name}"), &Wat::new())
                .text(&case.module)
                .request(Request::get());
            let logs_at_start = ["\"_start\"", "\"_initialize\""]
                .iter()
                .any(|name| case.module.contains(name));
            scenario.is_alone = logs_at_start || matches!(case.expected, Expected::CrashesEnvoy(_));
            scenario
        })
        .collect()
}
