//! The loop: what happens, and what follows from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

use super::build::{Build, Builder};
use super::log::{Line, Source};
use super::options::{Level, Options};
use super::proxy::{self, Proxy, listeners_file};
use super::resources::Files;
use super::screen::Screen;
use super::settings::Settings;
use super::watch::{BESIDE_SOURCE, Saved, Watch};
use crate::output::print_line;
use crate::project::Project;
use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_test::envoy;
use proxy_wasm_test::envoy::updates::{Outcome, Updates};

/// Modules that are kept: the one that is served, and the one before.
const MODULES_KEPT: u32 = 2;

/// Runs the extension until the author ends it with Ctrl-C, or the system does.
///
/// # Errors
///
/// When there is no Envoy: how to get one. When an option does not fit: how to mend it. When Envoy
/// ends by itself: what it said last.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let binary = match options.envoy.as_deref() {
        Some(path) if !path.as_os_str().is_empty() => envoy::named(path)?,
        _ => envoy::find_or_fetch()?,
    };
    let settings = Settings::new(options)?;
    let (sender, events) = mpsc::channel();
    tell_signals(sender.clone())?;
    let saved = sender.clone();
    let _watch = Watch::start(project.package.root(), &settings.files(), move |files| {
        let _ = saved.send(Event::Saved(files));
    })?;
    let session = Session {
        root: project.package.root().to_owned(),
        image_root: project.dev_image_root(),
        binary,
        settings,
        envoy_log: options.envoy_log,
        folder: tempfile::Builder::new()
            .prefix("extension-run-")
            .tempdir()?,
        screen: Screen,
        builder: Builder::find()?,
        sender,
        todo: Todo::default(),
        build: None,
        modules: 0,
        module: None,
        proxy: None,
        loading: None,
        is_serving: false,
    };
    session.serve(&events)
}

/// What happens. Who tells it does not care whether anyone listens still.
#[derive(Debug)]
enum Event {
    Stop,
    Saved(Saved),
    /// A build has ended, well or not.
    Built(bool, Duration),
    Proxy(proxy::Event),
}

fn tell_signals(sender: Sender<Event>) -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot wait for Ctrl-C")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let _ = sender.send(Event::Stop);
        }
    });
    Ok(())
}

/// What has been saved since it was last looked at.
#[derive(Debug, Default)]
struct Todo {
    code: bool,
    settings: bool,
}

/// The module that was built last.
#[derive(Debug)]
struct Module {
    /// What Envoy loads. It tells modules by their paths.
    path: PathBuf,
    /// The file name by which the author knows it.
    name: String,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Session {
    root: PathBuf,
    image_root: PathBuf,
    binary: PathBuf,
    settings: Settings,
    envoy_log: Level,
    /// For what Envoy reads and writes.
    folder: TempDir,
    screen: Screen,
    builder: Builder,
    sender: Sender<Event>,
    todo: Todo,
    build: Option<Build>,
    /// How many there were.
    modules: u32,
    module: Option<Module>,
    proxy: Option<Proxy>,
    /// What was logged since Envoy was told to load something, as long as it has not answered. Each
    /// of its VMs says the same.
    loading: Option<Vec<Line>>,
    is_serving: bool,
}

impl Session {
    fn serve(mut self, events: &Receiver<Event>) -> Result<()> {
        self.start_build()?;
        loop {
            match events.recv()? {
                Event::Stop => {
                    self.show_loading()?;
                    return Ok(());
                }
                Event::Saved(saved) => self.saved(&saved)?,
                Event::Built(built, time) => self.built(built, time)?,
                Event::Proxy(proxy::Event::Logged(line)) => match &mut self.loading {
                    Some(lines) => lines.push(line),
                    None => self.screen.log(&line, 1)?,
                },
                Event::Proxy(proxy::Event::Answered(answer)) => self.answered(answer)?,
                Event::Proxy(proxy::Event::Ended(unshown)) => return self.ended(&unshown),
            }
        }
    }

