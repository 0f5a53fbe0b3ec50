//! Commands as a page of the guide shows them.

use std::env;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::{copy, toolkit};

/// Runs the command after the `$` in a directory, with the toolkit's command on `PATH`, and looks
/// for the lines below it in what it prints. A `…` at the end of a line stands for anything.
///
/// # Errors
///
/// If it does not print one of the lines: what it printed.
pub fn run(console: &str, directory: &Path) -> Result<()> {
    let mut lines = console.lines();
    let command = lines.next().and_then(|line| line.strip_prefix("$ "));
    let command = command.with_context(|| format!("no command in {console}"))?;
    let output = copy::clean("sh")
        .current_dir(directory)
        .env("PATH", path()?)
        .args(["-c", command])
        .output()?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    for line in lines.map(|line| line.trim_end_matches('…')) {
        ensure!(
            printed.contains(line),
            "{command} does not print {line:?} but:\n{printed}"
        );
    }
    Ok(())
}

fn path() -> Result<std::ffi::OsString> {
    let directory = toolkit().parent().context("no directory")?.to_owned();
    let others = env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(directory).chain(env::split_paths(&others));
    Ok(env::join_paths(directories)?)
}
