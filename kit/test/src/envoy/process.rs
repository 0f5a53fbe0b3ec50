//! The Envoy process, its admin interface and its log.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::envoy::admin::{Admin, POLL};
use crate::error::Error;

/// A child process, which is stopped when it is dropped.
#[derive(Debug)]
pub struct KillOnDrop(pub Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How an Envoy is started.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The Envoy binary.
    pub binary: &'a Path,
    /// The file with its bootstrap.
    pub bootstrap: &'a Path,
    /// The directory for the log and the address of the admin interface.
    pub directory: &'a Path,
    /// The number of worker threads.
    pub workers: u32,
    /// How long connections to a listener that changes may stay open, in seconds.
    pub drain_seconds: u32,
    /// Further arguments, such as the log level.
    pub arguments: Vec<String>,
}

impl Launch<'_> {
    /// Envoy's command.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.binary);
        command
            .arg("--config-path")
            .arg(self.bootstrap)
            .arg("--admin-address-path")
            .arg(admin_file(self.directory))
            .args(["--concurrency", &self.workers.to_string()])
            // Hot restart is not needed, and Envoy would leave its shared memory behind.
            .arg("--disable-hot-restart")
            // As Istio starts it: after an update, a connection's next response closes it.
            .args(["--drain-strategy", "immediate"])
            .args(["--drain-time-s", &self.drain_seconds.to_string()])
            .args(&self.arguments);
        command
    }
}

/// Starts an Envoy by its command, and writes its log to `log`.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be started.
pub fn spawn(command: &mut Command, log: impl Into<Stdio>) -> Result<KillOnDrop, Error> {
    let program = command.get_program().display().to_string();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(Error::io(format!("start {program}")))?;
    Ok(KillOnDrop(child))
}

/// The file into which an Envoy with its files in this directory writes the address of its admin
/// interface.
pub fn admin_file(directory: &Path) -> PathBuf {
    directory.join("admin")
}

/// Waits until Envoy has written the address of its admin interface, for at most `timeout`.
///
/// # Errors
///
/// [`Error::Envoy`] after that time, or the error of `check`, which is called while waiting.
pub fn wait_for_admin(
    directory: &Path,
    timeout: Duration,
    mut check: impl FnMut() -> Result<(), Error>,
) -> Result<Admin, Error> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(admin) = Admin::read(&admin_file(directory)) {
            return Ok(admin);
        }
        check()?;
        if Instant::now() >= deadline {
            return Err(Error::Envoy(format!(
                "Envoy did not start within {timeout:?}"
            )));
        }
        thread::sleep(POLL);
    }
}

/// A running Envoy, which writes its log to a file. It is stopped when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: KillOnDrop,
    log: PathBuf,
    admin: Admin,
}

impl Process {
    /// Starts Envoy with `command`, which may run Envoy under another program, and waits until its
    /// admin interface listens, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// If it cannot be started, exits, or does not listen in time. The error contains its log.
    pub fn start(mut command: Command, directory: &Path, timeout: Duration) -> Result<Self, Error> {
        let log = directory.join("log");
        let file = File::create(&log).map_err(Error::io(format!("write {}", log.display())))?;
        let mut child = spawn(&mut command, file)?;
        let admin = wait_for_admin(directory, timeout, || match child.0.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(Error::Envoy("Envoy exited while it started".to_owned())),
        })
        .map_err(|error| Error::Envoy(format!("{error}:\n{}", read_from(&log, 0))))?;
        Ok(Self { child, log, admin })
    }

    /// The admin interface.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// How the process has ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.0.try_wait().ok().flatten()
    }

    /// The length of the log, in bytes.
    pub fn log_length(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |file| file.len())
    }

    /// The log after its first `start` bytes.
    pub fn log_from(&self, start: u64) -> String {
        read_from(&self.log, start)
    }
}

fn read_from(log: &Path, start: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("(the log cannot be read: {error})"),
    }
}
