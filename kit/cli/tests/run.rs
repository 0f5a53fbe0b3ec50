//! The command `cargo proxy-wasm run`, with a small extension in a real Envoy.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use proxy_wasm_test::envoy;
use proxy_wasm_test::http;
use tempfile::TempDir;

/// The first build compiles the SDK, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// What each run shows last when it serves.
const SERVES: &str = "ends it";

const MANIFEST: &str = "schemaVersion: 1\nphase: PostAuthZ\npriority: 1\nmodule: extension.wasm\n";

/// The dependencies are those of the fixtures, whose Cargo.lock it gets.
const PACKAGE: &str = r#"
[workspace]
[package]
name = "fixtures"
version = "0.0.0"
edition = "2024"
publish = false
[lib]
crate-type = ["cdylib"]
[dependencies]
proxy-wasm = "0.2"
[profile.wasm]
inherits = "release"
panic = "abort"
strip = "debuginfo"
"#;

/// Appends `answer: first:CONFIGURATION` to responses, and refuses one configuration.
const SOURCE: &str = r#"
use proxy_wasm::hostcalls::log;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root(String::new())));
}}

struct Root(String);
impl Context for Root {}
impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        self.0 = String::from_utf8_lossy(&bytes).trim().to_owned();
        let _ = log(LogLevel::Trace, &format!("configured with {}", self.0));
        if self.0 == "refused" {
            let _ = log(LogLevel::Error, "this one is refused");
        }
        self.0 != "refused"
    }
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http(self.0.clone())))
    }
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Http(String);
impl Context for Http {}
impl HttpContext for Http {
    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        self.add_http_response_header("answer", &format!("first:{}", self.0));
        Action::Continue
    }
}
"#;

/// An extension in a folder of its own, which is run.
struct Run {
    process: Child,
    lines: Receiver<String>,
    /// All that was shown until now.
    shown: String,
    /// Where it is to leave nothing behind.
    temporary: TempDir,
}

/// Writes the extension into a folder of this name, which is kept for what is compiled there.
fn extension(name: &str) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("run")
        .join(name);
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), PACKAGE)?;
    fs::write(folder.join("manifest.yaml"), MANIFEST)?;
    fs::write(folder.join("src/lib.rs"), SOURCE)?;
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock"))?;
    Ok(folder)
}

/// Writes a file as an editor does: beside its place, and moves it there.
fn save(file: &Path, text: &str) -> Result<()> {
    let next = file.with_extension("next~");
    fs::write(&next, text)?;
    Ok(fs::rename(next, file)?)
}

fn command(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"));
    command
        .current_dir(folder)
        .env("ENVOY", envoy::find_or_fetch()?)
        .env_remove("CARGO_TARGET_DIR")
        .args(["run", "--admin-port", "0"])
        .args(arguments)
        .stdin(Stdio::null());
    Ok(command)
}

fn read_lines(output: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
}

impl Run {
    fn start(folder: &Path, arguments: &[&str]) -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let mut process = command(folder, arguments)?
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = mpsc::channel();
        read_lines(process.stdout.take().context("no output")?, sender.clone());
        read_lines(process.stderr.take().context("no errors")?, sender);
        Ok(Self {
            process,
            lines,
            shown: String::new(),
            temporary,
        })
    }

    /// Waits for a line that contains the text, and gives it.
    fn line(&mut self, text: &str) -> Result<String> {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                bail!("{text:?} was not shown:\n{}", self.shown);
            };
            self.shown += &format!("{line}\n");
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Waits until it serves, and gives the URL.
    fn url(&mut self) -> Result<String> {
        let line = self.line("URL")?;
        self.line(SERVES)?;
        let url = line.split_whitespace().nth(1).context("no URL")?;
        Ok(url.to_owned())
    }

    /// The process that it has started: Envoy, when it serves.
    fn child(&self) -> Result<String> {
        let id = self.process.id().to_string();
        let output = Command::new("pgrep").args(["-P", &id]).output()?;
        let child = String::from_utf8(output.stdout)?.trim().to_owned();
        ensure!(!child.is_empty(), "no child");
        Ok(child)
    }

    /// Sends a signal, and waits for the end, which has to leave nothing behind.
    fn end(&mut self, signal: &str) -> Result<ExitStatus> {
        kill(signal, &self.process.id().to_string())?;
        self.ended()
    }

    fn ended(&mut self) -> Result<ExitStatus> {
        let status = self.process.wait()?;
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.shown += &format!("{line}\n");
        }
        let left: Vec<_> = fs::read_dir(self.temporary.path())?.collect();
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(status)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A test that failed leaves no Envoy behind either. It has ended if the signal has no taker.
        let _ = kill("TERM", &self.process.id().to_string());
        let _ = self.process.wait();
    }
}

fn kill(signal: &str, process: &str) -> Result<bool> {
    let status = Command::new("kill")
        .args([&format!("-{signal}"), process])
        .stderr(Stdio::null())
        .status()?;
    Ok(status.success())
}

fn answer(url: &str) -> Result<String> {
    let response = http::get(url)?;
    ensure!(response.status == 200, "{response:?}");
    Ok(response.header("answer").join(", "))
}

