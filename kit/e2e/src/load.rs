//! Load from wrk, of which every response is checked.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use proxy_wasm_test::envoy::process::KillOnDrop;
use rustix::process::{Pid, Signal, kill_process};

/// Counts what wrk sees.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/load.lua");

/// A load generator at work. Dropped, it is stopped.
pub struct Load(KillOnDrop);

/// What a load generator has seen.
#[derive(Debug, Default)]
pub struct Report {
    /// How many requests were sent and answered.
    pub requests: u64,
    /// How many responses were looked at, which should be all.
    pub checked: u64,
    /// Statuses other than 200, and connections that did not come about, broke or timed out.
    pub failed: u64,
    /// Responses without the header.
    pub without_header: u64,
    /// How many responses had which value of the header.
    pub values: BTreeMap<String, u64>,
}

impl Load {
    /// Sends requests over 16 connections that stay open as long as the server lets them, and looks
    /// for a header in the responses.
    pub fn start(url: &str, header: &str) -> Result<Self> {
        // It is stopped long before the duration ends.
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

    /// Stops the load and counts.
    pub fn finish(mut self) -> Result<Report> {
        ensure!(self.0.0.try_wait()?.is_none(), "wrk has ended by itself");
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

/// Reads the lines of load.lua among those of wrk itself.
fn read(output: &str) -> Result<Report> {
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
    Ok(Report {
        requests: count("requests")?,
        checked: count("checked")?,
        failed: count("failed")?,
        without_header: count("without")?,
        values,
    })
}
