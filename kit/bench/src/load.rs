//! Load from h2load, which sends an exact number of requests.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// How to get the load generator.
const ADVICE: &str = "install h2load (Debian and Ubuntu: apt-get install nghttp2-client; Fedora: \
                      nghttp2; macOS: brew install nghttp2)";

/// What a load generator has seen.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// When the first request was sent, in microseconds.
    start: u64,
    /// When the last response was complete, in microseconds.
    end: u64,
    /// How long each response took, in microseconds, in ascending order.
    latencies: Vec<u64>,
}

impl Load {
    /// Responses in a second.
    pub fn per_second(&self) -> f64 {
        let seconds = self.end.saturating_sub(self.start) as f64 / 1e6;
        if seconds > 0.0 {
            self.latencies.len() as f64 / seconds
        } else {
            0.0
        }
    }

    /// The time within which so many hundredths of the responses came, in microseconds.
    pub fn percentile(&self, hundredths: usize) -> u64 {
        let index = (self.latencies.len() * hundredths).div_ceil(100);
        let index = index.saturating_sub(1);
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// Sends exactly so many requests over HTTP/1.1, and waits for the responses.
///
/// # Errors
///
/// When there is no h2load, with how to get it; when a request is not answered with status 200.
pub fn send(url: &str, requests: u32, connections: u32) -> Result<Load> {
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
        .with_context(|| format!("cannot run h2load; {ADVICE}"))?;
    let printed = || String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "h2load failed: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let load = read(&fs::read_to_string(log.path())?)
        .with_context(|| format!("h2load printed:\n{}", printed()))?;
    ensure!(
        load.latencies.len() == requests as usize,
        "{} of {requests} requests were answered; h2load printed:\n{}",
        load.latencies.len(),
        printed()
    );
    Ok(load)
}

/// Whether the load generator is there.
///
/// # Errors
///
/// When it is not: how to get it.
pub fn ensure_installed() -> Result<()> {
    Command::new("h2load")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot run h2load; {ADVICE}"))?;
    Ok(())
}

/// Reads h2load's log: a line for each request, with when it began, its status, and how long it took.
fn read(log: &str) -> Result<Load> {
    let mut load = Load {
        start: u64::MAX,
        ..Load::default()
    };
    for line in log.lines() {
        let mut fields = line.split('\t');
        let mut field = || {
            fields
                .next()
                .with_context(|| format!("h2load's log has a line that is cut off: {line:?}"))
        };
        let (start, status, latency) = (field()?, field()?, field()?);
        ensure!(status == "200", "a request was answered with {status}");
        let number = |text: &str| -> Result<u64> {
            text.parse()
                .with_context(|| format!("h2load's log has {text:?} for a number: {line:?}"))
        };
        let (start, latency) = (number(start)?, number(latency)?);
        load.start = load.start.min(start);
        load.end = load.end.max(start.saturating_add(latency));
        load.latencies.push(latency);
    }
    load.latencies.sort_unstable();
    Ok(load)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gives_rate_and_percentiles() -> Result<()> {
        let log: String = (1..=100)
            .map(|index| format!("{}\t200\t{index}\n", 1_000_000 + index * 10_000))
            .collect();
        let load = read(&log)?;
        assert_eq!(load.percentile(50), 50);
        assert_eq!(load.percentile(99), 99);
        assert!((load.per_second() - 101.0).abs() < 0.1, "{load:?}");
        Ok(())
    }

    #[test]
    fn a_response_that_is_not_200_is_an_error() {
        assert!(read("1\t503\t1\n").is_err());
        assert!(read("1\t-1\t1\n").is_err());
        assert!(read("1\t200\n").is_err());
    }

    #[test]
    fn no_responses_give_no_rate() {
        assert_eq!(Load::default().percentile(99), 0);
        assert_eq!(Load::default().per_second(), 0.0);
    }
}
