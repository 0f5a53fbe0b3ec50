//! `cargo proxy-wasm run`: runs the extension in an Envoy, and reloads it on each save.
//!
//! - `session`: the event loop;
//! - `build`: compiles the extension in a process that can be stopped;
//! - `settings`: ports, upstream and configuration, from the options;
//! - `envoy_file`: the author's own Envoy configuration, changed so that it loads the built module;
//! - `discovery`: Wasm filters in that file whose configuration is discovered (ECDS);
//! - `field`: the two names of a field in JSON;
//! - `proxy`: the Envoy process;
//! - `log`: separates the extension's log lines from Envoy's;
//! - `echo`: the upstream, unless the author names another;
//! - `watch`: which files have changed;
//! - `output`: terminal output.

mod build;
mod discovery;
mod echo;
mod envoy_file;
mod field;
mod log;
mod options;
mod output;
mod proxy;
mod resources;
mod session;
mod settings;
pub mod watch;

pub use options::RunOptions;
pub use session::run;
