//! An Envoy with one filter, which responds to every request itself, so that only Envoy and the
//! filter are measured.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use proxy_wasm_test::envoy::process::{Launch, Process};
use proxy_wasm_test::envoy::resources::{bootstrap, discovery_response, http_listener};
use proxy_wasm_test::envoy::updates::{Counts, UpdateOutcome, Updates};
use proxy_wasm_test::http;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::subject::{Filter, Workload};

/// How long an Envoy may take to start. Under callgrind it is slow.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The number of worker threads.
const WORKERS: u32 = 1;

/// The listener's name.
const LISTENER: &str = "bench";

/// A running Envoy with a filter. It is stopped when it is dropped.
#[derive(Debug)]
pub struct EnvoyProcess {
    process: Process,
    address: SocketAddr,
    directory: TempDir,
}

impl EnvoyProcess {
    /// Starts Envoy, and waits until it serves. `wrap` gets Envoy's command and the directory for
    /// its files, and returns the command to run.
    ///
    /// # Errors
    ///
    /// If Envoy does not start or rejects the filter. The error contains its log.
    pub fn start(
        binary: &Path,
        filter: &Filter,
        workload: &Workload,
        wrap: impl FnOnce(Command, &Path) -> Command,
    ) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("envoy.json");
        let listeners = directory.path().join("listeners.json");
        fs::write(
            &file,
            bootstrap_without_timers(&listeners, filter).to_string(),
        )?;
        fs::write(&listeners, listener(filter, workload).to_string())?;
        let launch = Launch {
            binary,
            bootstrap: &file,
            directory: directory.path(),
            workers: WORKERS,
            drain_seconds: 0,
            arguments: ["--log-level", "warning"].map(str::to_owned).to_vec(),
        };
        let mut command = wrap(launch.command(), directory.path());
        if let Filter::DynamicModule(path) = filter
            && let Some(directory) = path.parent()
        {
            command.env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", directory);
        }
        let process = Process::start(command, directory.path(), TIMEOUT)?;
        let updates = Updates::new(process.admin().clone(), WORKERS).timeout(TIMEOUT);
        let log = || process.log_from(0);
        match updates.wait(&Counts::default()) {
            Ok(UpdateOutcome::Accepted) => {}
            Ok(UpdateOutcome::Rejected) => bail!("Envoy rejects the filter; its log:\n{}", log()),
            Err(error) => bail!("{error}; Envoy's log:\n{}", log()),
        }
        let address = process.admin().listener_addresses()?.remove(LISTENER);
        Ok(Self {
            address: address.context("Envoy does not list the listener that it accepted")?,
            process,
            directory,
        })
    }

    /// A URL behind the filter.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The directory of the process's files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// How many of the workload's headers a response has.
    ///
    /// # Errors
    ///
    /// If there is no response, or if its status is not 200.
    pub fn headers_appended(&self, workload: &Workload) -> Result<usize> {
        let response = http::get(&self.url())?;
        ensure!(
            response.status == 200,
            "the response has the status {}",
            response.status
        );
        let is_appended = |header: &&(String, String)| response.headers.contains(header);
        Ok(workload.headers.iter().filter(is_appended).count())
    }
}

/// Envoy's bootstrap. What Envoy does on timers would be counted with the requests, and on a slow
/// machine there would be more of it. So statistics and watchdogs have intervals that are longer
/// than a measurement.
fn bootstrap_without_timers(listeners: &Path, filter: &Filter) -> Value {
    // No request reaches this upstream.
    let mut bootstrap = bootstrap(listeners, 0, ("127.0.0.1", 9));
    let watchdog = json!({"miss_timeout": "600s", "megamiss_timeout": "600s"});
    if let Some(clusters) = bootstrap
        .pointer_mut("/static_resources/clusters")
        .and_then(Value::as_array_mut)
    {
        clusters.extend(filter.cluster());
    }
    bootstrap["stats_flush_interval"] = json!("299s");
    bootstrap["watchdogs"] = json!({
        "main_thread_watchdog": watchdog,
        "worker_watchdog": watchdog,
    });
    bootstrap
}

fn listener(filter: &Filter, workload: &Workload) -> Value {
    let route = json!({
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": "measured"}},
    });
    let filters: Vec<Value> = filter.to_json(workload).into_iter().collect();
    discovery_response(&[http_listener(LISTENER, 0, &[route], &filters)])
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proxy_wasm_test::envoy::find_or_fetch;

    use super::*;
    use crate::{baseline, dynamic_module, ext_proc};

    fn unwrapped(envoy: Command, _: &Path) -> Command {
        envoy
    }

    #[test]
    fn every_filter_appends_all_headers_in_envoy() -> Result<()> {
        let envoy = find_or_fetch()?;
        let workload = Workload::new(100, None);
        let directory = tempfile::tempdir()?;
        let module = |name: &str, bytes: Vec<u8>| -> Result<Filter> {
            let path = directory.path().join(name);
            fs::write(&path, bytes)?;
            Ok(Filter::Module(path))
        };
        let other = wat::parse_str(
            "(module (func (export \"proxy_on_context_create\") (param i32 i32))
                     (func (export \"proxy_on_configure\") (param i32 i32) (result i32) i32.const 0)
                     (func (export \"proxy_on_done\") (param i32) (result i32) i32.const 0)
                     (func (export \"proxy_on_delete\") (param i32)))",
        )?;
        let same_callbacks = baseline::same_callbacks(&other, &workload.headers)?;
        for (filter, appended) in [
            (Filter::None, 0),
            (Filter::HeaderMutation, 100),
            (Filter::Lua, 100),
            (Filter::DynamicModule(dynamic_module::build()?), 100),
            (Filter::ExtProc(ext_proc::start(&workload.headers)?), 100),
            (
                module("one", baseline::one_callback(&workload.headers)?)?,
                100,
            ),
            (module("same", same_callbacks)?, 100),
        ] {
            let proxy = EnvoyProcess::start(&envoy, &filter, &workload, unwrapped)?;
            assert_eq!(proxy.headers_appended(&workload)?, appended, "{filter:?}");
        }
        Ok(())
    }

    #[test]
    fn error_about_a_rejected_module_contains_envoys_log() -> Result<()> {
        let envoy = find_or_fetch()?;
        let none = Filter::Module(PathBuf::from("no-such-module.wasm"));
        let started = EnvoyProcess::start(&envoy, &none, &Workload::new(1, None), unwrapped);
        let error = started.err().context("Envoy accepts the module")?;
        assert!(error.to_string().contains("no-such-module.wasm"), "{error}");
        Ok(())
    }
}
