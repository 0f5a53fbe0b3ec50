//! The Envoy that serves the extension.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use super::log::{self, Line};
use super::options::Level;
use super::resources::Resources;
use proxy_wasm_test::envoy::process::{KillOnDrop, Launch, spawn, wait_for_admin};
use proxy_wasm_test::envoy::resources::replace;
use proxy_wasm_test::envoy::updates::{Counts, Outcome, TIMEOUT, Updates};

/// Each has a VM of its own, as in a mesh: an extension that keeps something in memory shows here
/// that its VMs do not share it.
const WORKERS: u32 = 2;

/// What is open when the listener changes may take so long to end, in seconds. Istio's time.
const DRAIN_SECONDS: u32 = 45;

/// The longest line of the log that is read, in bytes; what is longer becomes several.
const LONGEST_LINE: u64 = 64 * 1024;

/// What happens in the Envoy.
#[derive(Debug)]
pub enum Event {
    /// It has logged something.
    Logged(Line),
    /// It has ended; with its last lines that were not shown.
    Ended(Vec<String>),
    /// It has answered to what it was told, or could not be asked.
    Answered(Result<(Updates, Outcome)>),
}

/// A running Envoy. Dropped, it is stopped.
#[derive(Debug)]
pub struct Proxy {
    child: KillOnDrop,
    listeners: PathBuf,
    updates: Option<Updates>,
    /// What can't be changed while it runs.
    bootstrap: Value,
}

/// The file with the listeners of an Envoy whose files are in this folder.
pub fn listeners_file(folder: &Path) -> PathBuf {
    folder.join("listeners.json")
}

impl Proxy {
    /// Starts Envoy with its files in a folder. Its answer, its log and its end are told.
    ///
    /// # Errors
    ///
    /// When it does not start, or its files cannot be written.
    pub fn start(
        binary: &Path,
        folder: &Path,
        resources: Resources,
        shown_from: Level,
        tell: impl Fn(Event) + Clone + Send + 'static,
    ) -> Result<Self> {
        let listeners = listeners_file(folder);
        let bootstrap = folder.join("envoy.json");
        fs::write(&listeners, resources.listeners.to_string())?;
        fs::write(&bootstrap, resources.bootstrap.to_string())?;
        let launch = Launch {
            binary,
            bootstrap: &bootstrap,
            folder,
            workers: WORKERS,
            drain_seconds: DRAIN_SECONDS,
            arguments: [
                "--log-format",
                log::FORMAT,
                "--log-level",
                shown_from.min(Level::Warning).name(),
                // The extension's own level decides what it logs.
                "--component-log-level",
                &format!("{}:trace", log::WASM),
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        let mut command = ending_with_this(launch.command());
        // Ctrl-C reaches only this program, which stops the Envoy.
        let mut child = spawn(command.process_group(0), Stdio::piped())?;
        let log = child.0.stderr.take().context("Envoy's log is not there")?;
        let tell_log = tell.clone();
        thread::spawn(move || read_log(log, shown_from, &tell_log));
        let folder = folder.to_owned();
        thread::spawn(move || tell(Event::Answered(wait_for_start(&folder))));
        Ok(Self {
            child,
            listeners,
            updates: None,
            bootstrap: resources.bootstrap,
        })
    }

    /// Keeps what it takes to ask the Envoy, which its first answer brings.
    pub fn can_be_asked(&mut self, updates: Updates) {
        self.updates = Some(updates);
    }

    /// Whether these settings hold only for an Envoy that starts.
    pub fn needs_restart(&self, resources: &Resources) -> bool {
        self.bootstrap != resources.bootstrap
    }

    /// Hands new listeners to the Envoy, whose answer is told.
    ///
    /// # Errors
    ///
    /// When it has not answered yet since it started.
    pub fn update(
        &self,
        resources: &Resources,
        tell: impl FnOnce(Event) + Send + 'static,
    ) -> Result<()> {
        let updates = self.updates.clone().context("Envoy is not up yet")?;
        let file = self.listeners.clone();
        let listeners = resources.listeners.clone();
        thread::spawn(move || {
            let answer = update(&updates, &file, &listeners);
            tell(Event::Answered(answer.map(|outcome| (updates, outcome))));
        });
        Ok(())
    }

    /// How an Envoy that has ended did so.
    ///
    /// # Errors
    ///
    /// When the system does not say it.
    pub fn status(&mut self) -> Result<ExitStatus> {
        Ok(self.child.0.wait()?)
    }
}

fn update(updates: &Updates, file: &Path, listeners: &Value) -> Result<Outcome> {
    let before = updates.counts()?;
    replace(file, listeners)?;
    Ok(updates.wait(&before)?)
}

fn wait_for_start(folder: &Path) -> Result<(Updates, Outcome)> {
    // Should it end by itself, the end of its log says so.
    let admin = wait_for_admin(folder, TIMEOUT, || Ok(()))?;
    let updates = Updates::new(admin, WORKERS);
    let outcome = updates.wait(&Counts::default())?;
    Ok((updates, outcome))
}

/// The command, which on Linux ends when this program is killed and can't stop it. Elsewhere, nothing
/// does that.
fn ending_with_this(command: Command) -> Command {
    let ends_with_parent = ["--pdeathsig", "KILL"];
    let works = cfg!(target_os = "linux")
        && Command::new("setpriv")
            .args(ends_with_parent)
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if !works {
        return command;
    }
    let mut wrapped = Command::new("setpriv");
    wrapped
        .args(ends_with_parent)
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
}

fn read_log(log: ChildStderr, shown_from: Level, tell: &impl Fn(Event)) {
    let mut reader = log::Reader::new(shown_from);
    let mut log = BufReader::new(log);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match log
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut bytes)
        {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
        let line = String::from_utf8_lossy(&bytes);
        if let Some(line) = reader.read(line.trim_end_matches(['\n', '\r'])) {
            tell(Event::Logged(line));
        }
    }
    tell(Event::Ended(reader.into_unshown()));
}
