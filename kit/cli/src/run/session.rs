//! The event loop of `cargo proxy-wasm run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

use super::build::{BuildCommand, RunningBuild};
use super::log::{Line, LogSource};
use super::options::{EnvoyLogLevel, RunOptions};
use super::output::Output;
use super::proxy::{self, EnvoyProcess, listeners_file};
use super::resources::EnvoyFiles;
use super::settings::Settings;
use super::watch::{Changes, OTHER_FILES, Watch};
use crate::files::read;
use crate::project::Project;
use crate::stdio::print_line;
use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_test::envoy;
use proxy_wasm_test::envoy::updates::{UpdateOutcome, Updates};

/// How many modules are kept: the one that Envoy runs, and the one before.
const MAX_MODULES: u32 = 2;

/// Runs the extension until Ctrl-C or another signal ends it.
///
/// # Errors
///
/// If there is no Envoy, if an option is invalid, or if Envoy exits: with its last log lines.
pub fn run(project: &Project, options: &RunOptions) -> Result<()> {
    let binary = match options.envoy.as_deref() {
        Some(path) if !path.as_os_str().is_empty() => envoy::binary_at(path)?,
        _ => envoy::find_or_fetch()?,
    };
    let settings = Settings::new(options)?;
    let (sender, events) = mpsc::channel();
    forward_signals(sender.clone())?;
    let saved = sender.clone();
    let _watch = Watch::start(project.package.root(), &settings.files(), move |changes| {
        let _ = saved.send(RunEvent::Changed(changes));
    })?;
    let session = Session {
        root: project.package.root().to_owned(),
        image_root: project.dev_image_root(),
        binary,
        settings,
        envoy_log: options.envoy_log,
        directory: tempfile::Builder::new()
            .prefix("extension-run-")
            .tempdir()?,
        output: Output,
        builder: BuildCommand::find()?,
        sender,
        pending: Pending::default(),
        build: None,
        modules: 0,
        module: None,
        proxy: None,
        update_log: None,
        is_serving: false,
    };
    session.serve(&events)
}

/// What the loop reacts to. Senders ignore errors: at the end of the program, the receiver is gone.
#[derive(Debug)]
enum RunEvent {
    Stop,
    Changed(Changes),
    /// A build has ended: whether it succeeded, and how long it took.
    Built(bool, Duration),
    Proxy(proxy::ProxyEvent),
}

fn forward_signals(sender: Sender<RunEvent>) -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot wait for Ctrl-C")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let _ = sender.send(RunEvent::Stop);
        }
    });
    Ok(())
}

/// What has changed since the last build or update.
#[derive(Debug, Default)]
struct Pending {
    code: bool,
    settings: bool,
}

/// The last module that was built.
#[derive(Debug)]
struct BuiltModule {
    /// The file that Envoy loads. Each module has its own path, because Envoy ignores an update in
    /// which the listener is unchanged.
    path: PathBuf,
    /// The file name in manifest.yaml.
    name: String,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Session {
    root: PathBuf,
    image_root: PathBuf,
    binary: PathBuf,
    settings: Settings,
    envoy_log: EnvoyLogLevel,
    /// Envoy's files.
    directory: TempDir,
    output: Output,
    builder: BuildCommand,
    sender: Sender<RunEvent>,
    pending: Pending,
    build: Option<RunningBuild>,
    /// The number of modules so far.
    modules: u32,
    module: Option<BuiltModule>,
    proxy: Option<EnvoyProcess>,
    /// What has been logged since an update that Envoy has not accepted or rejected yet. Each VM
    /// logs the same lines.
    update_log: Option<Vec<Line>>,
    is_serving: bool,
}

impl Session {
    fn serve(mut self, events: &Receiver<RunEvent>) -> Result<()> {
        self.start_build()?;
        loop {
            match events.recv()? {
                RunEvent::Stop => {
                    self.print_update_log()?;
                    return Ok(());
                }
                RunEvent::Changed(changes) => self.on_change(&changes)?,
                RunEvent::Built(built, time) => self.on_built(built, time)?,
                RunEvent::Proxy(proxy::ProxyEvent::Logged(line)) => match &mut self.update_log {
                    Some(lines) => lines.push(line),
                    None => self.output.print_log(&line, 1)?,
                },
                RunEvent::Proxy(proxy::ProxyEvent::Updated(outcome)) => self.on_updated(outcome)?,
                RunEvent::Proxy(proxy::ProxyEvent::Exited(hidden)) => {
                    return self.on_exited(&hidden);
                }
            }
        }
    }

