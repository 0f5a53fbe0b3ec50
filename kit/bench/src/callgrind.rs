//! Instructions, counted by callgrind. They do not depend on what else the machine does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::load;
use crate::proxy::EnvoyProcess;
use crate::subject::{Filter, Workload};

/// Requests that are sent before counting. V8 compiles frequently called functions a second time;
/// until then, counts vary by 50 %.
const WARM_UP: usize = 60_000;

/// Requests that are counted.
const COUNTED: usize = 2_000;

/// Instructions of one filter.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Instructions of all threads of Envoy for one request, on average.
    pub per_request: u64,
    /// How many of the workload's headers a response has.
    pub appended: usize,
}

/// Checks that callgrind is installed.
///
/// # Errors
///
/// If it is not: how to get it.
pub fn check_installed() -> Result<()> {
    for tool in ["valgrind", "callgrind_control"] {
        let works = Command::new(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        ensure!(
            works,
            "cannot run {tool}, which counts instructions; install valgrind (apt-get install \
             valgrind, dnf install valgrind; it does not exist for macOS on arm64)"
        );
    }
    Ok(())
}

/// Counts the instructions of an Envoy with one worker for one request.
///
/// # Errors
///
/// If Envoy does not start or rejects the filter, if a request fails, or if callgrind does.
pub fn count(envoy: &Path, filter: &Filter, workload: &Workload) -> Result<Count> {
    let proxy = EnvoyProcess::start(envoy, filter, workload, wrap)?;
    let appended = proxy.headers_appended(workload)?;
    load::send(&proxy.url(), WARM_UP, 4)?;
    control(&proxy, &["--instr=on"])?;
    load::send(&proxy.url(), COUNTED, 1)?;
    control(&proxy, &["--instr=off"])?;
    control(&proxy, &["--dump"])?;
    let file = output_file(proxy.directory()).with_extension("1");
    let dump =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Count {
        per_request: total(&dump)? / COUNTED as u64,
        appended,
    })
}

/// Envoy's command under callgrind, which counts nothing until `callgrind_control` says so.
fn wrap(envoy: Command, directory: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--instr-atstart=no"])
        // V8 writes code while it runs.
        .arg("--smc-check=all-non-file")
        .arg(format!(
            "--callgrind-out-file={}",
            output_file(directory).display()
        ))
        // Callgrind does not remove its pipes when it is killed.
        .env("TMPDIR", directory)
        .arg(envoy.get_program())
        .args(envoy.get_args());
    command
}

/// The file to whose name callgrind appends the number of a dump.
fn output_file(directory: &Path) -> PathBuf {
    directory.join("callgrind")
}

fn control(proxy: &EnvoyProcess, arguments: &[&str]) -> Result<()> {
    let output = Command::new("callgrind_control")
        .args(arguments)
        .arg(proxy.id().to_string())
        .env("TMPDIR", proxy.directory())
        .output()
        .context("cannot run callgrind_control")?;
    ensure!(
        output.status.success(),
        "callgrind_control {arguments:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// The sum over all functions in a dump of callgrind.
fn total(dump: &str) -> Result<u64> {
    let text = dump
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .context("callgrind's dump has no total")?;
    let total = text
        .trim()
        .parse()
        .context("the total in callgrind's dump is not a number")?;
    ensure!(total > 0, "callgrind has counted no instructions");
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_of_a_dump_is_read() -> Result<()> {
        assert_eq!(
            total("events: Ir\n\nfn=(1)\n0 5\n\ntotals: 189199035\n")?,
            189_199_035
        );
        Ok(())
    }

    #[test]
    fn dump_without_counts_is_an_error() {
        assert!(total("events: Ir\n").is_err());
        assert!(total("totals: 0\n").is_err());
    }
}
