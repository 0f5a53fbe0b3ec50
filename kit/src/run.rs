//! The extension, running while it is written: in a real Envoy, which gets each save.
//!
//! - `session` is the loop: what happens, and what follows from it;
//! - `build` compiles the extension in a process that can be stopped;
//! - `settings` is what Envoy is told: ports, upstream and configuration;
//! - `envoy_file` makes that of a file that the author has for Envoy;
//! - `proxy` is the Envoy;
//! - `log` tells the extension's lines from Envoy's;
//! - `echo` is the upstream, if there is no other;
//! - `watch` says which files have changed;
//! - `screen` is what the author reads.

mod options;

#[cfg(all(unix, feature = "run"))]
mod build;
#[cfg(all(unix, feature = "run"))]
mod echo;
#[cfg(all(unix, feature = "run"))]
mod envoy_file;
#[cfg(all(unix, feature = "run"))]
mod log;
#[cfg(all(unix, feature = "run"))]
mod proxy;
#[cfg(all(unix, feature = "run"))]
mod screen;
#[cfg(all(unix, feature = "run"))]
mod session;
#[cfg(all(unix, feature = "run"))]
mod settings;
#[cfg(all(unix, feature = "run"))]
mod watch;

pub use options::{Level, Options};

#[cfg(all(unix, feature = "run"))]
pub use session::run;

/// Stands for the function of that name in a build that lacks it.
///
/// # Errors
///
/// Always: how to get a build that has it.
#[cfg(not(all(unix, feature = "run")))]
pub fn run(_project: &crate::project::Project, _options: &Options) -> anyhow::Result<()> {
    anyhow::ensure!(
        cfg!(unix),
        "this works on Linux and macOS; on Windows, run it in WSL"
    );
    anyhow::bail!("this build cannot run the extension; `cargo make run` builds one that can")
}
