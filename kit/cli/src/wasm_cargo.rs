//! Cargo for the wasm target, with a toolchain that has it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;

use crate::stdio::print_note;
use crate::toolchain::{TARGET, Toolchain, cache, command_exists};

/// Runs a Cargo command for the wasm target. Tests run in Node.
///
/// # Errors
///
/// If there is no toolchain, or if Cargo fails.
pub fn run(arguments: &[String]) -> Result<()> {
    let (subcommand, rest) = arguments
        .split_first()
        .context("cargo needs a subcommand, for example: cargo proxy-wasm cargo clippy")?;
    let mut command = Toolchain::find_or_install()?.cargo(&[]);
    if subcommand == "test" {
        let runner = wasm_test_runner()?;
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner);
    }
    let status = command
        .args([subcommand, "--target", TARGET])
        .args(rest)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo {subcommand} failed: {status}");
    Ok(())
}

/// The test runner for Node, of the wasm-bindgen version that the package uses. If it is missing,
/// it is compiled, once for all projects.
///
/// # Errors
///
/// If there is no Node, if the package does not use wasm-bindgen, or if the test runner does not
/// compile.
fn wasm_test_runner() -> Result<PathBuf> {
    ensure!(
        command_exists("node"),
        "tests in wasm need Node; install it (nodejs.org, or the package nodejs)"
    );
    let metadata = MetadataCommand::new()
        .exec()
        .context("cannot read the Cargo package")?;
    let version = &metadata
        .packages
        .iter()
        .find(|package| *package.name == "wasm-bindgen")
        .context("tests in wasm need the dev-dependency wasm-bindgen-test")?
        .version;
    let directory = cache()?.join(format!("wasm-bindgen-{version}"));
    let runner = directory.join("bin/wasm-bindgen-test-runner");
    if !runner.is_file() {
        print_note!("Compiling the test runner for wasm, once (about a minute)");
        let status = Command::new("cargo")
            .args(["install", "--locked", "--debug", "--root"])
            .arg(&directory)
            .args(["--bin", "wasm-bindgen-test-runner"])
            .arg(format!("wasm-bindgen-cli@{version}"))
            // For this machine, whatever the project's default target is.
            .env_remove("CARGO_BUILD_TARGET")
            .current_dir(cache()?)
            .status()
            .context("cannot run cargo")?;
        ensure!(
            status.success(),
            "wasm-bindgen-cli {version} does not compile; the lines above say why"
        );
    }
    Ok(runner)
}
