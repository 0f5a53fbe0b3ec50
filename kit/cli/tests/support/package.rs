//! A package that `cargo proxy-wasm` builds.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Its Cargo.toml. It has the dependencies and the Cargo.lock of the fixtures.
const PACKAGE: &str = r#"
[workspace]
[package]
name = "fixtures"
version = "0.0.0"
edition = "2024"
publish = false
[lib]
crate-type = ["cdylib"]
[dependencies]
proxy-wasm = "0.2"
[profile.wasm]
inherits = "release"
panic = "abort"
strip = "debuginfo"
"#;

/// Its manifest.yaml.
const MANIFEST: &str = "schemaVersion: 1\nphase: PostAuthZ\npriority: 1\nmodule: extension.wasm\n";

/// Writes an extension to this directory in Cargo's directory for tests, which is kept because it
/// has compiled dependencies.
pub fn write_package(path: &str, source: &str) -> Result<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(path);
    fs::create_dir_all(directory.join("src"))?;
    fs::write(directory.join("Cargo.toml"), PACKAGE)?;
    fs::write(directory.join("manifest.yaml"), MANIFEST)?;
    fs::write(directory.join("src/lib.rs"), source)?;
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/Cargo.lock");
    fs::copy(lock, directory.join("Cargo.lock"))?;
    Ok(directory)
}