    fn on_change(&mut self, changes: &Changes) -> Result<()> {
        let names: Vec<String> = changes
            .code
            .iter()
            .chain(&changes.settings)
            .map(|file| self.display_path(file))
            .collect();
        self.output
            .print(&format!("{} changed", names.join(", ")))?;
        self.pending.code |= !changes.code.is_empty();
        self.pending.settings |= !changes.settings.is_empty();
        self.start_next()
    }

    /// Starts the next build or update, unless one is running.
    fn start_next(&mut self) -> Result<()> {
        if self.build.is_some() || self.update_log.is_some() {
            return Ok(());
        }
        if self.pending.code {
            self.start_build()
        } else if self.pending.settings && self.module.is_some() {
            self.load()
        } else {
            Ok(())
        }
    }

    fn start_build(&mut self) -> Result<()> {
        self.pending.code = false;
        let sender = self.sender.clone();
        let is_rebuild = self.modules > 0;
        let build = self
            .builder
            .start(&self.root, is_rebuild, move |built, time| {
                let _ = sender.send(RunEvent::Built(built, time));
            })?;
        self.build = Some(build);
        Ok(())
    }

    fn on_built(&mut self, built: bool, time: Duration) -> Result<()> {
        if let Some(build) = self.build.take() {
            build.join();
        }
        if !built {
            self.report_rejected("the build failed")?;
            return self.start_next();
        }
        let seconds = time.as_secs_f64();
        match self.take_module() {
            Ok(true) => {
                self.output.print(&format!("built in {seconds:.1} s"))?;
                self.load()
            }
            Ok(false) => {
                self.output.print(&format!(
                    "built in {seconds:.1} s; the module is the same as before"
                ))?;
                self.start_next()
            }
            Err(error) => {
                self.report_rejected(&format!("{error:#}"))?;
                self.start_next()
            }
        }
    }

    /// Copies the module that was built. Returns `false` if it is the same as before.
    fn take_module(&mut self) -> Result<bool> {
        let manifest = Manifest::read(&self.root.join(manifest::FILE_NAME))?;
        let built = self.image_root.join(&manifest.module);
        let bytes = read(&built)?;
        if let Some(module) = &mut self.module
            && module.bytes == bytes
        {
            module.name = manifest.module;
            return Ok(false);
        }
        self.modules += 1;
        let path = self.module_path(self.modules);
        fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        if let Some(old) = self.modules.checked_sub(MAX_MODULES).filter(|old| *old > 0) {
            let old = self.module_path(old);
            fs::remove_file(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
        self.module = Some(BuiltModule {
            path,
            name: manifest.module,
            bytes,
        });
        Ok(true)
    }

    fn module_path(&self, number: u32) -> PathBuf {
        self.directory.path().join(format!("module-{number}.wasm"))
    }

    /// Updates Envoy with the last module and the current settings.
    fn load(&mut self) -> Result<()> {
        let Some(module) = &self.module else {
            return Ok(());
        };
        self.pending.settings = false;
        let listeners = listeners_file(self.directory.path());
        let files = EnvoyFiles {
            module: &module.path,
            module_name: &module.name,
            listeners: &listeners,
        };
        let resources = match self.settings.resources(&files) {
            Ok(resources) => resources,
            Err(error) => {
                self.report_rejected(&format!("{error:#}"))?;
                return self.start_next();
            }
        };
        let sender = self.sender.clone();
        let on_event = move |event| {
            let _ = sender.send(RunEvent::Proxy(event));
        };
        match &self.proxy {
            Some(proxy) => {
                if proxy.needs_restart(&resources) {
                    self.output.warn(
                        "only the listeners are updated; for other changes, restart the command",
                    )?;
                }
                proxy.update(&resources, on_event)?;
            }
            None => {
                let directory = self.directory.path();
                let proxy = EnvoyProcess::start(
                    &self.binary,
                    directory,
                    resources,
                    self.envoy_log,
                    on_event,
                )?;
                self.proxy = Some(proxy);
            }
        }
        self.update_log = Some(Vec::new());
        Ok(())
    }

    fn on_updated(&mut self, outcome: Result<(Updates, UpdateOutcome)>) -> Result<()> {
        let (updates, outcome) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                self.print_update_log()?;
                return Err(error);
            }
        };
        if outcome == UpdateOutcome::Rejected {
            self.hide_consequences();
        }
        self.print_update_log()?;
        let is_first = outcome == UpdateOutcome::Accepted && !self.is_serving;
        match outcome {
            UpdateOutcome::Rejected => {
                self.report_rejected("Envoy rejects it: see the lines above")?
            }
            UpdateOutcome::Accepted => {
                self.is_serving = true;
                if let Some(recorder) = self.settings.recorder() {
                    recorder.accept_configuration();
                }
                let bytes = self.module.as_ref().map_or(0, |module| module.bytes.len());
                let line = format!("serving the module: {} bytes", with_commas(bytes));
                self.output.print(&line)?;
            }
        }
        if is_first {
            self.print_addresses(&updates)?;
        }
        if let Some(proxy) = &mut self.proxy {
            proxy.set_updates(updates);
        }
        self.start_next()
    }

