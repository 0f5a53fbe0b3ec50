//! The command `cargo proxy-wasm run`, with a small extension in a real Envoy.
#![cfg(unix)]

#[path = "support/lines.rs"]
mod lines;
#[path = "support/package.rs"]
mod package;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use proxy_wasm_test::envoy;
use proxy_wasm_test::http;
use tempfile::TempDir;

use lines::read_lines;
use package::write_package;

/// The first build compiles the SDK, on a machine that may be busy.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A part of the last line that is printed once Envoy serves.
const SERVES: &str = "stops it";

/// Appends `answer: first:CONFIGURATION` to responses, and rejects one configuration.
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
        if self.0 == "rejected" {
            let _ = log(LogLevel::Error, "this one is rejected");
        }
        self.0 != "rejected"
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

/// A running `cargo proxy-wasm run`.
struct Run {
    process: Child,
    lines: Receiver<String>,
    /// All output so far.
    output: String,
    /// The directory for temporary files, which has to be empty at the end.
    temporary: TempDir,
}

/// Writes the extension to a directory of this name.
fn extension(name: &str) -> Result<PathBuf> {
    write_package(&format!("run/{name}"), SOURCE)
}

/// Saves a file as an editor does: writes another one and renames it.
fn save(file: &Path, text: &str) -> Result<()> {
    let next = file.with_extension("next~");
    fs::write(&next, text)?;
    Ok(fs::rename(next, file)?)
}

fn command(directory: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"));
    command
        .current_dir(directory)
        .env("ENVOY", envoy::find_or_fetch()?)
        .env_remove("CARGO_TARGET_DIR")
        .args(["run", "--admin-port", "0"])
        .args(arguments)
        .stdin(Stdio::null());
    Ok(command)
}

