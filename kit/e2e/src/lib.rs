//! Tests of the toolkit and the template together. Only this package knows both; here is what its
//! tests share.

use std::io::{self, Write};
use std::process::Command;

use anyhow::{Context, Result, ensure};

mod built;
pub mod copy;
pub mod deployed;
pub mod go;
pub mod load;
pub mod pulled;
pub mod reconfigure;
pub mod registry;
pub mod sdks;
mod upstream;

pub use built::{extension, image_root, module_path, name, recipe, recipe_path, template, toolkit};
pub use upstream::{LARGE, start_upstream};

/// The most files that an author of an extension owns.
pub const MAX_FILES: usize = 36;

/// Prints a line that the test runner does not capture.
pub fn print_line(line: &str) {
    // Without a standard error nobody reads it.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs a command that has to succeed, and returns what it prints.
///
/// # Errors
///
/// If it fails: what it printed.
pub fn run(command: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(command)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {command}"))?;
    ensure!(
        output.status.success(),
        "{command} {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
