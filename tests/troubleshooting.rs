//! What docs/troubleshooting.md says of a real Envoy: each of its messages is seen here.
#![cfg(not(target_family = "wasm"))]

#[path = "support/upstream.rs"]
mod upstream;

use std::fs;
use std::path::Path;

use anyhow::Result;
use extension_kit::envoy::{self, Configuration, Envoy};
use extension_kit::http;
use extension_kit::testing::{module, project};

fn start(module: &Path, configuration: Configuration) -> Result<Envoy> {
    let binary = envoy::find_or_fetch(&project().target())?;
    Envoy::start(&binary, module, &configuration, upstream::start()?)
}

fn wat(text: &str) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), wat::parse_str(text)?)?;
    Ok(file)
}

const HEAD: &str = r#"(memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 0))"#;

#[test]
fn a() -> Result<()> {
    for (n, text) in [
        (
            "import",
            format!(
                r#"(module (import "__wbindgen_placeholder__" "__wbindgen_describe" (func (param i32))) {HEAD})"#
            ),
        ),
        (
            "mismatch",
            format!(r#"(module (import "env" "proxy_log" (func (param i32))) {HEAD})"#),
        ),
        ("abi", r#"(module (memory (export "memory") 1))"#.to_owned()),
        (
            "malloc",
            r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")))"#
                .to_owned(),
        ),
        (
            "trap at start",
            format!(
                r#"(module {HEAD} (func (export "proxy_on_configure") (param i32 i32) (result i32) unreachable))"#
            ),
        ),
        (
            "trap ctx",
            format!(
                r#"(module {HEAD} (func (export "proxy_on_context_create") (param i32 i32) unreachable))"#
            ),
        ),
    ] {
        let file = wat(&text)?;
        eprintln!("=== {n}");
        if let Err(e) = start(file.path(), Configuration::Absent) {
            eprintln!("{e}");
        }
    }
    eprintln!("=== nofile");
    if let Err(e) = start(Path::new("/nowhere/x.wasm"), Configuration::Absent) {
        eprintln!("{e}");
    }
    let f = tempfile::NamedTempFile::new()?;
    fs::write(f.path(), "<html>")?;
    eprintln!("=== html");
    if let Err(e) = start(f.path(), Configuration::Absent) {
        eprintln!("{e}");
    }
    eprintln!("=== refused");
    if let Err(e) = start(&module(), Configuration::Text("[".into())) {
        eprintln!("{e}");
    }
    let file = wat(&format!(
        r#"(module {HEAD} (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) unreachable))"#
    ))?;
    let e = start(file.path(), Configuration::Absent)?;
    for _ in 0..6 {
        eprintln!("{:?}", http::get(&e.url("/")));
    }
    eprintln!("{}", e.log_until("unreachable")?);
    eprintln!("{:?}", e.stats("wasm|5xx")?);
    Ok(())
}
