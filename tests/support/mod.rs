//! What the tests share.

use std::env;
use std::io::{self, Write};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};

/// Whether a tool that a test needs works here: it has to end well when asked. In CI it has to work.
#[allow(dead_code)] // not every test program needs a tool
pub fn available(tool: &str, probe: &str) -> bool {
    let answers = quietly(Command::new(tool).arg(probe)).is_ok_and(|status| status.success());
    report(answers, &format!("`{tool} {probe}` does not answer"), tool)
}

/// Whether a tool that a test needs is installed. In CI it has to be.
#[allow(dead_code)] // as above
pub fn installed(tool: &str) -> bool {
    let starts = quietly(&mut Command::new(tool)).is_ok();
    report(starts, &format!("there is no {tool}"), tool)
}

fn quietly(command: &mut Command) -> io::Result<ExitStatus> {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status()
}

fn report(available: bool, problem: &str, tool: &str) -> bool {
    let installer = if tool.starts_with("cargo-") {
        "cargo install --locked"
    } else {
        "apt-get install"
    };
    let missing = format!("{problem}; install {tool}, for example with {installer} {tool}");
    assert!(
        available || env::var("CI").as_deref() != Ok("true"),
        "{missing}"
    );
    if !available {
        say(&format!("SKIPPED: {missing}"));
    }
    available
}

/// Prints a line that the test runner does not keep to itself.
pub fn say(line: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
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
