//! Envoy's process and its log.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A child process. Dropped, it is stopped.
#[derive(Debug)]
pub struct Stopping(pub Child);

impl Drop for Stopping {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running Envoy, which writes its log to a file. Dropped, it is stopped.
#[derive(Debug)]
pub struct Process {
    child: Stopping,
    log: PathBuf,
}

impl Process {
    /// Starts the command with a log file of its own.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self {
            child: Stopping(child),
            log: log.to_owned(),
        })
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.0.try_wait()?.is_some())
    }

    /// How long the log is by now, in bytes.
    pub fn log_length(&self) -> Result<u64> {
        Ok(fs::metadata(&self.log)?.len())
    }

    /// What was logged after the first `start` bytes.
    pub fn log_from(&self, start: u64) -> Result<String> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
