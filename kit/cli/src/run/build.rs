//! A build of the extension, in processes that can be stopped.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

/// What builds: this program's own `build`.
#[derive(Debug)]
pub struct Builder {
    program: PathBuf,
}

impl Builder {
    /// The path of this program.
    ///
    /// # Errors
    ///
    /// When the system does not say where it is.
    pub fn find() -> Result<Self> {
        let program = env::current_exe().context("this program cannot find itself")?;
        Ok(Self { program })
    }

    /// Starts to build the package in `root`. Cargo shows its warnings and errors, and of the first
    /// build also its progress. `done` is told whether it was built, and how long it took.
    ///
    /// # Errors
    ///
    /// When this program cannot be run again.
    pub fn start(
        &self,
        root: &Path,
        quietly: bool,
        done: impl FnOnce(bool, Duration) + Send + 'static,
    ) -> Result<Build> {
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
            // Its own group, so that Cargo and the compilers are stopped with it.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let group = group_of(&child);
        let waiting = thread::spawn(move || {
            let mut child = child;
            let built = child.wait().is_ok_and(|status| status.success());
            done(built, start.elapsed());
        });
        Ok(Build {
            group,
            waiting: Some(waiting),
        })
    }
}

fn group_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// A build that goes on. Dropped, it is stopped.
#[derive(Debug)]
pub struct Build {
    group: Option<Pid>,
    waiting: Option<JoinHandle<()>>,
}

impl Build {
    /// Joins the thread of a build that has ended.
    pub fn join(mut self) {
        if let Some(waiting) = self.waiting.take() {
            // It holds nothing of which a panic could matter here.
            let _ = waiting.join();
        }
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        if !waiting.is_finished()
            && let Some(group) = self.group
        {
            // It fails only when the build has ended.
            let _ = kill_process_group(group, Signal::TERM);
        }
        let _ = waiting.join();
    }
}
