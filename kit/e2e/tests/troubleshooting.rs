//! Shows that Envoy logs the messages in kit/docs/troubleshooting.md.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use proxy_wasm_e2e::{module_path, start_upstream};
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::http;

/// What every module needs.
const USUAL: &str = r#"(memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) (i32.const 0))"#;

fn start(module: &Path, configuration: &str) -> Result<Envoy> {
    let configuration = Configuration::Text(configuration.to_owned());
    Ok(Envoy::start(module, &configuration, start_upstream()?)?)
}

fn written(module: impl AsRef<[u8]>) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), module)?;
    Ok(file)
}

fn compiled(text: &str) -> Result<tempfile::NamedTempFile> {
    written(wat::parse_str(format!("(module {text})"))?)
}

/// Asserts that the page and the log have each message.
#[track_caller]
fn assert_says(log: &str, messages: &[&str]) {
    let page = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/troubleshooting.md"
    ))
    .expect("a page");
    for message in messages {
        assert!(page.contains(message), "the page lacks {message:?}");
        assert!(log.contains(message), "{message:?} is not in {log}");
    }
}

#[track_caller]
fn assert_rejects(module: &Path, configuration: &str, messages: &[&str]) {
    let error = start(module, configuration).expect_err("a rejection");
    assert_says(&format!("{error:#}"), messages);
}

#[test]
fn rejected_configuration_rejects_the_listener() {
    assert_rejects(
        &module_path(),
        "[",
        &[
            "configuration rejected: ",
            "Failed to configure base Wasm plugin",
            "Plugin configured to fail closed failed to load",
            "Unable to create Wasm plugin extension",
        ],
    );
}

#[test]
fn missing_import_is_named() -> Result<()> {
    let import = r#"(import "__wbindgen_placeholder__" "__wbindgen_describe" (func (param i32)))"#;
    let module = compiled(&format!("{import} {USUAL}"))?;
    let message = "Failed to load Wasm module due to a missing import";
    assert_rejects(module.path(), "", &[message, "__wbindgen_placeholder__."]);
    Ok(())
}

#[test]
fn import_with_another_signature_is_a_mismatch() -> Result<()> {
    let module = compiled(&format!(
        r#"(import "env" "proxy_log" (func (param i32))) {USUAL}"#
    ))?;
    assert_rejects(module.path(), "", &["due to an import type mismatch"]);
    Ok(())
}

#[test]
fn file_that_is_not_a_module_has_no_abi_version() -> Result<()> {
    let message = &["Missing or unknown Proxy-Wasm ABI version"];
    let unmarked = compiled(r#"(memory (export "memory") 1)"#)?;
    assert_rejects(unmarked.path(), "", message);
    assert_rejects(written("<html>")?.path(), "", message);
    Ok(())
}

#[test]
fn module_without_malloc_is_rejected() -> Result<()> {
    let marker = r#"(func (export "proxy_abi_version_0_2_1"))"#;
    let module = compiled(&format!(r#"(memory (export "memory") 1) {marker}"#))?;
    let message = "Wasm module is missing malloc function";
    assert_rejects(module.path(), "", &[message]);
    Ok(())
}

#[test]
fn after_a_panic_the_worker_responds_with_503() -> Result<()> {
    let module = compiled(&format!(
        r#"{USUAL} (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            unreachable)"#
    ))?;
    let envoy = start(module.path(), "")?;
    for _ in 0..10 {
        assert_eq!(http::get(&envoy.url("/"))?.status, 503);
    }
    let log = envoy.log_until("RuntimeError")?;
    let message = "Function: proxy_on_request_headers failed: Uncaught RuntimeError: unreachable";
    assert_says(&log, &[message]);
    // Envoy restarts the VM only if `failure_policy` says so.
    let stats = envoy.stats("vm_reload")?;
    let reloads = stats
        .get("wasm.extension.vm_reload")
        .context("no such counter")?;
    assert_eq!(*reloads, 0);
    Ok(())
}
