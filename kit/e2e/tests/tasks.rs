//! The tasks of the template, run by cargo-make, with a cargo that records how it is called.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use proxy_wasm_e2e::copy;

/// The subcommand of Cargo that a task calls, and the default target that Cargo then has.
fn target_of_task(project: &Path, task: &str, default_target: Option<&str>) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let log = directory.path().join("log");
    let cargo = directory.path().join("cargo");
    // cargo-make asks the real one about the package.
    fs::write(
        &cargo,
        format!(
            "#!/bin/sh\ncase $1 in\nmetadata|config|--version|-V) exec '{real}' \"$@\" ;;\n\
             *) echo \"$1 ${{CARGO_BUILD_TARGET:-none}}\" >> '{log}' ;;\nesac\n",
            real = which("cargo")?,
            log = log.display()
        ),
    )?;
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = copy::clean("cargo-make");
    command
        .current_dir(project)
        .args(["make", task])
        .env("PATH", format!("{}:{path}", directory.path().display()));
    if let Some(target) = default_target {
        command.env("CARGO_BUILD_TARGET", target);
    }
    let output = command.output().context("cannot run cargo-make")?;
    ensure!(output.status.success(), "{output:?}");
    // Before it, cargo-make asks which subcommands are installed.
    let calls = fs::read_to_string(log)?;
    Ok(calls.lines().last().unwrap_or_default().to_owned())
}

fn which(program: &str) -> Result<String> {
    proxy_wasm_e2e::run("sh", &["-c", &format!("command -v {program}")])
}

fn host() -> Result<String> {
    let version = proxy_wasm_e2e::run("rustc", &["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

#[test]
fn tools_are_compiled_for_this_machine_if_the_default_target_is_wasm() -> Result<()> {
    let project = copy::without_git()?;
    let toolkit = |target: &str| format!("proxy-wasm {target}");
    assert_eq!(
        target_of_task(project.path(), "toolkit", None)?,
        toolkit("none")
    );
    for target in ["wasm32-unknown-unknown", "wasm32-wasip1"] {
        let called = target_of_task(project.path(), "toolkit", Some(target))?;
        assert_eq!(called, toolkit(&host()?));
    }
    let file = project.path().join(".cargo/config.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(
        &file,
        format!("{text}\n[build]\ntarget = \"wasm32-unknown-unknown\"\n"),
    )?;
    for (task, command) in [("toolkit", "proxy-wasm"), ("doc", "doc")] {
        let called = target_of_task(project.path(), task, None)?;
        assert_eq!(called, format!("{command} {}", host()?));
    }
    Ok(())
}
