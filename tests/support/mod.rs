//! What the tests share.

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

/// Whether a tool that a test needs works here. In CI it has to.
#[allow(dead_code)] // not every test program needs a tool
pub fn available(tool: &str, probe: &str) -> bool {
    let answers = Command::new(tool)
        .arg(probe)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let missing = format!(
        "`{tool} {probe}` does not answer; install {tool}, for example with apt-get install {tool}"
    );
    assert!(
        answers || env::var("CI").as_deref() != Ok("true"),
        "{missing}"
    );
    if !answers {
        say(&format!("SKIPPED: {missing}"));
    }
    answers
}

/// Prints a line that the test runner does not keep to itself.
pub fn say(line: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
