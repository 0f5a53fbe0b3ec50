//! An Envoy that is measured: as it is, or under callgrind.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::subject::{Filter, Workload, bootstrap};
use crate::envoy::admin::Admin;
use crate::envoy::process::Process;
use crate::envoy::server::Launch;
use crate::http;

/// How long an Envoy may take to start. Under callgrind that is long.
const TIMEOUT: Duration = Duration::from_secs(300);

/// How long to wait before Envoy is asked again.
const POLL: Duration = Duration::from_millis(50);

/// A running Envoy with a filter. Dropped, it is stopped.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    address: SocketAddr,
    folder: TempDir,
}

impl Proxy {
    /// Starts Envoy and waits until it answers.
    ///
    /// # Errors
    ///
    /// When Envoy ends by itself, with its log, or does not answer.
    pub fn start(envoy: &Path, filter: &Filter, workload: &Workload, workers: u32) -> Result<Self> {
        Self::run(envoy, filter, workload, workers, |envoy, _| envoy)
    }

    /// Starts Envoy under callgrind, which counts nothing until it is told to, and waits until
    /// Envoy answers.
    ///
    /// # Errors
    ///
    /// As [`Proxy::start`].
    pub fn start_under_callgrind(
        envoy: &Path,
        filter: &Filter,
        workload: &Workload,
    ) -> Result<Self> {
        Self::run(envoy, filter, workload, 1, |envoy, folder| {
            let mut command = Command::new("valgrind");
            command
                .args(["--tool=callgrind", "--instr-atstart=no"])
                // Where its pipes are, which it leaves behind when it is stopped.
                .env("TMPDIR", folder)
                // V8 writes code while it runs.
                .arg("--smc-check=all-non-file")
                .arg(format!(
                    "--callgrind-out-file={}",
                    folder.join("callgrind").display()
                ))
                .arg(envoy.get_program())
                .args(envoy.get_args());
            command
        })
    }

    /// Starts the command that `under` makes of Envoy's own, and of the folder for its files.
    fn run(
        binary: &Path,
        filter: &Filter,
        workload: &Workload,
        workers: u32,
        under: impl FnOnce(Command, &Path) -> Command,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("envoy.json");
        fs::write(&file, bootstrap(filter, workload).to_string())?;
        let admin = folder.path().join("admin");
        let mut envoy = Launch {
            binary,
            bootstrap: &file,
            admin: &admin,
            workers,
            // No listener changes while it runs.
            drain_seconds: 0,
        }
        .command();
        envoy.args(["--log-level", "warning"]);
        let command = under(envoy, folder.path());
        let mut process = Process::start(command, &folder.path().join("log"))?;
        let address = wait_for_answer(&mut process, &admin)?;
        Ok(Self {
            process,
            address,
            folder,
        })
    }

    /// The URL that the filter is behind.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The folder for what the process writes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many of the workload's headers a response has.
    ///
    /// # Errors
    ///
    /// When there is no response.
    pub fn headers_appended(&self, workload: &Workload) -> Result<usize> {
        let response = http::get(&self.url())?;
        ensure!(
            response.status == 200,
            "the proxy answers with status {}",
            response.status
        );
        let is_appended = |header: &&(String, String)| response.headers.contains(header);
        Ok(workload.headers.iter().filter(is_appended).count())
    }

    /// The memory that the process holds, in bytes, as `ps` reads it.
    ///
    /// # Errors
    ///
    /// When there is no `ps`, or it prints something else.
    pub fn resident_memory(&self) -> Result<u64> {
        let output = Command::new("ps")
            .args(["-o", "rss=", "-p", &self.id().to_string()])
            .output()
            .context("cannot run ps, which reads the memory; install it (procps)")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let kilobytes: u64 = text
            .trim()
            .parse()
            .with_context(|| format!("ps prints no size: {text:?}"))?;
        Ok(kilobytes.saturating_mul(1024))
    }
}

fn wait_for_answer(process: &mut Process, admin: &Path) -> Result<SocketAddr> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(address) = Admin::read(admin)
            .and_then(|admin| admin.listener_addresses().ok())
            .and_then(|addresses| addresses.get("bench").copied())
            && http::get(&format!("http://{address}/")).is_ok()
        {
            return Ok(address);
        }
        ensure!(
            !process.has_ended()?,
            "Envoy refused to start:\n{}",
            process.log_from(0)?
        );
        ensure!(
            Instant::now() < deadline,
            "Envoy did not answer within {TIMEOUT:?}:\n{}",
            process.log_from(0)?
        );
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::bench::floor;
    use crate::envoy::find_or_fetch;

    #[test]
    fn every_reference_appends_all_the_headers_in_envoy() -> Result<()> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let envoy = find_or_fetch(&target)?;
        let workload = Workload::new(12, None);
        let folder = tempfile::tempdir()?;
        let smallest = folder.path().join("smallest.wasm");
        fs::write(&smallest, floor::smallest(&workload.headers)?)?;
        let same = folder.path().join("callbacks.wasm");
        let other = wat::parse_str(
            "(module (func (export \"proxy_on_context_create\") (param i32 i32))
                     (func (export \"proxy_on_configure\") (param i32 i32) (result i32) i32.const 0)
                     (func (export \"proxy_on_done\") (param i32) (result i32) i32.const 0)
                     (func (export \"proxy_on_delete\") (param i32)))",
        )?;
        fs::write(&same, floor::with_callbacks_of(&other, &workload.headers)?)?;
        for (filter, appended) in [
            (Filter::None, 0),
            (Filter::HeaderMutation, 12),
            (Filter::Lua, 12),
            (Filter::Module(smallest), 12),
            (Filter::Module(same), 12),
        ] {
            let proxy = Proxy::start(&envoy, &filter, &workload, 1)?;
            assert_eq!(proxy.headers_appended(&workload)?, appended, "{filter:?}");
            assert!(proxy.resident_memory()? > 1_000_000);
        }
        Ok(())
    }

    #[test]
    fn what_envoy_says_of_a_module_that_it_refuses_is_in_the_error() -> Result<()> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let envoy = find_or_fetch(&target)?;
        let none = Filter::Module(PathBuf::from("no-such-module.wasm"));
        let error = match Proxy::start(&envoy, &none, &Workload::new(1, None), 1) {
            Ok(_) => anyhow::bail!("Envoy starts"),
            Err(error) => format!("{error:#}"),
        };
        ensure!(error.contains("no-such-module.wasm"), "{error}");
        Ok(())
    }
}
