//! Requests, sent by h2load.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// How to get the load generator.
const ADVICE: &str = "cannot run h2load; install it (Debian and Ubuntu: apt-get install \
                      nghttp2-client; Fedora: nghttp2; macOS: brew install nghttp2)";

/// Checks that h2load is installed.
///
/// # Errors
///
/// If it is not: how to get it.
pub fn check_installed() -> Result<()> {
    Command::new("h2load")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .context(ADVICE)?;
    Ok(())
}

/// Sends exactly this many requests over HTTP/1.1, and waits for the responses.
///
/// # Errors
///
/// If there is no h2load, or if a response does not have the status 200.
pub fn send(url: &str, requests: usize, connections: usize) -> Result<()> {
    let log = tempfile::NamedTempFile::new()?;
    let output = Command::new("h2load")
        .args(["--h1", "--threads", "1"])
        .args(["--requests", &requests.to_string()])
        .args(["--clients", &connections.to_string()])
        .arg("--log-file")
        .arg(log.path())
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .context(ADVICE)?;
    ensure!(
        output.status.success(),
        "h2load failed: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let printed = || {
        let stdout = String::from_utf8_lossy(&output.stdout);
        format!("h2load printed:\n{stdout}")
    };
    let responses = count(&fs::read_to_string(log.path())?).with_context(printed)?;
    ensure!(
        responses == requests,
        "{responses} of {requests} requests got a response; {}",
        printed()
    );
    Ok(())
}

/// Counts the responses in h2load's log. It has a line for each: start, status, duration.
fn count(log: &str) -> Result<usize> {
    for line in log.lines() {
        let status = line
            .split('\t')
            .nth(1)
            .with_context(|| format!("h2load's log has a line without a status: {line:?}"))?;
        ensure!(status == "200", "a response has the status {status}");
    }
    Ok(log.lines().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_in_the_log_are_counted() -> Result<()> {
        assert_eq!(count("1\t200\t1\n2\t200\t1\n")?, 2);
        assert_eq!(count("")?, 0);
        Ok(())
    }

    #[test]
    fn status_other_than_200_is_an_error() {
        assert!(count("1\t200\t1\n2\t503\t1\n").is_err());
        assert!(count("1\t-1\t1\n").is_err());
        assert!(count("1\n").is_err());
    }
}
