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

mod build;
mod echo;
mod envoy_file;
mod log;
mod options;
mod proxy;
mod resources;
mod screen;
mod session;
mod settings;
mod watch;

pub use options::Options;
pub use session::run;
