//! The options of `cargo proxy-wasm run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The options of `cargo proxy-wasm run`.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// The port on 127.0.0.1 for requests; 0 selects a free one [default: 18000, or a free one if it is in
    /// use]
    #[arg(long, env = "PORT", conflicts_with = "envoy_config")]
    pub port: Option<u16>,
    /// The port on 127.0.0.1 for Envoy's admin interface; 0 selects a free one [default: 18001, or a free
    /// one if it is in use]. Not used if the file of --envoy-config configures the admin interface itself
    #[arg(long, env = "ADMIN_PORT")]
    pub admin_port: Option<u16>,
    /// The extension's configuration
    #[arg(long, env = "CONFIGURATION", value_name = "TEXT", conflicts_with_all = ["configuration_file", "envoy_config"])]
    pub configuration: Option<String>,
    /// A file with the extension's configuration; each save is applied
    #[arg(
        long,
        env = "CONFIGURATION_FILE",
        value_name = "FILE",
        conflicts_with = "envoy_config"
    )]
    pub configuration_file: Option<PathBuf>,
    /// The service behind the extension [default: one that responds with the request]
    #[arg(
        long,
        env = "UPSTREAM",
        value_name = "HOST:PORT",
        conflicts_with = "envoy_config"
    )]
    pub upstream: Option<String>,
    /// Append each request to this file as a case that expects the observed behaviour. Requests are served
    /// one after another, and secrets are replaced
    #[arg(
        long,
        env = "RECORD",
        value_name = "FILE",
        conflicts_with = "envoy_config"
    )]
    pub record: Option<PathBuf>,
    /// Set allow_on_headers_stop_iteration (Envoy 1.35 and later): if the extension pauses in a headers
    /// callback, Envoy holds only the headers, and calls the body callback
    #[arg(
        long,
        env = "ALLOW_ON_HEADERS_STOP_ITERATION",
        conflicts_with = "envoy_config"
    )]
    pub allow_on_headers_stop_iteration: bool,
    /// The Envoy to run [default: the one on PATH, or one from PyPI]
    #[arg(long, env = "ENVOY", value_name = "FILE")]
    pub envoy: Option<PathBuf>,
    /// Your own bootstrap configuration for Envoy, in YAML or JSON: for example deploy/envoy.yaml.
    /// Changes of its static listeners are applied on each save. Each Wasm filter whose
    /// vm_config.code.local.filename ends in the file name of manifest.yaml's module loads the built
    /// module. If there is none, and the filters name only one .wasm file, they load the built module
    /// instead. For a Wasm filter with config_discovery, the configuration is read from the file of its
    /// path_config_source
    #[arg(long, env = "ENVOY_CONFIG", value_name = "FILE")]
    pub envoy_config: Option<PathBuf>,
    /// The lowest level of Envoy's own log lines to show. The level of the extension's lines is set in
    /// src/lib.rs
    #[arg(long, env = "ENVOY_LOG", value_name = "LEVEL", value_enum, default_value_t = EnvoyLogLevel::Warning)]
    pub envoy_log: EnvoyLogLevel,
}

/// A log level, of Envoy and of the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum EnvoyLogLevel {
    /// Every step
    Trace,
    /// Details for debugging
    Debug,
    /// Normal events
    Info,
    /// Possible problems
    Warning,
    /// Problems
    Error,
    /// Fatal errors
    Critical,
    /// No lines
    Off,
}

impl EnvoyLogLevel {
    /// Its name, as Envoy writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Off => "off",
        }
    }

    /// The level of a log line, by its name.
    pub fn of_line(name: &str) -> Option<Self> {
        [
            Self::Trace,
            Self::Debug,
            Self::Info,
            Self::Warning,
            Self::Error,
            Self::Critical,
        ]
        .into_iter()
        .find(|level| level.name() == name)
    }
}