    fn saved(&mut self, saved: &Saved) -> Result<()> {
        let names: Vec<String> = saved
            .code
            .iter()
            .chain(&saved.settings)
            .map(|file| self.shown(file))
            .collect();
        self.screen.say(&format!("{} changed", names.join(", ")))?;
        self.todo.code |= !saved.code.is_empty();
        self.todo.settings |= !saved.settings.is_empty();
        self.proceed()
    }

    /// Begins with the next thing to do, unless something is being done.
    fn proceed(&mut self) -> Result<()> {
        if self.build.is_some() || self.loading.is_some() {
            return Ok(());
        }
        if self.todo.code {
            self.start_build()
        } else if self.todo.settings && self.module.is_some() {
            self.load()
        } else {
            Ok(())
        }
    }

    fn start_build(&mut self) -> Result<()> {
        self.todo.code = false;
        let sender = self.sender.clone();
        let is_rebuild = self.modules > 0;
        let build = self
            .builder
            .start(&self.root, is_rebuild, move |built, time| {
                let _ = sender.send(Event::Built(built, time));
            })?;
        self.build = Some(build);
        Ok(())
    }

    fn built(&mut self, built: bool, time: Duration) -> Result<()> {
        if let Some(build) = self.build.take() {
            build.join();
        }
        if !built {
            self.keep("not built")?;
            return self.proceed();
        }
        let seconds = time.as_secs_f64();
        match self.take_module() {
            Ok(true) => {
                self.screen.say(&format!("built in {seconds:.1} s"))?;
                self.load()
            }
            Ok(false) => {
                self.screen.say(&format!(
                    "built in {seconds:.1} s; the module is the same as before"
                ))?;
                self.proceed()
            }
            Err(error) => {
                self.keep(&format!("{error:#}"))?;
                self.proceed()
            }
        }
    }

    /// Takes a copy of the module that was built. `false` if it is the one from before.
    fn take_module(&mut self) -> Result<bool> {
        let manifest = Manifest::read(&self.root.join(manifest::FILE_NAME))?;
        let built = self.image_root.join(&manifest.module);
        let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
        if let Some(module) = &mut self.module
            && module.bytes == bytes
        {
            module.name = manifest.module;
            return Ok(false);
        }
        self.modules += 1;
        let path = self.module_path(self.modules);
        fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        if let Some(old) = self
            .modules
            .checked_sub(MODULES_KEPT)
            .filter(|old| *old > 0)
        {
            let old = self.module_path(old);
            fs::remove_file(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
        self.module = Some(Module {
            path,
            name: manifest.module,
            bytes,
        });
        Ok(true)
    }

    fn module_path(&self, number: u32) -> PathBuf {
        self.folder.path().join(format!("module-{number}.wasm"))
    }

    /// Has Envoy load the module that was built last, with the settings as they are now.
    fn load(&mut self) -> Result<()> {
        let Some(module) = &self.module else {
            return Ok(());
        };
        self.todo.settings = false;
        let listeners = listeners_file(self.folder.path());
        let files = Files {
            module: &module.path,
            module_name: &module.name,
            listeners: &listeners,
        };
        let resources = match self.settings.resources(&files) {
            Ok(resources) => resources,
            Err(error) => {
                self.keep(&format!("{error:#}"))?;
                return self.proceed();
            }
        };
        let sender = self.sender.clone();
        let tell = move |event| {
            let _ = sender.send(Event::Proxy(event));
        };
        match &self.proxy {
            Some(proxy) => {
                if proxy.needs_restart(&resources) {
                    self.screen.warn(
                        "only the listeners are taken over; for all else, end this and start it again",
                    )?;
                }
                proxy.update(&resources, tell)?;
            }
            None => {
                let folder = self.folder.path();
                let proxy = Proxy::start(&self.binary, folder, resources, self.envoy_log, tell)?;
                self.proxy = Some(proxy);
            }
        }
        self.loading = Some(Vec::new());
        Ok(())
    }

    fn answered(&mut self, answer: Result<(Updates, Outcome)>) -> Result<()> {
        let (updates, outcome) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.show_loading()?;
                return Err(error);
            }
        };
        if outcome == Outcome::Rejected {
            self.leave_consequences_out();
        }
        self.show_loading()?;
        let is_first = outcome == Outcome::Accepted && !self.is_serving;
        match outcome {
            Outcome::Rejected => self.keep("Envoy refuses it, as said above")?,
            Outcome::Accepted => {
                self.is_serving = true;
                let bytes = self.module.as_ref().map_or(0, |module| module.bytes.len());
                let what = format!("serving it: {} bytes", with_commas(bytes));
                self.screen.say(&what)?;
            }
        }
        if is_first {
            self.welcome(&updates)?;
        }
        if let Some(proxy) = &mut self.proxy {
            proxy.can_be_asked(updates);
        }
        self.proceed()
    }