    /// Hides Envoy's lines if the extension has logged the error that caused them, unless the
    /// author has asked for more of Envoy's log.
    fn hide_consequences(&mut self) {
        let Some(lines) = &mut self.update_log else {
            return;
        };
        let is_of_extension = |line: &Line| line.source == LogSource::Extension;
        let has_error = lines
            .iter()
            .any(|line| is_of_extension(line) && line.level >= EnvoyLogLevel::Error);
        if has_error && self.envoy_log >= EnvoyLogLevel::Warning {
            lines.retain(is_of_extension);
        }
    }

    /// Prints what was logged during the update. Equal lines are printed once.
    fn print_update_log(&mut self) -> Result<()> {
        let mut lines: Vec<(Line, usize)> = Vec::new();
        for line in self.update_log.take().unwrap_or_default() {
            match lines.iter_mut().find(|(known, _)| *known == line) {
                Some((_, times)) => *times += 1,
                None => lines.push((line, 1)),
            }
        }
        lines
            .iter()
            .try_for_each(|(line, times)| self.output.print_log(line, *times))
    }

    /// Prints what is wrong with a change, and what Envoy runs now.
    fn report_rejected(&self, problem: &str) -> Result<()> {
        let consequence = if self.is_serving {
            "the last good version keeps serving"
        } else {
            "nothing is served until you fix it and save"
        };
        self.output.warn(&format!("{problem}; {consequence}"))
    }

    fn print_addresses(&self, updates: &Updates) -> Result<()> {
        print_line!("")?;
        let mut addresses = updates.admin().listener_addresses()?;
        if let Some(recorder) = self.settings.recorder() {
            for address in addresses.values_mut() {
                recorder.set_proxy(*address);
                *address = recorder.client_address();
            }
        }
        for (index, address) in addresses.values().enumerate() {
            let port = address.port();
            let host = if address.ip().is_unspecified() {
                "127.0.0.1".to_owned()
            } else if address.is_ipv6() {
                format!("[{}]", address.ip())
            } else {
                address.ip().to_string()
            };
            let url = format!("http://{host}:{port}/");
            self.output.print_field("URL", &url)?;
            if index == 0 {
                self.output.print_field("Try", &format!("curl -i {url}"))?;
            }
        }
        let mut watched = vec!["src/".to_owned()];
        watched.extend(OTHER_FILES.map(str::to_owned));
        watched.extend(
            self.settings
                .files()
                .iter()
                .map(|file| self.display_path(file)),
        );
        self.output.print_field("Admin", &updates.admin().url())?;
        self.output
            .print_field("Upstream", &self.settings.upstream())?;
        if let Some(recorder) = self.settings.recorder() {
            let file = self.display_path(recorder.file());
            self.output.print_field("Recording", &file)?;
        }
        self.output.print_field("Watching", &watched.join(", "))?;
        self.output.print_field("Ctrl-C", "stops it")?;
        print_line!("")
    }

    fn on_exited(mut self, hidden: &[String]) -> Result<()> {
        self.print_update_log()?;
        let status = match &mut self.proxy {
            Some(proxy) => proxy.status()?.to_string(),
            None => "not started".to_owned(),
        };
        if hidden.is_empty() {
            bail!("Envoy exited ({status}); its last log lines are above");
        }
        bail!(
            "Envoy exited ({status}); its last log lines:\n{}",
            hidden.join("\n")
        )
    }

    /// A path, relative to the current directory if it is in it.
    fn display_path(&self, path: &Path) -> String {
        let here = std::env::current_dir()
            .and_then(fs::canonicalize)
            .unwrap_or_default();
        path.strip_prefix(&here)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// A number in groups of three digits: 84,139.
fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_commas;

    #[test]
    fn number_is_grouped_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (84_139, "84,139"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(with_commas(number), text);
        }
    }
}
