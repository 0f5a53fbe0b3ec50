//! A running Envoy, and how it takes over its listeners.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::admin::Admin;
use super::process::Process;

/// How long an Envoy may take to compile a module and start serving, or to take over an update.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait before Envoy is asked again.
const POLL: Duration = Duration::from_millis(10);

/// A running Envoy. Dropped, it is stopped.
#[derive(Debug)]
pub struct Server {
    process: Process,
    admin: Admin,
    workers: u32,
}

/// What Envoy makes of a file with listeners.
#[derive(Debug)]
pub enum Answer {
    /// Every worker has taken them over.
    Accepted,
    /// The listeners from before stay; with what Envoy logged.
    Refused(String),
}

/// A point in an Envoy's life, from which its answer is awaited. The default is the start.
#[derive(Debug, Default)]
pub struct Mark {
    log_length: u64,
    accepted: u64,
    refused: u64,
}

impl Server {
    /// Starts Envoy in a folder of its own and waits until its admin interface is there.
    pub fn start(binary: &Path, bootstrap: &Path, workers: u32, folder: &Path) -> Result<Self> {
        let admin = folder.join("admin");
        let mut command = Command::new(binary);
        command
            .arg("--config-path")
            .arg(bootstrap)
            .arg("--admin-address-path")
            .arg(&admin)
            .args(["--concurrency", &workers.to_string()])
            .args(["--use-dynamic-base-id", "--log-level", "info"])
            // As Istio starts it: after an update, a connection's next response closes it. What is
            // open after that time is cut off, for which Istio waits 45 seconds.
            .args(["--drain-strategy", "immediate", "--drain-time-s", "5"]);
        let mut process = Process::start(command, &folder.join("log"))?;
        let admin = wait_for_admin(&mut process, &admin)?;
        Ok(Self {
            process,
            admin,
            workers,
        })
    }

    /// Where the listeners listen, by their names.
    pub fn listener_addresses(&self) -> Result<BTreeMap<String, SocketAddr>> {
        self.admin.listener_addresses()
    }

    /// The counters and gauges whose names have a match for the regular expression `filter`.
    pub fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>> {
        self.admin.stats(filter)
    }

    /// What the admin interface answers to a path.
    pub fn admin(&self, path: &str) -> Result<String> {
        self.admin.text(path)
    }

    /// Waits until each of the counters has risen by so much.
    pub fn wait_for_rise(&self, counters: &[impl AsRef<str>], rise: u64) -> Result<()> {
        let names: Vec<&str> = counters.iter().map(AsRef::as_ref).collect();
        let read = || -> Result<Vec<u64>> {
            let stats = self.stats(&names.join("|"))?;
            let value = |name: &&str| {
                stats
                    .get(*name)
                    .copied()
                    .with_context(|| format!("Envoy has no counter {name}"))
            };
            names.iter().map(value).collect()
        };
        let deadline = Instant::now() + TIMEOUT;
        let start = read()?;
        loop {
            let now = read()?;
            if now
                .iter()
                .zip(&start)
                .all(|(now, start)| now.saturating_sub(*start) >= rise)
            {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{names:?} did not rise by {rise} within {TIMEOUT:?}: {start:?}, then {now:?}"
            );
            thread::sleep(POLL);
        }
    }

    /// Waits until the log contains a text, and gives the log.
    pub fn log_until(&self, text: &str) -> Result<String> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let log = self.process.log_from(0)?;
            if log.contains(text) {
                return Ok(log);
            }
            ensure!(
                Instant::now() < deadline,
                "Envoy did not log {text:?} within {TIMEOUT:?}:\n{log}"
            );
            thread::sleep(POLL);
        }
    }

    /// Marks the point before an update.
    pub fn mark(&self) -> Result<Mark> {
        let counts = Counts::read(&self.admin)?;
        Ok(Mark {
            log_length: self.process.log_length()?,
            accepted: counts.accepted,
            refused: counts.refused,
        })
    }

    /// Waits for the answer to the file that was written after the mark.
    pub fn wait_for_answer(&self, mark: &Mark) -> Result<Answer> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let counts = Counts::read(&self.admin).with_context(|| {
                let log = self.process.log_from(mark.log_length).unwrap_or_default();
                format!("Envoy's log:\n{log}")
            })?;
            if counts.refused > mark.refused {
                // One thread of Envoy's logs, counts, and answers here, so the log is complete.
                return Ok(Answer::Refused(self.process.log_from(mark.log_length)?));
            }
            if counts.accepted > mark.accepted && counts.all_workers_follow(self.workers) {
                return Ok(Answer::Accepted);
            }
            ensure!(
                Instant::now() < deadline,
                "Envoy did not take over its listeners within {TIMEOUT:?}:\n{}",
                self.process.log_from(mark.log_length)?
            );
            thread::sleep(POLL);
        }
    }
}

/// What became of the listeners so far.
struct Counts {
    accepted: u64,
    refused: u64,
    /// Listeners that came new or changed.
    changes: u64,
    /// The same, counted once for each worker that is done with one.
    changes_in_workers: u64,
}

impl Counts {
    fn read(admin: &Admin) -> Result<Self> {
        let stats = admin.stats("listener_manager")?;
        let sum = |names: &[&str]| {
            names
                .iter()
                .filter_map(|name| stats.get(&format!("listener_manager.{name}")))
                .sum()
        };
        Ok(Self {
            accepted: sum(&["lds.update_success"]),
            refused: sum(&["lds.update_rejected", "lds.update_failure"]),
            changes: sum(&["listener_added", "listener_modified"]),
            changes_in_workers: sum(&["listener_create_success", "listener_create_failure"]),
        })
    }

    /// Envoy accepts a change before its workers have heard of it.
    fn all_workers_follow(&self, workers: u32) -> bool {
        self.changes_in_workers >= self.changes * u64::from(workers)
    }
}

fn wait_for_admin(process: &mut Process, path: &Path) -> Result<Admin> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(admin) = Admin::read(path) {
            return Ok(admin);
        }
        ensure!(
            !process.has_ended()?,
            "Envoy refused to start:\n{}",
            process.log_from(0)?
        );
        ensure!(
            Instant::now() < deadline,
            "Envoy did not start within {TIMEOUT:?}:\n{}",
            process.log_from(0)?
        );
        thread::sleep(POLL);
    }
}
