//! Instructions a request, which are the same on any machine: counted by callgrind.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::load;
use super::proxy::Proxy;
use super::subject::{Subject, Workload};

/// Requests that are not counted. V8 compiles anew what is called often, and so long the counts
/// swing by half.
const WARM_UP: u32 = 60_000;

/// Requests that are counted.
const COUNTED: u32 = 2_000;

/// What a person is told where callgrind is not installed.
pub const ADVICE: &str = "No valgrind here, so instructions are not counted; install it \
                          (apt-get install valgrind, dnf install valgrind; there is none for macOS on arm64)";

/// Whether callgrind is installed.
pub fn can_be_counted() -> bool {
    ["valgrind", "callgrind_control"].into_iter().all(|tool| {
        Command::new(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// What was counted.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Instructions of all the proxy's threads for one request, on the average, for each number of
    /// streams side by side.
    pub per_request: Vec<(u32, u64)>,
    /// How many of the headers were in a response.
    pub appended: usize,
}

/// Counts the instructions of Envoy with one worker for one request, with so many streams side by
/// side, each on a connection of its own.
///
/// # Errors
///
/// When Envoy does not start, does not answer, or is not counted.
pub fn count(
    envoy: &Path,
    subject: &Subject,
    workload: &Workload,
    streams: &[u32],
) -> Result<Counted> {
    let proxy = Proxy::start_under_callgrind(envoy, &subject.filter, workload)?;
    let appended = proxy.headers_appended(workload)?;
    load::send(&proxy.url(), WARM_UP, 4)?;
    let mut per_request = Vec::new();
    for (&streams, dump) in streams.iter().zip(1..) {
        control(&proxy, &["--instr=on"])?;
        load::send(&proxy.url(), COUNTED, streams)?;
        control(&proxy, &["--instr=off"])?;
        // Which also counts from zero again.
        control(&proxy, &["--dump"])?;
        let file = proxy.folder().join(format!("callgrind.{dump}"));
        let dump =
            fs::read_to_string(&file).with_context(|| format!("no dump in {}", file.display()))?;
        per_request.push((streams, total(&dump)? / u64::from(COUNTED)));
    }
    Ok(Counted {
        per_request,
        appended,
    })
}

fn control(proxy: &Proxy, arguments: &[&str]) -> Result<()> {
    let output = Command::new("callgrind_control")
        .args(arguments)
        .arg(proxy.id().to_string())
        .env("TMPDIR", proxy.folder())
        .output()
        .context("cannot run callgrind_control")?;
    ensure!(
        output.status.success(),
        "callgrind_control {arguments:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// The sum over all functions in callgrind's format.
fn total(dump: &str) -> Result<u64> {
    let text = dump
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .context("callgrind's dump has no total")?;
    let total = text
        .trim()
        .parse()
        .context("callgrind's total is no number")?;
    ensure!(total > 0, "callgrind has counted nothing");
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_dump_is_read() -> Result<()> {
        assert_eq!(
            total("events: Ir\n\nfn=(1)\n0 5\n\ntotals: 189199035\n")?,
            189_199_035
        );
        assert!(total("events: Ir\n").is_err());
        assert!(total("totals: 0\n").is_err());
        Ok(())
    }
}
