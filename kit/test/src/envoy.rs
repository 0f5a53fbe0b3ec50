//! A real Envoy: find it, configure it, start it, update it, stop it.
//!
//! ```no_run
//! use proxy_wasm_test::envoy::{Configuration, Envoy};
//! use proxy_wasm_test::{Error, Reply, Upstream, http, module_path};
//!
//! fn main() -> Result<(), Error> {
//!     let upstream = Upstream::start(|_| Reply::new(200).body("hello"))?;
//!     let configuration = Configuration::Text(r#"{"custom-header": "test"}"#.to_owned());
//!     let envoy = Envoy::start(&module_path(), &configuration, upstream.address())?;
//!     let response = http::get(&envoy.url("/"))?;
//!     assert_eq!(response.header("custom-header"), ["test"]);
//!     Ok(())
//! }
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::error::Error;

#[doc(hidden)] // for the toolkit's own commands
pub mod admin;
mod find;
#[doc(hidden)] // for the toolkit's own commands
pub mod process;
#[doc(hidden)] // for the toolkit's own commands
pub mod resources;
mod server;
#[doc(hidden)] // for the toolkit's own commands
pub mod updates;

#[doc(hidden)] // for the toolkit's own tests
pub use find::fetched;
pub use find::{VERSION, binary_at, find_or_fetch};
pub use resources::Configuration;

use resources::Listener;
use server::{Server, UpdateState};

/// The error for a listener that Envoy does not have.
const UNKNOWN_LISTENER: Error = Error::InvalidState("Envoy has no listener of that name");

/// Configures an Envoy before it starts. It can have several listeners.
#[derive(Debug)]
pub struct Builder {
    binary: Option<PathBuf>,
    module: PathBuf,
    upstream: SocketAddr,
    workers: u32,
    allow_on_headers_stop_iteration: bool,
    listeners: Vec<Listener>,
}

impl Builder {
    /// Sets the path of the Envoy binary. If it is not set, [`find_or_fetch`] finds one.
    pub fn binary(mut self, binary: &Path) -> Self {
        self.binary = Some(binary.to_owned());
        self
    }

    /// Sets the number of worker threads, which is 2 if not set. Each has a VM of its own.
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Sets `allow_on_headers_stop_iteration` of the extension in all listeners, which is false if not
    /// set: see [`Options`](crate::Options::allow_on_headers_stop_iteration). Envoys before 1.35
    /// reject it.
    pub fn allow_on_headers_stop_iteration(mut self, is_allowed: bool) -> Self {
        self.allow_on_headers_stop_iteration = is_allowed;
        self
    }

    /// Adds a listener, which passes requests through the extension to the upstream. All listeners
    /// share one VM for each worker.
    pub fn listener(self, name: &str, root_id: &str, configuration: &Configuration) -> Self {
        self.add_listener(name, root_id, configuration, false)
    }

    /// Adds a listener, which passes TCP connections through the extension to the upstream: see
    /// [`Envoy::address_of`].
    pub fn tcp_listener(self, name: &str, root_id: &str, configuration: &Configuration) -> Self {
        self.add_listener(name, root_id, configuration, true)
    }

    fn add_listener(
        mut self,
        name: &str,
        root_id: &str,
        configuration: &Configuration,
        is_tcp: bool,
    ) -> Self {
        self.listeners.push(Listener {
            name: name.to_owned(),
            root_id: root_id.to_owned(),
            configuration: configuration.clone(),
            port: 0,
            has_direct_response: true,
            is_tcp,
            allow_on_headers_stop_iteration: false,
        });
        self
    }

    /// Starts the Envoy on free ports of 127.0.0.1 and waits until it serves.
    ///
    /// # Errors
    ///
    /// If Envoy does not start, or rejects a listener: the error contains Envoy's log.
    pub fn start(mut self) -> Result<Envoy, Error> {
        for listener in &mut self.listeners {
            listener.allow_on_headers_stop_iteration = self.allow_on_headers_stop_iteration;
        }
        let binary = match self.binary {
            Some(binary) => binary,
            None => find_or_fetch()?,
        };
        let directory = tempfile::tempdir().map_err(Error::io("create a directory"))?;
        let bootstrap = directory.path().join("envoy.json");
        let file = directory.path().join("listeners.json");
        let listeners = resources::listeners(&self.module, &self.listeners);
        let host = self.upstream.ip().to_string();
        let written = resources::bootstrap(&file, 0, (&host, self.upstream.port()));
        fs::write(&file, listeners.to_string())
            .and_then(|()| fs::write(&bootstrap, written.to_string()))
            .map_err(Error::io("write Envoy's files"))?;
        let server = Server::start(&binary, &bootstrap, self.workers, directory.path())?;
        server.wait_for_update(&UpdateState::default())?;
        let addresses = server.listener_addresses()?;
        let address = self
            .listeners
            .first()
            .and_then(|listener| addresses.get(&listener.name).copied())
            .ok_or(Error::InvalidState(
                "there is no listener; call Builder::listener or Builder::tcp_listener",
            ))?;
        Ok(Envoy {
            server,
            address,
            addresses,
            module: self.module,
            listeners: self.listeners,
            directory,
        })
    }
}

