//! Helpers for the tests of the toolkit and the template together. Only this package knows both.

use std::io::{self, Write};
use std::process::Command;

use anyhow::{Context, Result, ensure};

mod built;
pub mod console;
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

/// The maximum number of files that an author of an extension owns.
pub const MAX_FILES: usize = 36;

/// Prints a line to standard error, which the test runner does not capture.
pub fn print_line(line: &str) {
    // If standard error is closed, nobody reads the line.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs a command, and returns its output.
///
/// # Errors
///
/// If it fails. The message has its output.
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
