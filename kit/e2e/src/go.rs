//! Programs in Go, which run the code of Kubernetes and Istio.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::template;

/// Compiles a program of this package, and returns its path.
///
/// # Errors
///
/// If Go is not installed, or if the program does not compile.
pub fn build(name: &str) -> Result<PathBuf> {
    let program = template().join("target/go").join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(&source)
        .status()
        .context("cannot run go")?;
    ensure!(status.success(), "{} does not compile", source.display());
    Ok(program)
}

/// The directory with the files of a Go module, `PATH@VERSION`.
///
/// # Errors
///
/// If it cannot be downloaded.
pub fn module(module: &str) -> Result<PathBuf> {
    let output = crate::run("go", &["mod", "download", "-json", module])?;
    let module: Value = serde_json::from_str(&output)?;
    let directory = module["Dir"]
        .as_str()
        .context("a module without a directory")?;
    Ok(PathBuf::from(directory))
}