/// A running Envoy whose listeners pass requests through an extension to an upstream. It is
/// stopped when it is dropped.
#[derive(Debug)]
pub struct Envoy {
    server: Server,
    /// The address of the first listener.
    address: SocketAddr,
    addresses: BTreeMap<String, SocketAddr>,
    module: PathBuf,
    /// The listeners, with the configurations that Envoy has accepted.
    listeners: Vec<Listener>,
    directory: tempfile::TempDir,
}

impl Envoy {
    /// Starts an Envoy with two workers and one listener, `http`, and waits until it serves.
    ///
    /// # Errors
    ///
    /// If Envoy does not start, or rejects the configuration: the error contains Envoy's log.
    pub fn start(
        module: &Path,
        configuration: &Configuration,
        upstream: SocketAddr,
    ) -> Result<Self, Error> {
        Self::builder(module, upstream)
            .listener("http", "extension", configuration)
            .start()
    }

    /// Prepares an Envoy with several listeners or another number of workers.
    pub fn builder(module: &Path, upstream: SocketAddr) -> Builder {
        Builder {
            binary: None,
            module: module.to_owned(),
            upstream,
            workers: 2,
            allow_on_headers_stop_iteration: false,
            listeners: Vec::new(),
        }
    }

    /// The URL of a path on the first listener, whose requests pass through the extension. The path
    /// begins with `/`.
    ///
    /// Envoy responds to `/direct` itself, with status 403. It forwards all other paths to the
    /// upstream.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL of a path on the listener of that name: see [`url`](Self::url).
    ///
    /// # Errors
    ///
    /// If there is no such listener.
    pub fn url_of(&self, listener: &str, path: &str) -> Result<String, Error> {
        Ok(format!("http://{}{path}", self.address_of(listener)?))
    }

    /// The address on which the listener of that name accepts connections.
    ///
    /// # Errors
    ///
    /// If there is no such listener.
    pub fn address_of(&self, listener: &str) -> Result<SocketAddr, Error> {
        self.addresses
            .get(listener)
            .copied()
            .ok_or(UNKNOWN_LISTENER)
    }

    /// Updates the configuration of the extension in the first listener, as a mesh does while traffic
    /// flows, and waits until every worker thread serves new connections with it.
    ///
    /// An older connection is closed after its next response, which may still have the old
    /// configuration.
    ///
    /// # Errors
    ///
    /// If Envoy rejects the configuration: the error contains what it logged, and Envoy keeps the last
    /// good configuration. If the same configuration is rejected again, Envoy does not run the
    /// extension, so that only the first error contains the extension's own message.
    pub fn update(&mut self, configuration: &Configuration) -> Result<(), Error> {
        let listener = self.listeners.first().ok_or(UNKNOWN_LISTENER)?;
        let name = listener.name.clone();
        self.update_listener(&name, configuration)
    }

    /// As [`update`](Self::update), for the extension in the listener of that name.
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update), and if there is no such listener.
    pub fn update_listener(
        &mut self,
        name: &str,
        configuration: &Configuration,
    ) -> Result<(), Error> {
        let mut listeners = self.listeners.clone();
        let listener = listeners
            .iter_mut()
            .find(|listener| listener.name == name)
            .ok_or(UNKNOWN_LISTENER)?;
        listener.configuration = configuration.clone();

        let state = self.server.update_state()?;
        resources::replace(
            &self.directory.path().join("listeners.json"),
            &resources::listeners(&self.module, &listeners),
        )?;
        self.server.wait_for_update(&state)?;
        self.listeners = listeners;
        Ok(())
    }

    /// Waits until Envoy's log contains `text`, and returns the whole log.
    ///
    /// # Errors
    ///
    /// If the log does not contain it within a minute: the error contains the log.
    pub fn log_until(&self, text: &str) -> Result<String, Error> {
        self.server.log_until(text)
    }

    /// Envoy's counters and gauges whose names match the regular expression `filter`, for
    /// example `listener_manager`.
    ///
    /// # Errors
    ///
    /// If Envoy does not respond.
    pub fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>, Error> {
        self.server.admin().stats(filter)
    }

    /// The response of Envoy's admin interface to a path, for example `/config_dump` or
    /// `/stats?format=prometheus`.
    ///
    /// # Errors
    ///
    /// If Envoy does not respond.
    pub fn admin(&self, path: &str) -> Result<String, Error> {
        self.server.admin().text(path)
    }

    /// Waits until each of these counters of Envoy has risen by `rise`, for example
    /// `http.NAME.downstream_rq_2xx`, which counts a listener's responses with a 2xx status.
    ///
    /// # Errors
    ///
    /// If one does not rise within a minute, or Envoy does not have it.
    pub fn wait_for_rise(&self, counters: &[impl AsRef<str>], rise: u64) -> Result<(), Error> {
        self.server.wait_for_rise(counters, rise)
    }
}
