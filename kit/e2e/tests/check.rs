//! What the check says of this extension, and whether a real Envoy is of the same mind.

use std::fs;

use anyhow::Result;
use proxy_wasm_abi::{
    AbiVersion, CALLBACKS, Function, HOST_CALLS, HOST_MODULE, Signature, WASI_FUNCTIONS,
    WASI_MODULES,
};
use proxy_wasm_check as check;
use proxy_wasm_e2e::{image_root, start_upstream};
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::http;

/// The least that a proxy loads.
const LEAST: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) i32.const 0)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_tick") (param i32)))"#;

/// Whether the check says that Envoy accepts a module, and whether Envoy loads it and serves.
fn judge(text: &str) -> Result<(bool, bool)> {
    let folder = tempfile::tempdir()?;
    let module = folder.path().join("a.wasm");
    fs::write(&module, wat::parse_str(text)?)?;
    let report = check::check(&module, None);
    let served = Envoy::start(&module, &Configuration::Absent, start_upstream()?)
        .is_ok_and(|envoy| http::get(&envoy.url("/")).is_ok_and(|response| response.status == 200));
    Ok((report.accepts("envoy"), served))
}

/// The ABI version of [`LEAST`].
const VERSION: AbiVersion = AbiVersion::V0_2_1;

/// Parameters and results in the text format.
fn types(signature: &Signature) -> String {
    let parameters = signature
        .parameters
        .iter()
        .map(|parameter| format!("(param {})", parameter.value_type));
    let results = signature
        .result
        .iter()
        .map(|result| format!("(result {result})"));
    parameters.chain(results).collect()
}

fn import(module: &str, function: &Function) -> String {
    format!(
        "(import \"{module}\" \"{}\" (func {}))",
        function.name,
        types(&function.signature)
    )
}

#[test]
fn this_extension_passes() -> Result<()> {
    let report = check::check(image_root(), None);
    assert_eq!(report.errors(), 0, "{report}");
    let reads: Vec<_> = report
        .consumers
        .iter()
        .map(|verdict| (verdict.name, verdict.accepts, verdict.reads.as_deref()))
        .collect();
    assert_eq!(
        reads,
        [
            ("envoy", true, Some("extension.wasm")),
            ("istio", true, Some("plugin.wasm")),
            ("envoy-gateway", true, Some("plugin.wasm")),
            ("maistra", true, Some("extension.wasm")),
        ]
    );
    assert_eq!(
        fs::read(image_root().join("extension.wasm"))?,
        fs::read(image_root().join("plugin.wasm"))?
    );
    assert!(report.to_string().lines().count() <= 12, "{report}");
    Ok(())
}

#[test]
fn every_import_that_passes_is_one_that_envoy_offers() -> Result<()> {
    let mut imports: String = HOST_CALLS
        .iter()
        .filter(|function| function.is_in(VERSION))
        .map(|function| import(HOST_MODULE, function))
        .collect();
    for module in WASI_MODULES {
        let functions = WASI_FUNCTIONS.iter();
        imports.extend(functions.map(|function| import(module, function)));
    }
    let module = LEAST.replacen("(module", &format!("(module {imports}"), 1);
    assert_eq!(judge(&module)?, (true, true));
    Ok(())
}

#[test]
fn every_callback_that_passes_is_one_that_envoy_calls() -> Result<()> {
    // A proxy runs _start only where there is no _initialize, and main only where there is.
    for left_out in ["_start", "_initialize"] {
        let callbacks: String = CALLBACKS
            .iter()
            .filter(|function| function.is_in(VERSION))
            .filter(|function| function.name != left_out && function.name != "malloc")
            .filter(|function| function.name != "proxy_on_tick")
            .map(|function| {
                // One means: start, the configuration is good, and delete me. Headers go on at zero.
                let result = match function.name {
                    "proxy_on_vm_start" | "proxy_on_configure" | "proxy_on_done" => 1,
                    "proxy_validate_configuration" => 1,
                    _ => 0,
                };
                let body = match function.signature.result {
                    None => String::new(),
                    Some(_) => format!("i32.const {result}"),
                };
                format!(
                    "(func (export \"{}\") {} {body})",
                    function.name,
                    types(&function.signature)
                )
            })
            .collect();
        let module = LEAST.replacen(
            "(func (export \"malloc\")",
            &format!("{callbacks} (func (export \"malloc\")"),
            1,
        );
        assert_eq!(judge(&module)?, (true, true), "{left_out}");
    }
    Ok(())
}

