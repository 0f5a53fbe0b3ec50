//! The Envoy process that serves the extension.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use super::log::{self, Line};
use super::options::EnvoyLogLevel;
use super::resources::Resources;
use proxy_wasm_test::envoy::process::{KillOnDrop, Launch, spawn, wait_for_admin};
use proxy_wasm_test::envoy::resources::replace;
use proxy_wasm_test::envoy::updates::{Counts, TIMEOUT, UpdateOutcome, Updates};

/// Worker threads. As in a mesh, each has its own VM, so that an author notices that VMs do not
/// share memory.
const WORKERS: u32 = 2;

/// How long connections of a changed listener may take to end, in seconds: Istio's default.
const DRAIN_SECONDS: u32 = 45;

/// The longest log line that is read, in bytes. A longer one becomes several.
const MAX_LINE_LENGTH: u64 = 64 * 1024;

/// What happens in Envoy.
#[derive(Debug)]
pub enum ProxyEvent {
    /// It has logged a line.
    Logged(Line),
    /// It has exited; with its last hidden log lines.
    Exited(Vec<String>),
    /// It has accepted or rejected an update, or its admin interface does not respond.
    Updated(Result<(Updates, UpdateOutcome)>),
}

/// A running Envoy. Dropping it stops it.
#[derive(Debug)]
pub struct EnvoyProcess {
    child: KillOnDrop,
    listeners: PathBuf,
    updates: Option<Updates>,
    /// What cannot be changed while it runs.
    bootstrap: Value,
}

/// The file with the listeners of an Envoy whose files are in this directory.
pub fn listeners_file(directory: &Path) -> PathBuf {
    directory.join("listeners.json")
}

impl EnvoyProcess {
    /// Starts Envoy with its files in a directory. `on_event` gets its log lines, whether it
    /// accepts the configuration, and its exit.
    ///
    /// # Errors
    ///
    /// If it does not start, or its files cannot be written.
    pub fn start(
        binary: &Path,
        directory: &Path,
        resources: Resources,
        min_level: EnvoyLogLevel,
        on_event: impl Fn(ProxyEvent) + Clone + Send + 'static,
    ) -> Result<Self> {
        let listeners = listeners_file(directory);
        let bootstrap = directory.join("envoy.json");
        fs::write(&listeners, resources.listeners.to_string())?;
        fs::write(&bootstrap, resources.bootstrap.to_string())?;
        let launch = Launch {
            binary,
            bootstrap: &bootstrap,
            directory,
            workers: WORKERS,
            drain_seconds: DRAIN_SECONDS,
            arguments: [
                "--log-format",
                log::FORMAT,
                "--log-level",
                min_level.min(EnvoyLogLevel::Warning).name(),
                // The extension's own level decides what it logs.
                "--component-log-level",
                &format!("{}:trace", log::WASM),
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        let mut command = killed_with_parent(launch.command());
        // Ctrl-C must reach only this program, which stops Envoy.
        let mut child = spawn(command.process_group(0), Stdio::piped())?;
        let log = child.0.stderr.take().context("cannot read Envoy's log")?;
        let on_line = on_event.clone();
        thread::spawn(move || read_log(log, min_level, &on_line));
        let directory = directory.to_owned();
        thread::spawn(move || on_event(ProxyEvent::Updated(wait_for_start(&directory))));
        Ok(Self {
            child,
            listeners,
            updates: None,
            bootstrap: resources.bootstrap,
        })
    }

    /// Sets the access to Envoy's update counters, which exists once Envoy has started.
    pub fn set_updates(&mut self, updates: Updates) {
        self.updates = Some(updates);
    }

    /// Whether these resources need a restart of Envoy.
    pub fn needs_restart(&self, resources: &Resources) -> bool {
        self.bootstrap != resources.bootstrap
    }

    /// Updates the listeners. `on_event` gets whether Envoy accepts them.
    ///
    /// # Errors
    ///
    /// If Envoy has not started yet.
    pub fn update(
        &self,
        resources: &Resources,
        on_event: impl FnOnce(ProxyEvent) + Send + 'static,
    ) -> Result<()> {
        let updates = self.updates.clone().context("Envoy has not started yet")?;
        let file = self.listeners.clone();
        let listeners = resources.listeners.clone();
        thread::spawn(move || {
            let outcome = update(&updates, &file, &listeners);
            on_event(ProxyEvent::Updated(
                outcome.map(|outcome| (updates, outcome)),
            ));
        });
        Ok(())
    }

    /// The exit status of an Envoy that has exited.
    ///
    /// # Errors
    ///
    /// If the operating system does not report it.
    pub fn status(&mut self) -> Result<ExitStatus> {
        Ok(self.child.0.wait()?)
    }
}

fn update(updates: &Updates, file: &Path, listeners: &Value) -> Result<UpdateOutcome> {
    let before = updates.counts()?;
    replace(file, listeners)?;
    Ok(updates.wait(&before)?)
}

fn wait_for_start(directory: &Path) -> Result<(Updates, UpdateOutcome)> {
    // If Envoy exits meanwhile, the thread that reads its log reports it.
    let admin = wait_for_admin(directory, TIMEOUT, || Ok(()))?;
    let updates = Updates::new(admin, WORKERS);
    let outcome = updates.wait(&Counts::default())?;
    Ok((updates, outcome))
}

/// The command, wrapped so that on Linux it is killed if this program is killed.
fn killed_with_parent(command: Command) -> Command {
    let options = ["--pdeathsig", "KILL"];
    let is_available = cfg!(target_os = "linux")
        && Command::new("setpriv")
            .args(options)
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if !is_available {
        return command;
    }
    let mut wrapped = Command::new("setpriv");
    wrapped
        .args(options)
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
}

fn read_log(log: ChildStderr, min_level: EnvoyLogLevel, on_event: &impl Fn(ProxyEvent)) {
    let mut reader = log::Reader::new(min_level);
    let mut log = BufReader::new(log);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match log
            .by_ref()
            .take(MAX_LINE_LENGTH)
            .read_until(b'\n', &mut bytes)
        {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
        let line = String::from_utf8_lossy(&bytes);
        if let Some(line) = reader.read(line.trim_end_matches(['\n', '\r'])) {
            on_event(ProxyEvent::Logged(line));
        }
    }
    on_event(ProxyEvent::Exited(reader.into_hidden()));
}
