//! `cargo proxy-wasm image --module`: a module that another tool has compiled.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use proxy_wasm_image::read;

const MANIFEST: &str =
    "schemaVersion: 1\nname: a\nphase: PreStats\npriority: 1\nmodule: lib/a.wasm\n";

/// A module with only what a proxy requires.
const MODULE: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) i32.const 0)
    (func (export "proxy_abi_version_0_2_1")))"#;

/// The beginning of a module that imports a function that Maistra's Envoys do not offer.
const IMPORT: &str = r#"(module
    (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))"#;

/// A directory with a module `b.wasm` and its manifest.
fn directory(module: &str) -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("b.wasm"), wat::parse_str(module)?)?;
    std::fs::write(directory.path().join("manifest.yaml"), MANIFEST)?;
    Ok(directory)
}

fn image(directory: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"))
        .current_dir(directory)
        .env_remove("CONTAINER_ENGINE")
        .args(["image", "--engine", "none"])
        .args(arguments)
        .output()?)
}

#[test]
fn module_is_packaged_at_the_path_of_its_manifest_and_for_istio() -> Result<()> {
    let directory = directory(MODULE)?;
    let output = image(directory.path(), &["--module", "b.wasm"])?;
    assert!(output.status.success(), "{output:?}");
    let files = read::archive(&directory.path().join("a-latest.oci.tar"))?.root()?;
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["lib/a.wasm", "manifest.yaml", "plugin.wasm"]);
    let text = String::from_utf8(output.stdout)?;
    let next = "cargo proxy-wasm push --module b.wasm --engine none\n";
    assert!(text.ends_with(next), "{text}");
    Ok(())
}

#[test]
fn module_that_one_mesh_rejects_is_packaged_for_the_others() -> Result<()> {
    let directory = directory(&MODULE.replacen("(module", IMPORT, 1))?;
    let output = image(directory.path(), &["--module", "b.wasm"])?;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr)?;
    assert!(error.contains("not accepted by maistra"), "{error}");
    let only = ["--module", "b.wasm", "--for", "istio,envoy-gateway"];
    let output = image(directory.path(), &only)?;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let next = "push --module b.wasm --engine none --for istio,envoy-gateway\n";
    assert!(text.ends_with(next), "{text}");
    Ok(())
}

#[test]
fn missing_manifest_is_reported_with_its_option() -> Result<()> {
    let directory = directory(MODULE)?;
    let manifest = directory.path().join("manifest.yaml");
    let other = directory.path().join("other.yaml");
    std::fs::rename(&manifest, &other).context("cannot rename the manifest")?;
    let output = image(directory.path(), &["--module", "b.wasm"])?;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr)?;
    assert!(error.contains("pass --manifest FILE"), "{error}");
    let named = ["--module", "b.wasm", "--manifest", "other.yaml"];
    assert!(image(directory.path(), &named)?.status.success());
    Ok(())
}
