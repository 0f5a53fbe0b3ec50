//! The command `cargo proxy-wasm test`, with a small module.

#[path = "support/lines.rs"]
mod lines;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use lines::read_lines;

/// How long a run may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Appends `custom-header` to responses, with the configuration as its value.
const MODULE: &str = include_str!("../../test/tests/append_header.wat");

/// A case that passes with [`MODULE`].
const PASSES: &str = "
- case: the header has the configuration
  configuration: x
  request: {path: /}
  expect: {response: {headers: {custom-header: x}}}
";

/// A directory with a module and cases.
fn directory(cases: &str) -> Result<TempDir> {
    let directory = tempfile::tempdir()?;
    fs::write(
        directory.path().join("module.wasm"),
        wat::parse_str(MODULE)?,
    )?;
    fs::create_dir_all(directory.path().join("tests/cases"))?;
    fs::write(directory.path().join("tests/cases/a.yaml"), cases)?;
    Ok(directory)
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"));
    command
        .current_dir(directory)
        .args(["test", "--module", "module.wasm"])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn run(cases: &str, arguments: &[&str]) -> Result<Output> {
    let directory = directory(cases)?;
    Ok(command(directory.path(), arguments).output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn exit_status_says_whether_all_cases_pass() -> Result<()> {
    let passed = run(PASSES, &[])?;
    assert!(passed.status.success(), "{}", text(&passed.stderr));
    assert_eq!(
        text(&passed.stdout),
        "test the header has the configuration (embedded) ... ok\n\n\
         result: ok. 1 passed; 0 failed; 0 skipped\n"
    );
    let failing = PASSES.replace("custom-header: x", "custom-header: y");
    let failed = run(&format!("{PASSES}{failing}"), &[])?;
    assert_eq!(failed.status.code(), Some(1));
    let output = text(&failed.stdout);
    assert!(output.contains("expected: [y]"), "{output}");
    assert!(output.contains("observed: [x]"), "{output}");
    assert!(
        output.contains("result: FAILED. 1 passed; 1 failed; 0 skipped"),
        "{output}"
    );
    assert_eq!(text(&failed.stderr), "error: test failed: 1 case\n");
    Ok(())
}

#[test]
fn file_that_is_not_valid_is_an_error_with_its_place() -> Result<()> {
    let output = run("- case: a\n  reqest: {}\n", &[])?;
    assert_eq!(output.status.code(), Some(1));
    let expected = "error: tests/cases/a.yaml:2:3: unknown key reqest; write request\n";
    assert_eq!(text(&output.stderr), expected);
    let missing = run(PASSES, &["other.yaml"])?;
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).starts_with("error: cannot read other.yaml: "));
    Ok(())
}

#[test]
fn json_has_an_object_for_each_case_and_proxy() -> Result<()> {
    let output = run(PASSES, &["--proxy", "both", "--format", "json"])?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    let reports: Vec<Value> = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let proxies: Vec<_> = reports.iter().map(|report| &report["proxy"]).collect();
    assert_eq!(proxies, ["embedded", "envoy"]);
    for report in &reports {
        assert_eq!(report["case"], "the header has the configuration");
        assert_eq!(report["passed"], true);
        let observed = &report["observed"];
        assert_eq!(observed["accepted"], true);
        let headers = observed["responses"][0]["headers"].to_string();
        assert!(headers.contains(r#"["custom-header","x"]"#), "{headers}");
        assert_eq!(observed["upstream_requests"][0]["path"], "/");
    }
    assert!(reports[0]["observed"]["fuel"].is_u64());
    assert!(reports[1]["observed"]["fuel"].is_null());
    Ok(())
}

/// A command that is stopped at the end of the test.
struct Watching {
    process: Child,
    lines: Receiver<String>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Watching {
    fn start(directory: &Path) -> Result<Self> {
        let mut process = command(directory, &["--watch"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = mpsc::channel();
        read_lines(process.stdout.take().context("no output")?, sender.clone());
        read_lines(process.stderr.take().context("no errors")?, sender);
        Ok(Self { process, lines })
    }

    /// Waits for a run and for a line of it.
    fn run(&self, expected: &str) -> Result<()> {
        let mut output = String::new();
        let (mut has_line, mut has_ended) = (false, false);
        while !has_line || !has_ended {
            let Ok(line) = self.lines.recv_timeout(TIMEOUT) else {
                bail!("{expected:?} was not printed:\n{output}");
            };
            has_line |= line.contains(expected);
            has_ended |= line.contains("waiting for the next save");
            output += &format!("{line}\n");
        }
        Ok(())
    }
}

#[test]
fn cases_run_again_after_a_save() -> Result<()> {
    let directory = directory(PASSES)?;
    let path = |name: &str| directory.path().join(name);
    let watching = Watching::start(directory.path())?;
    watching.run("1 passed; 0 failed")?;

    fs::write(path("tests/cases/b.yaml"), PASSES)?;
    watching.run("2 passed; 0 failed")?;
    fs::write(path("tests/cases/b.yaml"), "- cases: a")?;
    watching.run("unknown key cases; write case")?;
    fs::remove_file(path("tests/cases/b.yaml"))?;
    watching.run("1 passed; 0 failed")?;
    let other = MODULE.replace("custom-header", "other-header");
    fs::write(path("module.wasm"), wat::parse_str(other)?)?;
    watching.run("0 passed; 1 failed")
}