/// Requests, one after the other, until it is told to stop: how many there were. Each has to have an
/// answer.
fn request_on(url: &str, stop: &AtomicBool) -> Result<u32> {
    let mut requests = 0;
    while !stop.load(Ordering::Relaxed) {
        ensure!(answer(url)?.starts_with(['f', 's']), "another answer");
        requests += 1;
    }
    Ok(requests)
}

#[test]
fn each_save_is_served_without_a_lost_request_and_a_broken_one_changes_nothing() -> Result<()> {
    let folder = extension("saves")?;
    let settings = folder.join("settings.txt");
    let source = folder.join("src/lib.rs");
    fs::write(&settings, "one")?;
    let arguments = ["--port", "0", "--configuration-file", "settings.txt"];
    let mut run = Run::start(&folder, &arguments)?;
    let url = run.url()?;
    ensure!(
        run.shown.contains("trace    configured with one"),
        "{}",
        run.shown
    );
    let echoed = http::get(&format!("{url}path"))?;
    let echoed = String::from_utf8(echoed.body)?;
    ensure!(echoed.starts_with("GET /path HTTP/1.1\nhost: "), "{echoed}");
    assert_eq!(answer(&url)?, "first:one");
    let envoy = run.child()?;

    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let requests = scope.spawn(|| request_on(&url, &stop));
        let mut change = || -> Result<()> {
            save(&settings, "two")?;
            run.line("settings.txt changed")?;
            run.line("serving it: ")?;
            assert_eq!(answer(&url)?, "first:two");

            save(&settings, "refused")?;
            run.line("error    this one is refused")?;
            run.line("the old one goes on serving")?;
            assert_eq!(answer(&url)?, "first:two");
            save(&settings, "three")?;
            run.line("serving it: ")?;

            save(&source, "fn broken( {")?;
            run.line("src/lib.rs changed")?;
            run.line("this file contains an unclosed delimiter")?;
            run.line("not built; the old one goes on serving")?;
            assert_eq!(answer(&url)?, "first:three");

            save(&source, &SOURCE.replace("first:", "second:"))?;
            run.line("built in ")?;
            run.line("serving it: ")?;
            assert_eq!(answer(&url)?, "second:three");

            save(
                &source,
                &format!("// A comment.\n{}", SOURCE.replace("first:", "second:")),
            )?;
            run.line("the module is the same as before")?;
            Ok(())
        };
        let changed = change();
        stop.store(true, Ordering::Relaxed);
        let requests = requests.join().ok().context("the requests ended early")??;
        changed?;
        ensure!(requests > 0, "no request was sent meanwhile");
        Ok(())
    })?;

    ensure!(kill("0", &envoy)?, "Envoy has changed");
    assert_eq!(run.end("INT")?.code(), Some(0));
    ensure!(!kill("0", &envoy)?, "Envoy lives on");
    Ok(())
}

#[test]
fn a_file_for_envoy_is_served_with_the_module_that_was_built() -> Result<()> {
    let folder = extension("envoy-file")?;
    let text = include_str!("envoy.yaml");
    let file = folder.join("envoy.yaml");
    fs::write(&file, text)?;
    let mut run = Run::start(&folder, &["--envoy-config", "envoy.yaml"])?;
    let url = run.url()?;
    assert_eq!(answer(&url)?, "first:one");

    save(&file, &text.replace("value: one", "value: two"))?;
    run.line("serving it: ")?;
    assert_eq!(answer(&url)?, "first:two");

    save(&file, "static_resources: {}")?;
    run.line("no static_resources.listeners")?;
    assert_eq!(answer(&url)?, "first:two");
    assert_eq!(run.end("TERM")?.code(), Some(0));
    Ok(())
}

#[test]
fn an_envoy_that_ends_by_itself_is_an_error() -> Result<()> {
    let folder = extension("envoy-ends")?;
    let mut run = Run::start(&folder, &["--port", "0"])?;
    run.url()?;
    kill("KILL", &run.child()?)?;
    assert_eq!(run.ended()?.code(), Some(1));
    ensure!(
        run.shown.contains("error: Envoy has ended by itself"),
        "{}",
        run.shown
    );
    Ok(())
}

#[test]
fn a_build_is_stopped_with_the_rest() -> Result<()> {
    let folder = extension("build-stops")?;
    let endless = "fn main() { loop { std::thread::park() } }";
    fs::write(folder.join("build.rs"), endless)?;
    let mut run = Run::start(&folder, &["--port", "0"])?;
    run.line("Compiling")?;
    let build = run.child()?;
    assert_eq!(run.end("INT")?.code(), Some(0));
    ensure!(!kill("0", &build)?, "the build goes on");
    Ok(())
}

#[test]
fn where_there_is_no_envoy_a_line_says_how_to_get_one() -> Result<()> {
    let folder = extension("no-envoy")?;
    let output = command(&folder, &[])?
        .env("ENVOY", "/nonexistent")
        .output()?;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr)?;
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in [
        "/nonexistent",
        "func-e",
        "distribution",
        "ENVOY=/path/to/envoy",
    ] {
        ensure!(error.contains(part), "{part:?} is not in {error}");
    }
    Ok(())
}
