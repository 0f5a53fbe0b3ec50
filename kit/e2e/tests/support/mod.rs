//! What the tests share.

use std::io::{self, Write};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Prints a line that the test runner does not keep to itself.
#[allow(dead_code)] // not every test program has something to say
pub fn say(line: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs a command that has to succeed, and gives what it prints.
#[allow(dead_code)] // as above
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
