//! Compares the check of modules that do not start with a real Envoy.

use std::fs;

use anyhow::Result;
use proxy_wasm_check::check;
use proxy_wasm_e2e::start_upstream;
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::http;

const MODULE: &str = r#"
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_current_time_nanoseconds" (func $time (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_tick") (param i32))
    (func $say (drop (call $log (i32.const 2) (i32.const 0) (i32.const 3))))"#;

#[test]
fn module_starts_in_envoy_if_and_only_if_the_check_accepts_it() -> Result<()> {
    let start = "(func (export \"proxy_on_vm_start\") (param i32 i32) (result i32)";
    let create = "(func (export \"proxy_on_context_create\") (param i32 i32)";
    for (added, starts) in [
        ("".to_owned(), true),
        ("(func $begin) (start $begin)".to_owned(), true),
        ("(func $begin unreachable) (start $begin)".to_owned(), false),
        ("(start $say)".to_owned(), false),
        (
            "(func $begin (drop (call $time (i32.const 0)))) (start $begin)".to_owned(),
            false,
        ),
        ("(data (i32.const 65536) \"x\")".to_owned(), false),
        (
            "(table 1 funcref) (elem (i32.const 1) $say)".to_owned(),
            false,
        ),
        (
            "(func (export \"_initialize\") (call $say))".to_owned(),
            true,
        ),
        (
            "(func (export \"_initialize\") unreachable)".to_owned(),
            false,
        ),
        ("(func (export \"_start\") unreachable)".to_owned(), false),
        (
            "(func (export \"_start\") (call $exit (i32.const 0)))".to_owned(),
            false,
        ),
        (
            "(func (export \"_initialize\") (drop (call $time (i32.const 0))))".to_owned(),
            false,
        ),
        (
            "(func (export \"_initialize\") (drop (memory.grow (i32.const 1000))))".to_owned(),
            true,
        ),
        (format!("{create} unreachable)"), false),
        (format!("{start} unreachable)"), false),
        (format!("{start} i32.const 0)"), false),
        (format!("{start} i32.const 2)"), true),
        (format!("{start} (call $say) i32.const 1)"), true),
    ] {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("a.wasm");
        fs::write(&path, wat::parse_str(format!("(module {MODULE} {added})"))?)?;
        let report = check(&path, None);
        assert_eq!(report.accepts("envoy"), starts, "{added}: {report}");
        let served =
            Envoy::start(&path, &Configuration::Absent, start_upstream()?).is_ok_and(|envoy| {
                http::get(&envoy.url("/")).is_ok_and(|response| response.status == 200)
            });
        assert_eq!(served, starts, "{added} in Envoy");
    }
    Ok(())
}
