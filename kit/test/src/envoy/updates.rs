//! Whether Envoy accepts updates of its listeners.

use std::thread;
use std::time::{Duration, Instant};

use crate::envoy::admin::{Admin, POLL};
use crate::error::Error;

/// How long an Envoy may take to compile a module and start serving, or to apply an update.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How Envoy has responded to a file with listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// Every worker uses them.
    Accepted,
    /// Envoy keeps the previous version of at least one listener; the log says why. Every worker uses the
    /// others.
    Rejected,
}

/// The updates of a running Envoy's listeners.
#[derive(Clone, Debug)]
pub struct Updates {
    admin: Admin,
    workers: u32,
    timeout: Duration,
}

impl Updates {
    /// The updates of the Envoy with this admin interface.
    pub fn new(admin: Admin, workers: u32) -> Self {
        Self {
            admin,
            workers,
            timeout: TIMEOUT,
        }
    }

    /// Sets how long to wait for an update, which is [`TIMEOUT`] if not set. An Envoy that runs under
    /// another program may need longer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.admin = self.admin.timeout(timeout);
        self
    }

    /// The admin interface.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The counts of updates so far.
    pub fn counts(&self) -> Result<Counts, Error> {
        Counts::read(&self.admin)
    }

    /// Waits until Envoy has accepted or rejected a file that was written after `before` was counted.
    pub fn wait(&self, before: &Counts) -> Result<UpdateOutcome, Error> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let counts = self.counts()?;
            if counts.are_workers_updated(self.workers) {
                if counts.rejected > before.rejected {
                    return Ok(UpdateOutcome::Rejected);
                }
                if counts.accepted > before.accepted {
                    return Ok(UpdateOutcome::Accepted);
                }
            }
            if Instant::now() >= deadline {
                return Err(Error::Envoy(format!(
                    "Envoy did not load its listeners within {:?}",
                    self.timeout
                )));
            }
            thread::sleep(POLL);
        }
    }
}

/// Envoy's counters of updates. The default is their state at startup.
#[derive(Debug, Default)]
pub struct Counts {
    accepted: u64,
    rejected: u64,
    /// Listeners that were added or modified.
    changes: u64,
    /// The same, counted once for each worker that has processed a listener.
    changes_in_workers: u64,
}

impl Counts {
    fn read(admin: &Admin) -> Result<Self, Error> {
        let stats = admin.stats("listener_manager")?;
        let sum = |names: &[&str]| {
            names
                .iter()
                .filter_map(|name| stats.get(&format!("listener_manager.{name}")))
                .sum()
        };
        Ok(Self {
            accepted: sum(&["lds.update_success"]),
            rejected: sum(&["lds.update_rejected", "lds.update_failure"]),
            changes: sum(&["listener_added", "listener_modified"]),
            changes_in_workers: sum(&["listener_create_success", "listener_create_failure"]),
        })
    }

    /// Whether all workers use the listeners. Envoy accepts a change before its workers apply it.
    fn are_workers_updated(&self, workers: u32) -> bool {
        self.changes_in_workers >= self.changes.saturating_mul(u64::from(workers))
    }
}
