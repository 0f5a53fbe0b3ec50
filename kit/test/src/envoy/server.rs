//! A running Envoy whose listeners can be updated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::envoy::admin::{Admin, POLL};
use crate::envoy::process::{Launch, Process};
use crate::envoy::updates::{Counts, TIMEOUT, UpdateOutcome, Updates};
use crate::error::Error;

/// A running Envoy, which is stopped when it is dropped.
#[derive(Debug)]
pub struct Server {
    process: Process,
    updates: Updates,
}

/// The state before an update: the length of Envoy's log and its counts of updates. The default is the
/// state at startup.
#[derive(Debug, Default)]
pub struct UpdateState {
    log_length: u64,
    before: Counts,
}

impl Server {
    /// Starts Envoy with its files in a directory, and waits until its admin interface listens.
    pub fn start(
        binary: &Path,
        bootstrap: &Path,
        workers: u32,
        directory: &Path,
    ) -> Result<Self, Error> {
        let launch = Launch {
            binary,
            bootstrap,
            directory,
            workers,
            // Connections that are still open after this time are closed. Istio waits 45 seconds.
            drain_seconds: 5,
            arguments: ["--log-level", "info"].map(str::to_owned).to_vec(),
        };
        let process = Process::start(launch.command(), directory, TIMEOUT)?;
        let updates = Updates::new(process.admin().clone(), workers);
        Ok(Self { process, updates })
    }

    /// The admin interface.
    pub fn admin(&self) -> &Admin {
        self.updates.admin()
    }

    /// Where the listeners listen, by their names.
    pub fn listener_addresses(&self) -> Result<BTreeMap<String, SocketAddr>, Error> {
        self.admin().listener_addresses()
    }

    /// Waits until each of the counters has risen by `rise`.
    pub fn wait_for_rise(&self, counters: &[impl AsRef<str>], rise: u64) -> Result<(), Error> {
        let names: Vec<&str> = counters.iter().map(AsRef::as_ref).collect();
        let read = || -> Result<Vec<u64>, Error> {
            let stats = self.admin().stats(&names.join("|"))?;
            let value = |name: &&str| {
                let value = stats.get(*name).copied();
                value.ok_or_else(|| Error::Envoy(format!("Envoy has no counter {name}")))
            };
            names.iter().map(value).collect()
        };
        let deadline = Instant::now() + TIMEOUT;
        let start = read()?;
        loop {
            let now = read()?;
            let mut rises = now.iter().zip(&start);
            if rises.all(|(now, start)| now.saturating_sub(*start) >= rise) {
                return Ok(());
            }
            check_deadline(deadline, || {
                format!("{names:?} did not rise by {rise}: {start:?}, then {now:?}")
            })?;
            thread::sleep(POLL);
        }
    }

    /// Waits until the log contains a text, and returns the log.
    pub fn log_until(&self, text: &str) -> Result<String, Error> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let log = self.process.log_from(0);
            if log.contains(text) {
                return Ok(log);
            }
            check_deadline(deadline, || format!("Envoy did not log {text:?}:\n{log}"))?;
            thread::sleep(POLL);
        }
    }

    /// Reads the state before an update.
    pub fn update_state(&self) -> Result<UpdateState, Error> {
        Ok(UpdateState {
            log_length: self.process.log_length(),
            before: self.updates.counts()?,
        })
    }

    /// Waits until Envoy has accepted the file that was written after this state.
    ///
    /// # Errors
    ///
    /// [`Error::EnvoyRejected`] if Envoy keeps the listeners that it had.
    pub fn wait_for_update(&self, state: &UpdateState) -> Result<(), Error> {
        let log = || self.process.log_from(state.log_length);
        match self.updates.wait(&state.before) {
            Ok(UpdateOutcome::Accepted) => Ok(()),
            // The log is complete: the thread that logs also counts and serves the admin interface.
            Ok(UpdateOutcome::Rejected) => Err(Error::EnvoyRejected { log: log() }),
            Err(error) => Err(Error::Envoy(format!("{error}; Envoy's log:\n{}", log()))),
        }
    }
}

fn check_deadline(deadline: Instant, problem: impl FnOnce() -> String) -> Result<(), Error> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(Error::Envoy(format!("within {TIMEOUT:?}, {}", problem())))
}
