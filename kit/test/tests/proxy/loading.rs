//! What a proxy loads, and what it refuses (ABI: "Integration", "Memory management").

use std::collections::BTreeSet;

use proxy_wasm_abi::AbiVersion;
use proxy_wasm_test::{Error, Proxy};

use crate::wat::{Wat, host_functions, said};

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
        &asks.clone().version(AbiVersion::V0_2_0).text(),
        &["env.proxy_get_log_level"],
    );
    Wat::new().version(AbiVersion::V0_2_0).load()?;
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
            "env.proxy_unheard_of, which no proxy offers",
            "wasi_snapshot_preview1.sock_accept, which is (i32, i32, i32) -> i32 in the ABI",
            "elsewhere.number, which no proxy offers",
        ],
    );
}

/// What Envoy 1.40 offers and the embedded proxy does not.
const NOT_OFFERED: [&str; 32] = [
    "envoy_resolve_dns",
    "proxy_clear_route_cache",
    "proxy_continue_request",
    "proxy_continue_response",
    "proxy_get_configuration",
    "wasi_clock_res_get",
    "wasi_fd_advise",
    "wasi_fd_allocate",
    "wasi_fd_datasync",
    "wasi_fd_fdstat_set_rights",
    "wasi_fd_filestat_get",
    "wasi_fd_filestat_set_size",
    "wasi_fd_filestat_set_times",
    "wasi_fd_pread",
    "wasi_fd_pwrite",
    "wasi_fd_readdir",
    "wasi_fd_renumber",
    "wasi_fd_sync",
    "wasi_fd_tell",
    "wasi_path_create_directory",
    "wasi_path_filestat_get",
    "wasi_path_filestat_set_times",
    "wasi_path_link",
    "wasi_path_readlink",
    "wasi_path_remove_directory",
    "wasi_path_rename",
    "wasi_path_symlink",
    "wasi_path_unlink_file",
    "wasi_sock_accept",
    "wasi_sock_recv",
    "wasi_sock_send",
    "wasi_sock_shutdown",
];

#[test]
fn all_other_functions_of_the_abi_are_offered_with_its_signatures() {
    let mut not_offered = BTreeSet::new();
    for (name, function) in host_functions() {
        for version in AbiVersion::ALL.iter().copied() {
            let module = Wat::new().version(version).importing(&name);
            match (module.load(), function.is_in(version)) {
                (Ok(_), is_in_version) => assert!(is_in_version, "{version} {name}"),
                (Err(_), false) => {}
                (Err(Error::Load(message)), true) => {
                    assert!(message.contains("the embedded proxy"), "{name}: {message}");
                    // Another version may have it.
                    if version != AbiVersion::V0_1_0 || function.versions == [version] {
                        not_offered.insert(name.clone());
                    }
                }
                (Err(error), true) => panic!("{name}: {error}"),
            }
        }
    }
    assert_eq!(Vec::from_iter(not_offered), NOT_OFFERED);
}

#[test]
fn import_that_only_envoy_offers_is_refused_by_name() {
    assert_refused(
        &format!(
            r#"(module
              (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
              (import "wasi_snapshot_preview1" "sock_shutdown" (func (param i32 i32) (result i32)))
              {MARKER} {MEMORY} {ALLOCATOR})"#
        ),
        &["wasi_snapshot_preview1.sock_shutdown, which the embedded proxy does not offer"],
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
fn callbacks_of_another_signature_are_rejected_by_name() {
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
        ("malloc", "(param i32)"),
        ("proxy_on_new_connection", "(param i32)"),
        ("proxy_on_grpc_close", "(param i32 i32)"),
        ("proxy_on_foreign_function", "(param i32 i32)"),
        ("envoy_on_resolve_dns", "(param i32 i32)"),
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
    assert_refused(
        &format!(
            r#"(module {MARKER} {MEMORY} {ALLOCATOR} (func (export "_initialize"))
              (func (export "main") (param i64 i32) (result i32) (i32.const 0)))"#
        ),
        &["main"],
    );
}

#[test]
fn export_that_is_never_called_may_have_any_signature() -> Result<(), Error> {
    for (name, beside) in [
        ("_start", r#"(func (export "_initialize"))"#),
        ("main", ""),
        (
            "proxy_on_memory_allocate",
            r#"(func (export "malloc") (param i32) (result i32) (i32.const 4096))"#,
        ),
    ] {
        let allocator = if beside.contains("malloc") {
            ""
        } else {
            ALLOCATOR
        };
        let module = format!(
            r#"(module
              (import "env" "proxy_get_buffer_bytes"
                (func $get (param i32 i32 i32 i32 i32) (result i32)))
              {MARKER} {MEMORY} {allocator} {beside}
              (func (export "{name}") (param i64) unreachable)
              (func (export "proxy_on_configure") (param i32 i32) (result i32)
                (i32.eqz (call $get
                  (i32.const 7) (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 4)))))"#
        );
        Proxy::load(module)?.configure("allocated")?;
    }
    Ok(())
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
