//! A running Envoy, and how it takes over its listeners.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::admin::{Admin, POLL};
use super::process::Process;
use super::updates::{Counts, Outcome, TIMEOUT, Updates};

/// A running Envoy. Dropped, it is stopped.
#[derive(Debug)]
pub struct Server {
    process: Process,
    updates: Updates,
}

/// How an Envoy is started.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Envoy itself.
    pub binary: &'a Path,
    /// The file with its bootstrap.
    pub bootstrap: &'a Path,
    /// The file into which it writes where its admin interface is.
    pub admin: &'a Path,
    /// The number of worker threads.
    pub workers: u32,
    /// How long what is open when a listener changes may take to end, in seconds.
    pub drain_seconds: u32,
}

impl Launch<'_> {
    /// The command, to which the caller adds what is to be logged.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.binary);
        command
            .arg("--config-path")
            .arg(self.bootstrap)
            .arg("--admin-address-path")
            .arg(self.admin)
            .args(["--concurrency", &self.workers.to_string()])
            // Nobody takes over from it; else it would leave shared memory behind.
            .arg("--disable-hot-restart")
            // As Istio starts it: after an update, a connection's next response closes it.
            .args(["--drain-strategy", "immediate"])
            .args(["--drain-time-s", &self.drain_seconds.to_string()]);
        command
    }
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
    before: Counts,
}

impl Server {
    /// Starts Envoy in a folder of its own and waits until its admin interface is there.
    pub fn start(binary: &Path, bootstrap: &Path, workers: u32, folder: &Path) -> Result<Self> {
        let admin = folder.join("admin");
        // What is open after the drain time is cut off, for which Istio waits 45 seconds.
        let launch = Launch {
            binary,
            bootstrap,
            admin: &admin,
            workers,
            drain_seconds: 5,
        };
        let mut command = launch.command();
        command.args(["--log-level", "info"]);
        let mut process = Process::start(command, &folder.join("log"))?;
        let admin = wait_for_admin(&mut process, &admin)?;
        Ok(Self {
            process,
            updates: Updates::new(admin, workers),
        })
    }

    /// Where the listeners listen, by their names.
    pub fn listener_addresses(&self) -> Result<BTreeMap<String, SocketAddr>> {
        self.updates.admin().listener_addresses()
    }

    /// The counters and gauges whose names have a match for the regular expression `filter`.
    pub fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>> {
        self.updates.admin().stats(filter)
    }

    /// What the admin interface answers to a path.
    pub fn admin(&self, path: &str) -> Result<String> {
        self.updates.admin().text(path)
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
        Ok(Mark {
            log_length: self.process.log_length()?,
            before: self.updates.counts()?,
        })
    }

    /// Waits for the answer to the file that was written after the mark.
    pub fn wait_for_answer(&self, mark: &Mark) -> Result<Answer> {
        let outcome = self.updates.wait(&mark.before).with_context(|| {
            let log = self.process.log_from(mark.log_length).unwrap_or_default();
            format!("Envoy's log:\n{log}")
        })?;
        match outcome {
            Outcome::Accepted => Ok(Answer::Accepted),
            // One thread of Envoy's logs, counts, and answers here, so the log is complete.
            Outcome::Refused => Ok(Answer::Refused(self.process.log_from(mark.log_length)?)),
        }
    }
}

fn wait_for_admin(process: &mut Process, path: &Path) -> Result<Admin> {
    let deadline = Instant::now() + TIMEOUT;
    Admin::wait(path, || {
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
        Ok(())
    })
}
