//! What Envoy is told.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::options::Options;
use super::resources::{Files, Resources};
use super::{echo, envoy_file};
use proxy_wasm_test::envoy::Configuration;
use proxy_wasm_test::envoy::resources::{self, Listener};

/// The port for requests, if it is free. The examples in deploy/ have it, too.
const PORT: u16 = 18000;

/// The port for the admin page, if it is free.
const ADMIN_PORT: u16 = 18001;

/// Where Envoy's settings come from.
#[derive(Debug)]
pub struct Settings {
    source: Source,
    admin_port: u16,
}

#[derive(Debug)]
enum Source {
    /// The options.
    Options {
        port: u16,
        configuration: Given,
        upstream: Upstream,
    },
    /// A file of the author's for Envoy.
    File(PathBuf),
}

#[derive(Debug)]
enum Given {
    Nothing,
    Text(String),
    File(PathBuf),
}

#[derive(Debug)]
struct Upstream {
    host: String,
    port: u16,
    is_echo: bool,
}

impl Settings {
    /// Reads the options, chooses ports, and starts the echo if there is no other upstream.
    ///
    /// # Errors
    ///
    /// When a port is taken, a file is not there, or the upstream is no host and port.
    pub fn new(options: &Options) -> Result<Self> {
        let admin_port = choose(options.admin_port, ADMIN_PORT, "--admin-port")?;
        if let Some(file) = &options.envoy_config {
            let source = Source::File(found(file)?);
            return Ok(Self { source, admin_port });
        }
        let configuration = match (&options.configuration, &options.configuration_file) {
            (Some(text), _) => Given::Text(text.clone()),
            (None, Some(file)) => Given::File(found(file)?),
            (None, None) => Given::Nothing,
        };
        let source = Source::Options {
            port: choose(options.port, PORT, "--port")?,
            configuration,
            upstream: match &options.upstream {
                Some(text) => Upstream::parse(text)?,
                None => Upstream::echo()?,
            },
        };
        Ok(Self { source, admin_port })
    }

    /// The files that settings are read from.
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.source {
            Source::File(file)
            | Source::Options {
                configuration: Given::File(file),
                ..
            } => vec![file.clone()],
            Source::Options { .. } => Vec::new(),
        }
    }

    /// What is behind the extension, for people.
    pub fn upstream(&self) -> String {
        match &self.source {
            Source::File(file) => format!("the clusters of {}", file.display()),
            Source::Options { upstream, .. } if upstream.is_echo => {
                "an echo, which answers with the request as it arrived".to_owned()
            }
            Source::Options { upstream, .. } => format!("{}:{}", upstream.host, upstream.port),
        }
    }

    /// Reads the files, and says what Envoy is to do by them.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or lacks something.
    pub fn resources(&self, files: &Files) -> Result<Resources> {
        match &self.source {
            Source::Options {
                port,
                configuration,
                upstream,
            } => {
                let listener = Listener {
                    name: "http".to_owned(),
                    root_id: String::new(),
                    configuration: configuration.read()?,
                    port: *port,
                    answers_direct: false,
                };
                let upstream = (upstream.host.as_str(), upstream.port);
                Ok(Resources {
                    bootstrap: resources::bootstrap(files.listeners, self.admin_port, upstream),
                    listeners: resources::listeners(files.module, &[listener]),
                })
            }
            Source::File(file) => {
                let text = read(file)?;
                envoy_file::resources(&text, files, self.admin_port)
                    .with_context(|| file.display().to_string())
            }
        }
    }
}

impl Given {
    fn read(&self) -> Result<Configuration> {
        Ok(match self {
            Self::Nothing => Configuration::Absent,
            Self::Text(text) => Configuration::Text(text.clone()),
            Self::File(file) => Configuration::Text(read(file)?),
        })
    }
}

impl Upstream {
    fn echo() -> Result<Self> {
        let address = echo::start()?.address();
        Ok(Self {
            host: address.ip().to_string(),
            port: address.port(),
            is_echo: true,
        })
    }

    /// Reads `HOST:PORT`, where an IPv6 address stands in brackets.
    fn parse(text: &str) -> Result<Self> {
        let advice =
            || format!("the upstream {text:?} is not HOST:PORT, for example 127.0.0.1:8080");
        let (host, port) = text.rsplit_once(':').with_context(advice)?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        ensure!(!host.is_empty() && !host.contains('/'), advice());
        Ok(Self {
            host: host.to_owned(),
            port: port.parse().with_context(advice)?,
            is_echo: false,
        })
    }
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The path of a file that has to be there, from whichever folder.
fn found(file: &Path) -> Result<PathBuf> {
    fs::canonicalize(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The port that is wanted, if it is free; else the usual one, or any.
fn choose(wanted: Option<u16>, usual: u16, option: &str) -> Result<u16> {
    let port = wanted.unwrap_or(usual);
    // Envoy would share a port with another Envoy.
    let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    ensure!(
        is_free || wanted.is_none(),
        "port {port} of 127.0.0.1 is taken; choose another with {option}, or 0 for a free one"
    );
    Ok(if is_free { port } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_host_and_a_port() -> Result<()> {
        for (text, host, port) in [
            ("127.0.0.1:80", "127.0.0.1", 80),
            ("localhost:8080", "localhost", 8080),
            ("[::1]:8080", "::1", 8080),
        ] {
            let upstream = Upstream::parse(text)?;
            assert_eq!((upstream.host.as_str(), upstream.port), (host, port));
        }
        for text in [
            "",
            "localhost",
            ":80",
            "localhost:port",
            "http://localhost:80",
        ] {
            assert!(Upstream::parse(text).is_err(), "{text:?}");
        }
        Ok(())
    }

    #[test]
    fn a_usual_port_that_is_taken_gives_a_free_one_but_a_wanted_one_is_an_error() -> Result<()> {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = taken.local_addr()?.port();
        assert_eq!(choose(None, port, "--port")?, 0);
        let error = choose(Some(port), PORT, "--port").map_err(|error| error.to_string());
        assert!(error.is_err_and(|error| error.contains("is taken; choose another with --port")));
        drop(taken);
        assert_eq!(choose(Some(0), PORT, "--port")?, 0);
        Ok(())
    }
}
