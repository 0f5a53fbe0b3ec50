//! What an author can choose.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How the extension is run.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The port on 127.0.0.1 for requests; 0 is a free one [default: 18000, or a free one where
    /// that is taken]
    #[arg(long, env = "PORT", conflicts_with = "envoy_config")]
    pub port: Option<u16>,
    /// The port on 127.0.0.1 for Envoy's admin page; 0 is a free one [default: 18001, or a free one
    /// where that is taken]
    #[arg(long, env = "ADMIN_PORT")]
    pub admin_port: Option<u16>,
    /// The extension's configuration
    #[arg(long, env = "CONFIGURATION", value_name = "TEXT", conflicts_with_all = ["configuration_file", "envoy_config"])]
    pub configuration: Option<String>,
    /// A file with the extension's configuration; each save of it is taken over
    #[arg(
        long,
        env = "CONFIGURATION_FILE",
        value_name = "FILE",
        conflicts_with = "envoy_config"
    )]
    pub configuration_file: Option<PathBuf>,
    /// The service behind the extension; if not given, one that answers with the request as it
    /// arrived
    #[arg(
        long,
        env = "UPSTREAM",
        value_name = "HOST:PORT",
        conflicts_with = "envoy_config"
    )]
    pub upstream: Option<String>,
    /// The Envoy to run; if not given, the one on PATH, or one that is fetched
    #[arg(long, env = "ENVOY", value_name = "FILE")]
    pub envoy: Option<PathBuf>,
    /// A bootstrap file of your own for Envoy, in YAML or JSON: for example deploy/envoy.yaml. Its
    /// static listeners are served as they are, but for the module, and each save is taken over. Of
    /// the Wasm filters in them, those load the built module whose vm_config.code.local.filename
    /// ends in the file name of manifest.yaml's module; if none does, those that name a .wasm file,
    /// if they all name the same one
    #[arg(long, env = "ENVOY_CONFIG", value_name = "FILE")]
    pub envoy_config: Option<PathBuf>,
    /// From which level on lines of Envoy's own log are shown. Those of the extension are shown from
    /// the level on that its src/lib.rs sets
    #[arg(long, env = "ENVOY_LOG", value_name = "LEVEL", value_enum, default_value_t = Level::Warning)]
    pub envoy_log: Level,
}

/// The levels of Envoy's log, and of the extension's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Each step.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What is worth knowing.
    Info,
    /// What may be wrong.
    Warning,
    /// What is wrong.
    Error,
    /// What ends something.
    Critical,
    /// Nothing at all.
    Off,
}

impl Level {
    /// The level's name, as Envoy writes it.
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

    /// The level of that name, if there is one that lines have.
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
