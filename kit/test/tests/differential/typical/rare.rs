//! What few extensions do.

use crate::messages::Request;
use crate::module::{Module, Out, probe};
use crate::scenario::Scenario;
use crate::wat::Wat;

const VALUE: &[Out] = &[Out::Bytes(0, 4)];

const MARKER: &str = "(func (export \"proxy_abi_version_0_2_1\"))";
const ALLOCATOR: &str = "(func (export \"malloc\") (param i32) (result i32) (i32.const 4096))";
const MEMORY: &str = "(memory (export \"memory\") 1)";

pub fn scenarios() -> Vec<Scenario> {
    let on_request =
        |name: &str, body: &str| of(name, &Module::new().on("proxy_on_request_headers", body));
    let text = |name: &str, parts: &[&str]| {
        let scenario = Scenario::new(name, &Wat::new()).request(Request::get());
        scenario.text(&format!("(module {})", parts.join("\n")))
    };
    let deep = |frames: u32| {
        of(
            &format!("rare.{frames}_frames"),
            &Module::new()
                .with(
                    "(func $deep (param i32) (result i32)
                       (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
                         (else (i32.add (i32.const 1)
                           (call $deep (i32.sub (local.get 0) (i32.const 1)))))))",
                )
                .on(
                    "proxy_on_request_headers",
                    &format!("(call $number (call $deep #{frames}))"),
                ),
        )
    };
    vec![
        on_request(
            "rare.monotonic_clock",
            "(drop (call $wasi_clock_time_get #1 (i64.const 0) #8))
             (call $number (i64.gt_u (i64.load #8) (i64.const 1000000000000000000)))",
        ),
        deep(70_000),
        deep(100_000),
        on_request(
            "rare.compressed",
            &probe(
                "$proxy_call_foreign_function @\"compress\" @\"a text that is a text and another text that is not\" @out",
                VALUE,
            ),
        ),
        on_request("rare.connection_id", &property("connection\\0id")),
        on_request("rare.node", &property("xds\\0node")),
        on_request("rare.added_headers", &property("request\\0id")).unfiltered(),
        on_request(
            "rare.validated_filter_state",
            &probe(
                "$proxy_call_foreign_function @\"set_envoy_filter_state\" @\"\\n\u{1d}envoy.ai.llm_protocol.request\u{12}\u{1}b\" @out",
                &[],
            ),
        ),
        Scenario::new("rare.allocator_traps", &Wat::new())
        .request(Request::get())
        .text(&format!(
            "(module
               (import \"env\" \"proxy_get_buffer_bytes\" (func $get (param i32 i32 i32 i32 i32) (result i32)))
               (import \"env\" \"proxy_log\" (func $log (param i32 i32 i32) (result i32)))
               {MARKER} {MEMORY} (data (i32.const 0) \"configured\")
               (func (export \"malloc\") (param i32) (result i32) unreachable)
               (func (export \"proxy_on_configure\") (param i32 i32) (result i32)
                 (drop (call $log (i32.const 2) (i32.const 0) (i32.const 10)))
                 (drop (call $get (i32.const 7) (i32.const 0) (i32.const 9) (i32.const 16) (i32.const 20)))
                 (drop (call $log (i32.const 2) (i32.const 0) (i32.const 10)))
                 (i32.const 1)))"
        )),
        text(
            "rare.resolve_dns",
            &[
                "(import \"env\" \"envoy_resolve_dns\" (func (param i32 i32 i32) (result i32)))",
                MARKER,
                MEMORY,
                ALLOCATOR,
            ],
        ),
        text(
            "rare.eleven_tables",
            &[MARKER, MEMORY, ALLOCATOR, &"(table 1 funcref)".repeat(11)],
        ),
        text(
            "rare.start_section_writes_nowhere",
            &[
                "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))",
                MARKER,
                MEMORY,
                ALLOCATOR,
                "(func $start (drop (call $write (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0)))) (start $start)",
            ],
        )
        .alone(),
    ]
}

fn of(name: &str, module: &Module) -> Scenario {
    Scenario::new(name, &module.wat()).request(Request::get())
}

fn property(path: &str) -> String {
    probe(&format!("$proxy_get_property @\"{path}\" @out"), VALUE)
}
