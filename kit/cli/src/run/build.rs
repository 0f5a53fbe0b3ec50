//! Builds the extension in processes that can be stopped.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

/// Runs this program's own `build` command.
#[derive(Debug)]
pub struct BuildCommand {
    program: PathBuf,
}

impl BuildCommand {
    /// The path of this program.
    ///
    /// # Errors
    ///
    /// If the operating system does not report it.
    pub fn find() -> Result<Self> {
        let program = env::current_exe().context("cannot find the path of this program")?;
        Ok(Self { program })
    }

    /// Starts to build the package in `root`. Cargo prints warnings and errors, and progress unless
    /// `quietly` is set. At the end, `on_end` gets whether the build succeeded, and how long it took.
    ///
    /// # Errors
    ///
    /// If this program cannot be run.
    pub fn start(
        &self,
        root: &Path,
        quietly: bool,
        on_end: impl FnOnce(bool, Duration) + Send + 'static,
    ) -> Result<RunningBuild> {
        let mut command = Command::new(&self.program);
        if quietly {
            command.env("CARGO_TERM_QUIET", "true");
        }
        let start = Instant::now();
        let child = command
            .args(["build", "--dev"])
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // In a process group of its own, so that Cargo and the compilers can be stopped, too.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let group = group_of(&child);
        let waiting = thread::spawn(move || {
            let mut child = child;
            let built = child.wait().is_ok_and(|status| status.success());
            on_end(built, start.elapsed());
        });
        Ok(RunningBuild {
            group,
            waiting: Some(waiting),
        })
    }
}

fn group_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// A running build. Dropping it stops it.
#[derive(Debug)]
pub struct RunningBuild {
    group: Option<Pid>,
    waiting: Option<JoinHandle<()>>,
}

impl RunningBuild {
    /// Joins the build thread.
    pub fn join(mut self) {
        if let Some(waiting) = self.waiting.take() {
            // After a panic of the thread there is nothing to clean up.
            let _ = waiting.join();
        }
    }
}

impl Drop for RunningBuild {
    fn drop(&mut self) {
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        if !waiting.is_finished()
            && let Some(group) = self.group
        {
            // It fails only if the build has ended.
            let _ = kill_process_group(group, Signal::TERM);
        }
        let _ = waiting.join();
    }
}
