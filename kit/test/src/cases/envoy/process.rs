//! An Envoy that runs cases one after another.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use super::barrier::Barrier;
use super::log::{self, ModuleLine, entries};
use super::resources::{self, BARRIER};
use crate::envoy::admin::{Admin, POLL};
use crate::envoy::process::{Launch, Process};
use crate::envoy::resources::replace;
use crate::envoy::updates::{TIMEOUT, UpdateOutcome, Updates};
use crate::error::Error;

/// With one worker thread, messages on several connections are processed in order.
const WORKERS: u32 = 1;

/// A running Envoy, which is stopped when it is dropped.
pub struct EnvoyProcess {
    process: Process,
    updates: Updates,
    directory: tempfile::TempDir,
    barrier: Barrier,
    clusters: Value,
    /// How many cases it has run.
    cases: u32,
}

impl EnvoyProcess {
    /// Starts an Envoy, without an extension.
    pub fn start(binary: &Path) -> Result<Self, Error> {
        let directory = tempfile::tempdir().map_err(Error::io("create a directory"))?;
        let path = |name: &str| directory.path().join(name);
        let (listeners, clusters) = (path("listeners.json"), path("clusters.json"));
        let no_clusters = resources::file(&[]);
        let bootstrap = path("envoy.json");
        fs::write(
            &listeners,
            resources::file(&[resources::barrier()]).to_string(),
        )
        .and_then(|()| fs::write(&clusters, no_clusters.to_string()))
        .and_then(|()| {
            let text = resources::bootstrap(&listeners, &clusters).to_string();
            fs::write(&bootstrap, text)
        })
        .map_err(Error::io("write Envoy's files"))?;
        let levels = ["--log-level", "info", "--component-log-level", "wasm:trace"];
        let launch = Launch {
            binary,
            bootstrap: &bootstrap,
            directory: directory.path(),
            workers: WORKERS,
            drain_seconds: 1,
            arguments: levels
                .into_iter()
                .chain(["--log-format", log::FORMAT])
                .map(str::to_owned)
                .collect(),
        };
        let process = Process::start(launch.command(), directory.path(), TIMEOUT)?;
        let updates = Updates::new(process.admin().clone(), WORKERS);
        updates.wait(&Default::default())?;
        let addresses = process.admin().listener_addresses()?;
        let barrier = addresses.get(BARRIER).copied();
        let barrier = barrier.ok_or_else(|| Error::Envoy("Envoy has no listener".to_owned()))?;
        Ok(Self {
            process,
            updates,
            directory,
            barrier: Barrier(barrier),
            clusters: no_clusters,
            cases: 0,
        })
    }

    /// The admin interface.
    pub fn admin(&self) -> &Admin {
        self.process.admin()
    }

    /// Waits for the worker: see [`Barrier`].
    pub fn barrier(&self) -> Barrier {
        self.barrier
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A name that no other case has had.
    pub fn next_name(&mut self) -> String {
        self.cases += 1;
        format!("case-{}", self.cases)
    }

    /// Replaces the clusters, and waits until Envoy has them.
    pub fn set_clusters(&mut self, clusters: &[Value]) -> Result<(), Error> {
        let clusters = resources::file(clusters);
        if clusters == self.clusters {
            return Ok(());
        }
        let count = || -> Result<u64, Error> {
            let stats = self.admin().stats("cluster_manager.cds.update")?;
            let names = ["update_success", "update_rejected", "update_failure"];
            let values = names
                .iter()
                .filter_map(|name| stats.get(&format!("cluster_manager.cds.{name}")));
            Ok(values.sum())
        };
        let before = count()?;
        replace(&self.path("clusters.json"), &clusters)?;
        let deadline = Instant::now() + TIMEOUT;
        while count()? == before {
            if Instant::now() >= deadline {
                return Err(Error::Envoy("Envoy does not read its clusters".to_owned()));
            }
            thread::sleep(POLL);
        }
        self.clusters = clusters;
        Ok(())
    }

    /// Replaces the listeners, and waits until Envoy serves or rejects them. Returns the address of
    /// the listener with this name. `None`: it is rejected.
    pub fn set_listeners(
        &mut self,
        name: &str,
        mut listeners: Vec<Value>,
    ) -> Result<Option<SocketAddr>, Error> {
        listeners.push(resources::barrier());
        let before = self.updates.counts()?;
        replace(&self.path("listeners.json"), &resources::file(&listeners))?;
        let outcome = self.updates.wait(&before)?;
        if outcome == UpdateOutcome::Rejected {
            return Ok(None);
        }
        let addresses = self.admin().listener_addresses()?;
        let address = addresses.get(name).copied();
        let missing = || Error::Envoy(format!("Envoy has no listener {name}"));
        address.map(Some).ok_or_else(missing)
    }

    /// The length of the log, in bytes.
    pub fn log_length(&self) -> u64 {
        self.process.log_length()
    }

    /// The lines of the extension with this VM ID in a part of the log.
    pub fn entries(&self, start: u64, vm_id: &str) -> Vec<ModuleLine> {
        entries(&self.process.log_from(start), vm_id)
    }

    /// A part of the log, without the marks.
    pub fn readable_log(&self, start: u64) -> String {
        log::readable(&self.process.log_from(start))
    }

    /// The first trap in a part of the log.
    pub fn trap(&self, start: u64) -> Option<String> {
        log::trap(&self.process.log_from(start))
    }

    /// Whether the main thread logged a line. It checks a configuration before the worker gets it.
    pub fn is_of_main_thread(&self, entry: &ModuleLine) -> bool {
        entry.thread == self.process.id()
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.status().is_some()
    }
}