    /// Leaves out Envoy's lines about what follows from an error of which the extension has told,
    /// unless the author wants to see more of Envoy than is usual.
    fn leave_consequences_out(&mut self) {
        let Some(lines) = &mut self.loading else {
            return;
        };
        let is_extensions = |line: &Line| line.source == Source::Extension;
        let is_told = lines
            .iter()
            .any(|line| is_extensions(line) && line.level >= Level::Error);
        if is_told && self.envoy_log >= Level::Warning {
            lines.retain(is_extensions);
        }
    }

    /// Shows what was logged while Envoy was loading, and alike lines once.
    fn show_loading(&mut self) -> Result<()> {
        let mut lines: Vec<(Line, usize)> = Vec::new();
        for line in self.loading.take().unwrap_or_default() {
            match lines.iter_mut().find(|(known, _)| *known == line) {
                Some((_, times)) => *times += 1,
                None => lines.push((line, 1)),
            }
        }
        lines
            .iter()
            .try_for_each(|(line, times)| self.screen.log(line, *times))
    }

    /// Says what is wrong with what was saved, and that it changes nothing.
    fn keep(&self, problem: &str) -> Result<()> {
        let consequence = if self.is_serving {
            "the old one goes on serving"
        } else {
            "nothing is served until it is mended and saved"
        };
        self.screen.warn(&format!("{problem}; {consequence}"))
    }

    fn welcome(&self, updates: &Updates) -> Result<()> {
        print_line!("")?;
        for (index, address) in updates.admin().listener_addresses()?.values().enumerate() {
            let port = address.port();
            let host = if address.ip().is_unspecified() {
                "127.0.0.1".to_owned()
            } else if address.is_ipv6() {
                format!("[{}]", address.ip())
            } else {
                address.ip().to_string()
            };
            let url = format!("http://{host}:{port}/");
            self.screen.fact("URL", &url)?;
            if index == 0 {
                self.screen.fact("Try", &format!("curl -i {url}"))?;
            }
        }
        let mut watched = vec!["src/".to_owned()];
        watched.extend(BESIDE_SOURCE.map(str::to_owned));
        watched.extend(self.settings.files().iter().map(|file| self.shown(file)));
        self.screen.fact("Admin page", &updates.admin().url())?;
        self.screen.fact("Behind it", &self.settings.upstream())?;
        self.screen.fact("Watching", &watched.join(", "))?;
        self.screen.fact("Ctrl-C", "ends it")?;
        print_line!("")
    }

    fn ended(mut self, unshown: &[String]) -> Result<()> {
        self.show_loading()?;
        let status = match &mut self.proxy {
            Some(proxy) => proxy.status()?.to_string(),
            None => "it was not started".to_owned(),
        };
        if unshown.is_empty() {
            bail!("Envoy has ended by itself ({status}); its last lines are above");
        }
        bail!(
            "Envoy has ended by itself ({status}); it said last:\n{}",
            unshown.join("\n")
        )
    }

    /// A path as the author would write it.
    fn shown(&self, path: &Path) -> String {
        let here = std::env::current_dir()
            .and_then(fs::canonicalize)
            .unwrap_or_default();
        path.strip_prefix(&here)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// A number as it is read best: 84,139.
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
    fn a_number_is_grouped_by_thousands() {
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
