//! Ports, upstream and configuration.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::options::RunOptions;
use super::resources::{EnvoyFiles, Resources};
use super::{echo, envoy_file};
use proxy_wasm_test::cases::Recorder;
use proxy_wasm_test::envoy::Configuration;
use proxy_wasm_test::envoy::resources::{self, Listener};

/// The default port for requests, which `deploy/envoy.yaml` has, too.
const PORT: u16 = 18000;

/// The default port for the admin interface.
const ADMIN_PORT: u16 = 18001;

/// The settings of a run.
#[derive(Debug)]
pub struct Settings {
    source: SettingsSource,
    admin_port: u16,
}

#[derive(Debug)]
enum SettingsSource {
    /// The settings are in the options.
    Options {
        port: u16,
        configuration: GivenConfiguration,
        allow_on_headers_stop_iteration: bool,
        upstream: UpstreamAddress,
        recorder: Option<Recorder>,
    },
    /// The settings are in the author's own Envoy configuration.
    File(PathBuf),
}

#[derive(Debug)]
enum GivenConfiguration {
    None,
    Text(String),
    File(PathBuf),
}

#[derive(Debug)]
struct UpstreamAddress {
    host: String,
    port: u16,
    is_echo: bool,
}

impl Settings {
    /// Reads the options, chooses ports, and starts the echo upstream if there is no other.
    ///
    /// # Errors
    ///
    /// If a port is in use, a file does not exist, or the upstream is not HOST:PORT.
    pub fn new(options: &RunOptions) -> Result<Self> {
        let admin_port = choose(options.admin_port, ADMIN_PORT, "--admin-port")?;
        if let Some(file) = &options.envoy_config {
            let source = SettingsSource::File(absolute(file)?);
            return Ok(Self { source, admin_port });
        }
        let configuration = match (&options.configuration, &options.configuration_file) {
            (Some(text), _) => GivenConfiguration::Text(text.clone()),
            (None, Some(file)) => GivenConfiguration::File(absolute(file)?),
            (None, None) => GivenConfiguration::None,
        };
        let port = choose(options.port, PORT, "--port")?;
        let upstream = match &options.upstream {
            Some(text) => UpstreamAddress::parse(text)?,
            None => UpstreamAddress::echo()?,
        };
        let record =
            |file: &PathBuf| Recorder::start(port, (upstream.host.clone(), upstream.port), file);
        let recorder = options.record.as_ref().map(record).transpose()?;
        let source = SettingsSource::Options {
            port,
            configuration,
            allow_on_headers_stop_iteration: options.allow_on_headers_stop_iteration,
            upstream,
            recorder,
        };
        Ok(Self { source, admin_port })
    }

    /// The files from which settings are read.
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.source {
            SettingsSource::File(file)
            | SettingsSource::Options {
                configuration: GivenConfiguration::File(file),
                ..
            } => vec![file.clone()],
            SettingsSource::Options { .. } => Vec::new(),
        }
    }

    /// The upstream, for the output.
    pub fn upstream(&self) -> String {
        match &self.source {
            SettingsSource::File(file) => format!("the clusters of {}", file.display()),
            SettingsSource::Options { upstream, .. } if upstream.is_echo => {
                "an echo server, which responds with the request".to_owned()
            }
            SettingsSource::Options { upstream, .. } => {
                format!("{}:{}", upstream.host, upstream.port)
            }
        }
    }

    /// What records the requests, if the author has asked for it.
    pub fn recorder(&self) -> Option<&Recorder> {
        match &self.source {
            SettingsSource::Options { recorder, .. } => recorder.as_ref(),
            SettingsSource::File(_) => None,
        }
    }

    /// Reads the files, and makes Envoy's configuration.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or is incomplete.
    pub fn resources(&self, files: &EnvoyFiles) -> Result<Resources> {
        match &self.source {
            SettingsSource::Options {
                port,
                configuration,
                allow_on_headers_stop_iteration,
                upstream,
                recorder,
            } => {
                let configuration = configuration.read()?;
                if let (Some(recorder), Configuration::Text(text)) = (recorder, &configuration) {
                    recorder.propose_configuration(Some(text.clone()));
                }
                let listener = Listener {
                    is_tcp: false,
                    name: "http".to_owned(),
                    root_id: String::new(),
                    configuration,
                    // The recorder listens on the author's port.
                    port: if recorder.is_some() { 0 } else { *port },
                    has_direct_response: false,
                    allow_on_headers_stop_iteration: *allow_on_headers_stop_iteration,
                };
                let (host, port) = match recorder {
                    Some(recorder) => {
                        let address = recorder.upstream_address();
                        (address.ip().to_string(), address.port())
                    }
                    None => (upstream.host.clone(), upstream.port),
                };
                let upstream = (host.as_str(), port);
                Ok(Resources {
                    bootstrap: resources::bootstrap(files.listeners, self.admin_port, upstream),
                    listeners: resources::listeners(files.module, &[listener]),
                })
            }
            SettingsSource::File(file) => {
                let text = read(file)?;
                envoy_file::resources(&text, files, self.admin_port)
                    .with_context(|| file.display().to_string())
            }
        }
    }
}

