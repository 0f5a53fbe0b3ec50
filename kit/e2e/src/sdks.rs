//! The extensions in `kit/examples/sdks`, built as its README says.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::copy;
use crate::template;

/// The directory with the extensions in other languages.
pub fn directory() -> PathBuf {
    template().join("kit/examples/sdks")
}

/// The module in AssemblyScript. Needs Node.
pub fn assemblyscript() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| build("assemblyscript").unwrap_or_else(|error| panic!("{error:#}")))
}

/// The module in Go. Needs Go.
pub fn go() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| build("go").unwrap_or_else(|error| panic!("{error:#}")))
}

fn build(language: &str) -> Result<PathBuf> {
    let readme = std::fs::read_to_string(directory().join("README.md"))?;
    let command = build_command(&readme, language)
        .with_context(|| format!("the README does not say how {language} is built"))?;
    let directory = directory().join(language);
    copy::command(&directory, "sh", &["-c", command])?;
    Ok(directory.join("build/extension.wasm"))
}

/// The command after the one that enters the language's directory.
fn build_command<'a>(readme: &'a str, language: &str) -> Option<&'a str> {
    let enters = format!("    cd {language}\n");
    let (_, after) = readme.split_once(&enters)?;
    after.lines().next()?.strip_prefix("    ")
}
