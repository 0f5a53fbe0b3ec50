//! The dynamic module that the extension is compared with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

const PACKAGE: &str = "proxy-wasm-bench-dynamic-module";

/// Compiles the dynamic module, and returns the path of the shared library.
///
/// # Errors
///
/// If it does not compile.
pub fn build() -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--package", PACKAGE])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "{PACKAGE} does not compile");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| {
            let file = message["filenames"].get(0)?.as_str()?;
            file.contains("dynamic_module").then(|| PathBuf::from(file))
        })
        .with_context(|| format!("cargo names no file of {PACKAGE}"))
}