#[test]
fn what_is_an_error_is_what_envoy_refuses() -> Result<()> {
    for (from, to) in [
        ("", ""),
        ("(module", "(module (import \"env\" \"abort\" (func))"),
        (
            "(module",
            "(module (import \"env\" \"proxy_log\" (func (param i32 i32)))",
        ),
        ("(export \"malloc\")", ""),
        ("(export \"proxy_abi_version_0_2_1\")", ""),
        ("version_0_2_1", "version_0_3_0"),
        (
            "(memory (export \"memory\") 1)",
            "(memory (export \"memory\") 16385)",
        ),
        (
            "\"proxy_on_tick\") (param i32)",
            "\"proxy_on_tick\") (param i64)",
        ),
    ] {
        let (accepts, served) = judge(&LEAST.replacen(from, to, 1))?;
        assert_eq!(
            accepts, served,
            "{to}: accepts: {accepts}, served: {served}"
        );
        assert_eq!(served, from.is_empty(), "{to}");
    }
    Ok(())
}

#[test]
fn abi_version_and_other_exports_decide_as_in_envoy() -> Result<()> {
    const LOG_LEVEL: &str =
        r#"(import "env" "proxy_get_log_level" (func (param i32) (result i32)))"#;
    const CONTINUE: &str = r#"(import "env" "proxy_continue_request" (func (result i32)))"#;
    const INITIALIZE: &str = r#"(func (export "_initialize"))"#;
    const MAIN: &str = r#"(func (export "main") (param i64))"#;
    const ALLOCATE: &str = r#"(func (export "proxy_on_memory_allocate"))"#;
    for (version, added, passes) in [
        ("0_2_1", LOG_LEVEL, true),
        ("0_2_0", LOG_LEVEL, false),
        ("0_2_1", CONTINUE, false),
        ("0_2_1", MAIN, true),
        ("0_2_1", &[INITIALIZE, MAIN].concat(), false),
        ("0_2_1", ALLOCATE, true),
    ] {
        let module = LEAST.replacen("version_0_2_1", &format!("version_{version}"), 1);
        let module = match added.strip_prefix("(import") {
            Some(_) => module.replacen("(module", &format!("(module {added}"), 1),
            None => module.replacen(
                "(func (export \"malloc\")",
                &format!("{added} (func (export \"malloc\")"),
                1,
            ),
        };
        assert_eq!(judge(&module)?, (passes, passes), "{version} {added}");
    }
    Ok(())
}

#[test]
fn what_is_a_warning_is_what_a_present_envoy_loads() -> Result<()> {
    for needy in [
        "(func (param externref))",
        "(func $f return_call $f)",
        "(func v128.const i32x4 0 0 0 0 drop)",
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        "(func try nop catch_all nop end)",
        "(type $s (struct)) (func (param (ref null $s)))",
        "(tag) (func throw 0)",
        "(memory 1)",
    ] {
        let module = LEAST.replacen("(func", &format!("{needy} (func"), 1);
        assert_eq!(judge(&module)?, (true, true), "{needy}");
    }
    let imported = LEAST.replacen(
        "(memory (export \"memory\") 1)",
        "(import \"env\" \"memory\" (memory 1)) (export \"memory\" (memory 0))",
        1,
    );
    assert_eq!(judge(&imported)?, (true, true));
    let renamed = LEAST.replacen("\"memory\"", "\"m\"", 1);
    assert_eq!(judge(&renamed)?, (true, true));
    let without_memory = LEAST.replacen("(memory (export \"memory\") 1)", "", 1);
    assert_eq!(judge(&without_memory)?, (true, true));
    let old = LEAST.replacen("0_2_1", "0_1_0", 1);
    assert_eq!(judge(&old)?, (true, true));
    Ok(())
}
