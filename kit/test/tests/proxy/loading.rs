//! What a proxy loads, and what it refuses (ABI: "Integration", "Memory management").

use proxy_wasm_test::{Error, Proxy};

use crate::wat::{Wat, said};

const MARKER: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;
const ALLOCATOR: &str =
    r#"(func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))"#;

#[track_caller]
fn assert_refused(module: &str, parts: &[&str]) {
    match Proxy::load(module) {
        Err(Error::Load(message)) => {
            for part in parts {
                assert!(message.contains(part), "{part:?} is not in {message:?}");
            }
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{module} was loaded"),
    }
}

#[test]
fn the_three_required_exports_are_enough() -> Result<(), Error> {
    let proxy = Proxy::load(format!("(module {MARKER} {MEMORY} {ALLOCATOR})"))?.configure("")?;
    assert_eq!(proxy.request("GET", "/").respond(204)?.status(), 204);
    Ok(())
}

#[test]
fn each_of_the_required_exports_is_required() {
    assert_refused(
        &format!("(module {MEMORY} {ALLOCATOR})"),
        &["exports no proxy_abi_version_0_2_1"],
    );
    assert_refused(
        &format!("(module {MARKER} {ALLOCATOR})"),
        &["exports no memory"],
    );
    assert_refused(
        &format!("(module {MARKER} {MEMORY})"),
        &["neither proxy_on_memory_allocate nor malloc"],
    );
}

#[test]
fn the_abi_0_1_0_alone_is_refused_with_advice() {
    let old = r#"(func (export "proxy_abi_version_0_1_0"))"#;
    assert_refused(
        &format!("(module {old} {MEMORY} {ALLOCATOR})"),
        &["0.1.0", "build it with a newer SDK"],
    );
}

#[test]
fn malloc_serves_where_there_is_no_other_allocator() -> Result<(), Error> {
    let module = Wat::new()
        .on(
            "proxy_on_configure",
            "(call $number (call $proxy_get_buffer_bytes #7 #0 #100 @out)) (call $say @result)",
        )
        .text()
        .replace("proxy_on_memory_allocate", "malloc");
    let proxy = Proxy::load(module)?.configure("through malloc")?;
    assert_eq!(said(&proxy), ["0", "through malloc"]);
    Ok(())
}

#[test]
fn proxy_get_log_level_is_not_in_the_abi_0_2_0() -> Result<(), Error> {
    let asks = Wat::new().on(
        "proxy_on_vm_start",
        "(drop (call $proxy_get_log_level #0)) (call $number (i32.load #0))",
    );
    assert_eq!(said(&asks.load()?), ["2"]);
    assert_refused(
        &asks.clone().version("0_2_0").text(),
        &["env.proxy_get_log_level"],
    );
    Wat::new().version("0_2_0").load()?;
    Ok(())
}

#[test]
fn unknown_imports_are_refused_and_all_named() {
    assert_refused(
        &format!(
            r#"(module
              (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
              (import "env" "proxy_unheard_of" (func))
              (import "wasi_snapshot_preview1" "sock_accept" (func (param i32) (result i32)))
              (import "elsewhere" "number" (global i32))
              {MARKER} {MEMORY} {ALLOCATOR})"#
        ),
        &[
            "env.proxy_unheard_of",
            "wasi_snapshot_preview1.sock_accept",
            "elsewhere.number",
        ],
    );
}

#[test]
fn imports_of_another_signature_are_refused_by_name() {
    for import in [
        r#"(import "env" "proxy_log" (func (param i32 i32) (result i32)))"#,
        r#"(import "env" "proxy_log" (func (param i32 i32 i32)))"#,
        r#"(import "env" "proxy_log" (func (param i64 i32 i32) (result i32)))"#,
        r#"(import "env" "proxy_log" (global i32))"#,
    ] {
        assert_refused(
            &format!("(module {import} {MARKER} {MEMORY} {ALLOCATOR})"),
            &["proxy_log"],
        );
    }
}

#[test]
fn callbacks_of_another_signature_are_refused_by_name() {
    for (name, signature) in [
        ("proxy_on_tick", "(param i32 i32)"),
        ("proxy_on_tick", "(param i64)"),
        ("proxy_on_tick", "(param i32) (result i32) (i32.const 0)"),
        ("proxy_on_request_headers", "(param i32 i32 i32)"),
        (
            "proxy_on_request_headers",
            "(param i32 i32) (result i32) (i32.const 0)",
        ),
        ("proxy_on_done", "(param i32) (result i64) (i64.const 0)"),
        (
            "proxy_on_configure",
            "(param i32 i32) (result f32) (f32.const 0)",
        ),
        ("_initialize", "(param i32)"),
        ("_start", "(result i32) (i32.const 0)"),
        ("main", "(param i64 i32) (result i32) (i32.const 0)"),
        ("malloc", "(param i32)"),
    ] {
        let module = format!(
            r#"(module {MARKER} {MEMORY} {ALLOCATOR} (func (export "{name}") {signature}))"#
        );
        assert_refused(&module, &[name]);
    }
    assert_refused(
        &format!(
            r#"(module {MARKER} {MEMORY} {ALLOCATOR} (global (export "proxy_on_tick") i32 (i32.const 1)))"#
        ),
        &["proxy_on_tick"],
    );
}

#[test]
fn what_is_no_module_is_refused() {
    for bytes in [
        b"".as_slice(),
        b"\0asm",
        b"\0asm\x01\0\0\0\x01",
        b"\0asm\x02\0\0\0",
        b"(module",
        b"(module (func $twice) (func $twice))",
        b"\xff\xfe",
        b"(module (func (result i32) (i64.const 0)))",
    ] {
        let refused = Proxy::load(bytes);
        assert!(matches!(refused, Err(Error::Load(_))), "{bytes:?}");
    }
}

#[test]
fn a_truncated_module_is_refused_wherever_it_ends() -> Result<(), Error> {
    let whole = ::wat::parse_str(
        Wat::new()
            .on("proxy_on_tick", "(call $say @\"tick\")")
            .text(),
    )
    .expect("a module");
    Proxy::load(&whole)?;
    for end in 0..whole.len() {
        // Without its last sections it may be valid; what counts is that the host stands.
        let _ = Proxy::load(&whole[..end]);
    }
    Ok(())
}