impl GivenConfiguration {
    fn read(&self) -> Result<Configuration> {
        Ok(match self {
            Self::None => Configuration::Absent,
            Self::Text(text) => Configuration::Text(text.clone()),
            Self::File(file) => Configuration::Text(read(file)?),
        })
    }
}

impl UpstreamAddress {
    fn echo() -> Result<Self> {
        let address = echo::start()?.address();
        Ok(Self {
            host: address.ip().to_string(),
            port: address.port(),
            is_echo: true,
        })
    }

    /// Parses `HOST:PORT`, with an IPv6 address in brackets.
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

/// The absolute path of an existing file.
fn absolute(file: &Path) -> Result<PathBuf> {
    fs::canonicalize(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The requested port, or else the default one if it is free, or else 0.
fn choose(requested: Option<u16>, default: u16, option: &str) -> Result<u16> {
    let port = requested.unwrap_or(default);
    // Check here: Envoy would share the port with another Envoy.
    let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    ensure!(
        is_free || requested.is_none(),
        "port {port} on 127.0.0.1 is in use; choose another one with {option}, or 0 for a free one"
    );
    Ok(if is_free { port } else { 0 })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct TestCli {
        #[command(flatten)]
        options: RunOptions,
    }

    #[test]
    fn headers_are_held_without_the_body_if_asked_for() -> Result<()> {
        let files = EnvoyFiles {
            module: Path::new("module.wasm"),
            module_name: "extension.wasm",
            listeners: Path::new("listeners.json"),
        };
        let base = [
            "run",
            "--port=0",
            "--admin-port=0",
            "--upstream=localhost:1",
        ];
        let option = "--allow-on-headers-stop-iteration";
        for (arguments, expected) in [(&base[..], false), (&[&base[..], &[option]].concat(), true)]
        {
            let options = TestCli::try_parse_from(arguments)?.options;
            let listeners = Settings::new(&options)?.resources(&files)?.listeners;
            let is_set = listeners
                .to_string()
                .contains(r#""allow_on_headers_stop_iteration":true"#);
            assert_eq!(is_set, expected);
        }
        Ok(())
    }

    #[test]
    fn upstream_is_a_host_and_a_port() -> Result<()> {
        for (text, host, port) in [
            ("127.0.0.1:80", "127.0.0.1", 80),
            ("localhost:8080", "localhost", 8080),
            ("[::1]:8080", "::1", 8080),
        ] {
            let upstream = UpstreamAddress::parse(text)?;
            assert_eq!((upstream.host.as_str(), upstream.port), (host, port));
        }
        for text in [
            "",
            "localhost",
            ":80",
            "localhost:port",
            "http://localhost:80",
        ] {
            assert!(UpstreamAddress::parse(text).is_err(), "{text:?}");
        }
        Ok(())
    }

    #[test]
    fn default_port_in_use_is_replaced_and_requested_one_is_an_error() -> Result<()> {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = taken.local_addr()?.port();
        assert_eq!(choose(None, port, "--port")?, 0);
        let error = choose(Some(port), PORT, "--port").map_err(|error| error.to_string());
        assert!(
            error.is_err_and(|error| error.contains("is in use; choose another one with --port"))
        );
        drop(taken);
        assert_eq!(choose(Some(0), PORT, "--port")?, 0);
        Ok(())
    }
}
