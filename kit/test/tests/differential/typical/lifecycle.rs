//! Streams that end early, versions of the ABI, and what a module has to export.

use proxy_wasm_abi::AbiVersion;

use crate::module::{Module, Out, probe};
use crate::scenario::{Reaction, Reply, Request, Scenario};
use crate::wat::Wat;

pub fn scenarios() -> Vec<Scenario> {
    let traced = Module::new();
    let quiet = Module::quiet();
    let hello = Reply::hello().body("more").trailer("trailer", "response");
    let post = Request::post(&["one", "two"]).trailer("trailer", "request");
    let mut scenarios = vec![
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
            .leave(),
        of("stream.client_leaves", &traced)
            .upstream(Reaction::Silence)
            .request(Request::get())
            .leave(),
        of("stream.client_leaves_in_body", &traced)
            .request(Request::post(&["one", "two"]).unfinished())
            .leave(),
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
            &Module::new().on(
                "proxy_on_request_headers",
                "(if (i32.eq (local.get $stream_context_id) #2) (then (return #1)))
             (drop (call $proxy_set_effective_context #2)) (drop (call $proxy_continue_stream #0))",
            ),
        )
        .request(Request::get())
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
    scenarios.extend(modules());
    scenarios
}

fn of(name: &str, module: &Module) -> Scenario {
    Scenario::new(name, &module.wat())
}

/// What a module has to export, and may import.
fn modules() -> Vec<Scenario> {
    let marker = "(func (export \"proxy_abi_version_0_2_1\"))";
    let memory = "(memory (export \"memory\") 1)";
    let malloc = "(func (export \"malloc\") (param i32) (result i32) i32.const 4096)";
    let allocate =
        "(func (export \"proxy_on_memory_allocate\") (param i32) (result i32) i32.const 8192)";
    let log = "(import \"env\" \"proxy_log\" (func $log (param i32 i32 i32) (result i32)))";
    let text = |parts: &[&str]| format!("(module {})", parts.join("\n"));
    let of = |name: &str, parts: &[&str]| {
        let scenario = Scenario::new(name, &Wat::new()).request(Request::get());
        scenario.text(&text(parts))
    };
    let callback = |name: &str, signature: &str, body: &str| {
        format!("(func (export \"{name}\") {signature} {body})")
    };
    vec![
        of("module.smallest", &[marker, memory, malloc]),
        of("module.without_marker", &[memory, malloc]),
        of("module.unknown_marker", &["(func (export \"proxy_abi_version_0_3_0\"))", memory, malloc]),
        of("module.two_markers", &["(func (export \"proxy_abi_version_0_1_0\"))", marker, memory, malloc,
            &callback("proxy_on_request_headers", "(param i32 i32 i32) (result i32)", "i32.const 0")]),
        of("module.two_markers_newest_first", &[marker, "(func (export \"proxy_abi_version_0_1_0\"))", memory, malloc,
            &callback("proxy_on_request_headers", "(param i32 i32 i32) (result i32)", "i32.const 0")]),
        of("module.marker_is_a_global", &["(global (export \"proxy_abi_version_0_2_1\") i32 (i32.const 0))", memory, malloc]),
        of("module.without_memory", &[marker, malloc]),
        of("module.memory_with_another_name", &[marker, "(memory (export \"other\") 1)", malloc]),
        of("module.without_allocator", &[marker, memory]),
        of("module.allocator", &[marker, memory, allocate]),
        of("module.unknown_import", &["(import \"env\" \"proxy_new\" (func))", marker, memory, malloc]),
        of("module.import_of_another_module", &["(import \"wasi_other\" \"fd_write\" (func))", marker, memory, malloc]),
        of("module.import_with_wrong_signature", &["(import \"env\" \"proxy_log\" (func (param i32)))", marker, memory, malloc]),
        of("module.import_of_0_1_0", &["(import \"env\" \"proxy_continue_request\" (func (result i32)))", marker, memory, malloc]),
        of("module.imported_memory", &["(import \"env\" \"memory\" (memory 1))", marker, "(export \"memory\" (memory 0))", malloc]),
        of("module.imported_table", &["(import \"env\" \"table\" (table 1 funcref))", marker, memory, malloc]),
        of("module.imported_global", &["(import \"env\" \"global\" (global i32))", marker, memory, malloc]),
        of("module.callback_with_wrong_signature", &[marker, memory, malloc, &callback("proxy_on_tick", "(param i32 i32)", "")]),
        of("module.callback_is_a_global", &[marker, memory, malloc, "(global (export \"proxy_on_tick\") i32 (i32.const 0))"]),
        of("module.ignored_callback_with_wrong_signature", &[marker, memory, malloc, &callback("main", "(param i64)", "")]),
        of("module.start_traps", &[marker, memory, malloc, &callback("_start", "", "unreachable")]),
        of("module.initialize_traps", &[marker, memory, malloc, &callback("_initialize", "", "unreachable")]),
        of("module.start_section", &[marker, memory, malloc, "(func $start) (start $start)"]),
        of("module.start_section_traps", &[marker, memory, malloc, "(func $start unreachable) (start $start)"]),
        of("module.start_section_logs", &[log, marker, memory, malloc, "(func $start (drop (call $log (i32.const 2) (i32.const 0) (i32.const 1)))) (start $start)"]).alone(),
        of("module.multi_value", &[marker, memory, malloc, "(func $two (result i32 i32) i32.const 1 i32.const 2)"]),
        of("module.simd", &[marker, memory, malloc, "(func $vector (result v128) (v128.const i32x4 1 2 3 4))"]),
        of("module.reference_types", &[marker, memory, malloc, "(table 1 externref)"]),
        of("module.tail_call", &[marker, memory, malloc, "(func $tail (return_call $tail))"]),
        of("module.exceptions", &[marker, memory, malloc, "(tag $e) (func $throw (throw $e))"]),
        of("module.gc", &[marker, memory, malloc, "(type $s (struct (field i32)))"]),
        of("module.memory64", &[marker, "(memory (export \"memory\") i64 1)", malloc]),
        of("module.two_memories", &[marker, memory, "(memory 1)", malloc]),
        of("module.shared_memory", &[marker, "(memory (export \"memory\") 1 1 shared)", malloc]),
        of("module.function_references", &[marker, memory, malloc, "(type $f (func)) (func (param (ref $f)))"]),
        of("module.large_memory", &[marker, "(memory (export \"memory\") 20000)", malloc]),
        of("module.large_table", &[marker, memory, malloc, "(table 5000000 funcref)"]),
        of("module.extended_constants", &[marker, memory, malloc, "(global i32 (i32.add (i32.const 1) (i32.const 2)))"]),
    ]
}
