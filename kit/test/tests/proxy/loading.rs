//! What a proxy loads, and what it rejects (ABI: "Integration", "Memory management").

use proxy_wasm_abi::{AbiVersion, Function, ValueType};
use proxy_wasm_test::{Error, Options, Proxy};

use crate::modules::{ALLOCATOR, Expected, MARKER, MEMORY, cases};
use crate::wat::{Wat, host_functions, said};

#[track_caller]
fn assert_rejected(module: &str, parts: &[&str]) {
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
fn modules_load_as_in_envoy() {
    for case in cases() {
        let name = case.name;
        let loaded = Proxy::load(&case.module);
        match (&case.expected, matches!(loaded, Err(Error::Unsupported(_)))) {
            (Expected::OnlyInEnvoy(_), is_unsupported) => assert!(is_unsupported, "{name}"),
            (Expected::Rejected(_), is_unsupported) => assert!(!is_unsupported, "{name}"),
            _ => {}
        }
        match case.expected {
            Expected::Loads(lines) => match loaded {
                Ok(proxy) => assert_eq!(said(&proxy), lines, "{name}"),
                Err(error) => panic!("{name}: {error}"),
            },
            Expected::Rejected(text)
            | Expected::CrashesEnvoy(text)
            | Expected::OnlyInEnvoy(text) => match loaded {
                Ok(_) => panic!("{name} was loaded"),
                Err(error) => assert!(error.to_string().contains(text), "{name}: {error}"),
            },
        }
    }
}

#[test]
fn start_section_that_calls_the_host_is_rejected_with_advice() {
    let module = format!(
        r#"(module (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
          {MARKER} {MEMORY} {ALLOCATOR}
          (func $start (drop (call $log (i32.const 2) (i32.const 0) (i32.const 0))))
          (start $start))"#
    );
    assert_rejected(
        &module,
        &["Envoy crashes", "move the code to `_initialize`"],
    );
}

#[test]
fn first_allocator_that_is_exported_is_called() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_configure",
        "(call $number (call $proxy_get_buffer_bytes #7 #0 #100 @out)) (call $say @result)",
    );
    let malloc = wat.text().replace("proxy_on_memory_allocate", "malloc");
    let ignored = r#"(func (export "proxy_on_memory_allocate") (param i64) (unreachable))"#;
    let both = malloc.replace("(memory (export", &format!("{ignored} (memory (export"));
    for module in [wat.text(), malloc, both] {
        let proxy = Proxy::load(module)?.configure("allocated")?;
        assert_eq!(said(&proxy), ["0", "allocated"]);
    }
    Ok(())
}

/// What Envoy 1.40 offers and the embedded proxy does not.
const NOT_OFFERED: &str = "envoy_resolve_dns";