impl Run {
    fn start(directory: &Path, arguments: &[&str]) -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let mut process = command(directory, arguments)?
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
            output: String::new(),
            temporary,
        })
    }

    /// Waits for a line that contains the text, and returns it.
    fn line(&mut self, text: &str) -> Result<String> {
        loop {
            let Ok(line) = self.lines.recv_timeout(TIMEOUT) else {
                bail!("{text:?} was not printed:\n{}", self.output);
            };
            self.output += &format!("{line}\n");
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Waits until Envoy serves, and returns the URL.
    fn url(&mut self) -> Result<String> {
        let line = self.line("URL")?;
        self.line(SERVES)?;
        let url = line.split_whitespace().nth(1).context("no URL")?;
        Ok(url.to_owned())
    }

    /// The process that it has started: cargo, or Envoy.
    fn child(&self) -> Result<String> {
        let id = self.process.id().to_string();
        let output = Command::new("pgrep").args(["-P", &id]).output()?;
        let child = String::from_utf8(output.stdout)?.trim().to_owned();
        ensure!(!child.is_empty(), "no child");
        Ok(child)
    }

    /// Sends a signal, and waits for the exit.
    fn stop(&mut self, signal: &str) -> Result<ExitStatus> {
        kill(signal, &self.process.id().to_string())?;
        self.wait()
    }

    /// Waits for the exit, after which there are no temporary files.
    fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.process.wait()?;
        while let Ok(line) = self.lines.recv_timeout(TIMEOUT) {
            self.output += &format!("{line}\n");
        }
        let left: Vec<_> = fs::read_dir(self.temporary.path())?.collect();
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(status)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // After a failed test, too. If the process has ended, the signal fails.
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

/// Sends requests one after the other until `stop` is set, and returns how many. Each has to
/// succeed.
fn send_requests(url: &str, stop: &AtomicBool) -> Result<u32> {
    let mut requests = 0;
    while !stop.load(Ordering::Relaxed) {
        ensure!(answer(url)?.starts_with(['f', 's']), "another response");
        requests += 1;
    }
    Ok(requests)
}

#[test]
fn each_save_is_served_without_losing_requests_and_a_broken_save_is_not_served() -> Result<()> {
    let directory = extension("saves")?;
    let settings = directory.join("settings.txt");
    let source = directory.join("src/lib.rs");
    fs::write(&settings, "one")?;
    let arguments = ["--port", "0", "--configuration-file", "settings.txt"];
    let mut run = Run::start(&directory, &arguments)?;
    let url = run.url()?;
    ensure!(
        run.output.contains("trace    configured with one"),
        "{}",
        run.output
    );
    let echoed = http::get(&format!("{url}path"))?;
    let echoed = String::from_utf8(echoed.body)?;
    ensure!(echoed.starts_with("GET /path HTTP/1.1\nhost: "), "{echoed}");
    assert_eq!(answer(&url)?, "first:one");
    let envoy = run.child()?;

    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let requests = scope.spawn(|| send_requests(&url, &stop));
        let mut change = || -> Result<()> {
            save(&settings, "two")?;
            run.line("settings.txt changed")?;
            run.line("serving the module: ")?;
            assert_eq!(answer(&url)?, "first:two");

            save(&settings, "rejected")?;
            run.line("error    this one is rejected")?;
            run.line("the last good version keeps serving")?;
            assert_eq!(answer(&url)?, "first:two");
            save(&settings, "three")?;
            run.line("serving the module: ")?;

            save(&source, "fn broken( {")?;
            run.line("src/lib.rs changed")?;
            run.line("this file contains an unclosed delimiter")?;
            run.line("the build failed; the last good version keeps serving")?;
            assert_eq!(answer(&url)?, "first:three");

            save(&source, &SOURCE.replace("first:", "second:"))?;
            run.line("built in ")?;
            run.line("serving the module: ")?;
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
        let requests = requests.join().ok().context("a request panicked")??;
        changed?;
        ensure!(requests > 0, "no request was sent meanwhile");
        Ok(())
    })?;

    ensure!(kill("0", &envoy)?, "the first Envoy has exited");
    assert_eq!(run.stop("INT")?.code(), Some(0));
    ensure!(!kill("0", &envoy)?, "Envoy still runs");
    Ok(())
}

#[test]
fn built_module_replaces_the_one_in_an_envoy_configuration() -> Result<()> {
    let directory = extension("envoy-file")?;
    let text = include_str!("envoy.yaml");
    let file = directory.join("envoy.yaml");
    fs::write(&file, text)?;
    let mut run = Run::start(&directory, &["--envoy-config", "envoy.yaml"])?;
    let url = run.url()?;
    assert_eq!(answer(&url)?, "first:one");

    save(&file, &text.replace("value: one", "value: two"))?;
    run.line("serving the module: ")?;
    assert_eq!(answer(&url)?, "first:two");

    save(&file, "static_resources: {}")?;
    run.line("no static_resources.listeners")?;
    assert_eq!(answer(&url)?, "first:two");
    assert_eq!(run.stop("TERM")?.code(), Some(0));
    Ok(())
}

/// Moves the filter's configuration out of envoy.yaml. Returns a discovery response with it, and
/// envoy.yaml with a filter that discovers it.
fn discovered(text: &str) -> Result<(String, String)> {
    let typed = "                    typed_config:\n                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n";
    let (before, rest) = text.split_once(typed).context("no Wasm filter")?;
    let (config, after) = rest
        .split_once("                  - name: envoy.filters")
        .context("no router")?;
    let resource = format!(
        "resources:\n                  - \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig\n                    name: extension\n{typed}{config}"
    );
    let discovery = "                    config_discovery:\n                      config_source: { path_config_source: { path: extensions.yaml } }\n                      type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]\n";
    Ok((
        resource,
        format!("{before}{discovery}                  - name: envoy.filters{after}"),
    ))
}

#[test]
fn built_module_replaces_the_one_in_a_discovered_configuration() -> Result<()> {
    let directory = extension("envoy-discovery")?;
    let (resource, text) = discovered(include_str!("envoy.yaml"))?;
    fs::write(directory.join("extensions.yaml"), resource)?;
    fs::write(directory.join("envoy.yaml"), text)?;
    let mut run = Run::start(&directory, &["--envoy-config", "envoy.yaml"])?;
    let url = run.url()?;
    assert_eq!(answer(&url)?, "first:one");
    assert_eq!(run.stop("TERM")?.code(), Some(0));
    Ok(())
}

#[test]
fn exit_of_envoy_is_an_error() -> Result<()> {
    let directory = extension("envoy-ends")?;
    let mut run = Run::start(&directory, &["--port", "0"])?;
    run.url()?;
    kill("KILL", &run.child()?)?;
    assert_eq!(run.wait()?.code(), Some(1));
    ensure!(run.output.contains("error: Envoy exited"), "{}", run.output);
    Ok(())
}

#[test]
fn running_build_is_stopped() -> Result<()> {
    let directory = extension("build-stops")?;
    let endless = "fn main() { loop { std::thread::park() } }";
    fs::write(directory.join("build.rs"), endless)?;
    let mut run = Run::start(&directory, &["--port", "0"])?;
    run.line("Compiling")?;
    let build = run.child()?;
    assert_eq!(run.stop("INT")?.code(), Some(0));
    ensure!(!kill("0", &build)?, "the build still runs");
    Ok(())
}

#[test]
fn error_without_an_envoy_says_how_to_get_one() -> Result<()> {
    let directory = extension("no-envoy")?;
    let output = command(&directory, &[])?
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

#[test]
fn recorded_requests_are_cases_that_pass() -> Result<()> {
    let directory = extension("record")?;
    let cases = tempfile::NamedTempFile::new()?;
    let file = cases.path().display().to_string();
    let arguments = ["--port", "0", "--configuration", "one", "--record", &file];
    let mut run = Run::start(&directory, &arguments)?;
    let url = run.url()?;
    let token = [("authorization", "Bearer opensesame")];
    let response = http::get_with(&format!("{url}path"), &token)?;
    assert_eq!(response.header("answer"), ["first:one"]);
    run.stop("TERM")?;

    let text = fs::read_to_string(&file)?;
    ensure!(text.starts_with("- case: GET /path "), "{text}");
    ensure!(
        text.contains("secret-1") && !text.contains("opensesame"),
        "{text}"
    );
    let tested = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"))
        .current_dir(&directory)
        .env_remove("CARGO_TARGET_DIR")
        .args(["test", &file])
        .output()?;
    let output = String::from_utf8_lossy(&tested.stdout);
    ensure!(output.contains("1 passed; 0 failed"), "{output}");
    Ok(())
}
