//! Load from wrk. Every response is checked.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use proxy_wasm_test::envoy::process::KillOnDrop;
use rustix::process::{Pid, Signal, kill_process};

/// Counts responses in wrk.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/load.lua");

/// A running load generator. Dropping it stops it.
pub struct Load(KillOnDrop);

/// The responses that a load generator received.
#[derive(Debug, Default)]
pub struct LoadReport {
    /// The number of requests that got a response.
    pub requests: u64,
    /// The number of responses that were checked. It should equal `requests`.
    pub checked: u64,
    /// The number of other statuses than 200, and of connections that failed or timed out.
    pub failed: u64,
    /// The number of responses without the header.
    pub without_header: u64,
    /// The number of responses by the value of the header.
    pub values: BTreeMap<String, u64>,
}

impl Load {
    /// Sends requests over 16 connections, which stay open until the server closes them, and checks
    /// for a header in the responses.
    pub fn start(url: &str, header: &str) -> Result<Self> {
        // The load is stopped long before this duration.
        Command::new("wrk")
            .args(["--threads", "2", "--connections", "16"])
            .args(["--duration", "10m", "--timeout", "30s"])
            .args(["--script", SCRIPT, url, "--", header])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map(|child| Self(KillOnDrop(child)))
            .context("cannot run wrk")
    }

    /// Stops the load, and returns the counts.
    pub fn finish(mut self) -> Result<LoadReport> {
        ensure!(
            self.0.0.try_wait()?.is_none(),
            "wrk exited before it was stopped"
        );
        let pid = Pid::from_child(&self.0.0);
        kill_process(pid, Signal::INT).context("cannot stop wrk")?;
        let mut output = String::new();
        let stdout = self
            .0
            .0
            .stdout
            .as_mut()
            .context("wrk's output is not piped")?;
        stdout.read_to_string(&mut output)?;
        let status = self.0.0.wait()?;
        ensure!(status.success(), "wrk failed: {status}\n{output}");
        read(&output).with_context(|| format!("wrk printed:\n{output}"))
    }
}

/// Reads the lines that load.lua prints.
fn read(output: &str) -> Result<LoadReport> {
    let mut counts = BTreeMap::new();
    let mut values = BTreeMap::new();
    for line in output.lines() {
        let mut fields = line.split('\t');
        let kind = match fields.next() {
            Some("count") => &mut counts,
            Some("value") => &mut values,
            _ => continue,
        };
        let name = fields.next().context("a line without a name")?;
        let count: u64 = fields.next().context("a line without a count")?.parse()?;
        kind.insert(name.to_owned(), count);
    }
    let count = |name: &str| {
        counts
            .get(name)
            .copied()
            .with_context(|| format!("no {name}"))
    };
    Ok(LoadReport {
        requests: count("requests")?,
        checked: count("checked")?,
        failed: count("failed")?,
        without_header: count("without")?,
        values,
    })
}