#[test]
fn all_functions_of_the_abi_are_offered_to_its_versions() {
    for (name, function) in host_functions() {
        for version in AbiVersion::ALL.iter().copied() {
            let loaded = Wat::new().version(version).importing(&name).load();
            let is_offered = function.is_in(version) && name != NOT_OFFERED;
            match loaded {
                Ok(_) => assert!(is_offered, "{version} {name}"),
                Err(Error::Load(message) | Error::Unsupported(message)) => {
                    assert!(!is_offered, "{version} {name}: {message}");
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}

#[test]
fn function_that_only_envoy_offers_is_named() {
    let import = r#"(import "env" "envoy_resolve_dns" (func (param i32 i32 i32) (result i32)))"#;
    let module = format!("(module {import} {MARKER} {MEMORY} {ALLOCATOR})");
    let Err(Error::Unsupported(message)) = Proxy::load(module) else {
        panic!("it was loaded, or rejected with another error");
    };
    assert!(
        message.contains("env.envoy_resolve_dns, which Envoy offers"),
        "{message}"
    );
}

/// A call with zeros for all arguments.
fn call(name: &str, function: &Function) -> String {
    let parameters = function.signature.parameters.iter();
    let arguments: String = parameters
        .map(|parameter| match parameter.value_type {
            ValueType::I32 => "(i32.const 0)",
            ValueType::I64 => "(i64.const 0)",
        })
        .collect();
    match function.signature.result {
        Some(_) => format!("(drop (call ${name} {arguments}))"),
        None => format!("(call ${name} {arguments})"),
    }
}

/// The functions that a module may call, according to `attempt`, which tries one.
fn allowed(attempt: impl Fn(&str) -> Result<(), Error>) -> Vec<String> {
    host_functions()
        .filter(|(name, function)| {
            function.is_in(AbiVersion::V0_2_1)
                && name != NOT_OFFERED
                && attempt(&call(name, function)).is_ok()
        })
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn only_logging_and_most_of_wasi_can_be_called_before_the_vm_has_started() {
    const NOT_ALLOWED: [&str; 6] = [
        "wasi_fd_close",
        "wasi_fd_read",
        "wasi_fd_seek",
        "wasi_path_open",
        "wasi_proc_exit",
        "wasi_sched_yield",
    ];
    for start in ["_initialize", "_start"] {
        let allowed = allowed(|call| Wat::new().on(start, call).load().map(drop));
        let expected: Vec<_> = host_functions()
            .map(|(name, _)| name)
            .filter(|name| {
                let is_wasi = name.starts_with("wasi_") && !NOT_ALLOWED.contains(&name.as_str());
                is_wasi || name == "proxy_log" || name == "emscripten_notify_memory_growth"
            })
            .collect();
        assert_eq!(allowed, expected, "{start}");
    }
}

#[test]
fn allocator_can_log_and_ask_for_the_time() {
    let allowed = allowed(|call| {
        let wat = Wat::new().on(
            "proxy_on_tick",
            &format!(
                "(if (i32.const 0) (then {call}))
                 (drop (call $proxy_get_property @\"plugin_root_id\" @out))"
            ),
        );
        let module =
            wat.text()
                .replacen("(local $end i32)", &format!("(local $end i32) {call}"), 1);
        Options::new().root_id("root").load(module)?.tick()
    });
    let expected = [
        "proxy_log",
        "wasi_fd_write",
        "wasi_clock_time_get",
        "wasi_poll_oneoff",
    ];
    assert_eq!(allowed, expected);
}

#[test]
fn imports_of_another_signature_are_rejected_by_name() {
    for import in [
        r#"(import "env" "proxy_log" (func (param i32 i32) (result i32)))"#,
        r#"(import "env" "proxy_log" (func (param i32 i32 i32)))"#,
        r#"(import "env" "proxy_log" (func (param i64 i32 i32) (result i32)))"#,
        r#"(import "env" "proxy_log" (global i32))"#,
    ] {
        assert_rejected(
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
        ("proxy_on_done", "(param i32) (result i64) (i64.const 0)"),
        (
            "proxy_on_configure",
            "(param i32 i32) (result f32) (f32.const 0)",
        ),
        ("_initialize", "(param i32)"),
        ("_start", "(result i32) (i32.const 0)"),
        ("proxy_on_new_connection", "(param i32)"),
        ("proxy_on_grpc_close", "(param i32 i32)"),
        ("proxy_on_foreign_function", "(param i32 i32)"),
        ("envoy_on_resolve_dns", "(param i32 i32)"),
    ] {
        let module = format!(
            r#"(module {MARKER} {MEMORY} {ALLOCATOR} (func (export "{name}") {signature}))"#
        );
        assert_rejected(&module, &[name]);
    }
    assert_rejected(
        &format!(
            r#"(module {MARKER} {MEMORY} {ALLOCATOR} (func (export "_initialize"))
              (func (export "main") (param i64 i32) (result i32) (i32.const 0)))"#
        ),
        &["main"],
    );
}

#[test]
fn export_that_is_never_called_may_have_any_signature() -> Result<(), Error> {
    for (name, beside) in [("_start", r#"(func (export "_initialize"))"#), ("main", "")] {
        let module = format!(
            r#"(module {MARKER} {MEMORY} {ALLOCATOR} {beside}
              (func (export "{name}") (param i64) unreachable))"#
        );
        Proxy::load(module)?.configure("")?;
    }
    Ok(())
}

/// A module with a name section of these bytes.
fn with_names(section: &[u8]) -> Vec<u8> {
    let module = format!("(module {MARKER} {MEMORY} {ALLOCATOR})");
    let mut module = ::wat::parse_str(module).expect("a module");
    let name = b"\x04name";
    let length = u8::try_from(name.len() + section.len()).expect("a short section");
    module.extend_from_slice(&[0, length]);
    module.extend_from_slice(name);
    module.extend_from_slice(section);
    module
}

#[test]
fn name_section_has_to_be_complete() -> Result<(), Error> {
    for complete in [
        b"".as_slice(),
        b"\x01\x04\x01\x00\x01f",
        // Other subsections may contain anything, and names need not be text.
        b"\x07\x01\xff",
        b"\x01\x05\x01\x00\x02\xff\xff",
    ] {
        Proxy::load(with_names(complete))?;
    }
    for corrupt in [
        b"\x01".as_slice(),
        b"\x01\x04\x01\x00\x01",
        b"\x01\x05\x01\x00\x01fg",
        b"\x01\x04\x02\x00\x01f",
        b"\x07\x02\xff",
    ] {
        let Err(Error::Load(message)) = Proxy::load(with_names(corrupt)) else {
            panic!("{corrupt:?} was accepted");
        };
        assert!(message.contains("name section is corrupt"), "{message}");
    }
    Ok(())
}

#[test]
fn invalid_module_is_rejected() {
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
        let rejected = Proxy::load(bytes);
        assert!(matches!(rejected, Err(Error::Load(_))), "{bytes:?}");
    }
}

#[test]
fn truncated_module_does_not_cause_a_panic() -> Result<(), Error> {
    let whole = ::wat::parse_str(
        Wat::new()
            .on("proxy_on_tick", "(call $say @\"tick\")")
            .text(),
    )
    .expect("a module");
    Proxy::load(&whole)?;
    for end in 0..whole.len() {
        // It may load: without its last sections, it can be valid.
        let _ = Proxy::load(&whole[..end]);
    }
    Ok(())
}
