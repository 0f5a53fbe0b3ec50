//! A real Envoy: find it, configure it, start it, update it, stop it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub(crate) mod admin;
mod find;
pub(crate) mod process;
pub(crate) mod resources;
pub(crate) mod server;
pub(crate) mod updates;

pub use find::{VERSION, find_or_fetch, named};
pub use resources::Configuration;

use resources::Listener;
use server::{Answer, Mark, Server};

/// An Envoy yet to be started, with as many listeners as a test needs.
#[derive(Debug)]
pub struct Builder {
    binary: PathBuf,
    module: PathBuf,
    upstream: SocketAddr,
    workers: u32,
    listeners: Vec<Listener>,
}

impl Builder {
    /// Sets the number of worker threads, which is 2 if not set. Each has a VM of its own.
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Adds a listener, which passes requests through the extension to the upstream. All listeners
    /// share one VM for each worker.
    pub fn listener(mut self, name: &str, root_id: &str, configuration: &Configuration) -> Self {
        self.listeners.push(Listener {
            name: name.to_owned(),
            root_id: root_id.to_owned(),
            configuration: configuration.clone(),
            port: 0,
            answers_direct: true,
        });
        self
    }

    /// Starts the Envoy on free ports of 127.0.0.1 and waits until it serves.
    ///
    /// # Errors
    ///
    /// When Envoy refuses to start or refuses a listener: all of its log is in the error.
    pub fn start(self) -> Result<Envoy> {
        let folder = tempfile::tempdir()?;
        let bootstrap = folder.path().join("envoy.json");
        let file = folder.path().join("listeners.json");
        let listeners = resources::listeners(&self.module, &self.listeners);
        fs::write(&file, listeners.to_string())?;
        fs::write(
            &bootstrap,
            resources::bootstrap(&file, 0, ("127.0.0.1", self.upstream.port())).to_string(),
        )?;
        let server = Server::start(&self.binary, &bootstrap, self.workers, folder.path())?;
        if let Answer::Refused(log) = server.wait_for_answer(&Mark::default())? {
            bail!("Envoy refused to start its listeners:\n{log}");
        }
        let addresses = server.listener_addresses()?;
        let address = self
            .listeners
            .first()
            .and_then(|listener| addresses.get(&listener.name).copied())
            .context("an Envoy without a listener serves nothing; add one")?;
        Ok(Envoy {
            server,
            address,
            addresses,
            module: self.module,
            listeners: self.listeners,
            folder,
        })
    }
}

/// A running Envoy whose listeners pass requests through an extension to an upstream. Dropped, it
/// is stopped.
#[derive(Debug)]
pub struct Envoy {
    server: Server,
    /// Of the first listener.
    address: SocketAddr,
    addresses: BTreeMap<String, SocketAddr>,
    module: PathBuf,
    /// With the configurations in force.
    listeners: Vec<Listener>,
    folder: tempfile::TempDir,
}

impl Envoy {
    /// Starts an Envoy with two workers and one listener, `http`, and waits until it serves.
    ///
    /// # Errors
    ///
    /// When Envoy refuses to start or refuses the configuration: all of its log is in the error.
    pub fn start(
        binary: &Path,
        module: &Path,
        configuration: &Configuration,
        upstream: SocketAddr,
    ) -> Result<Self> {
        Self::builder(binary, module, upstream)
            .listener("http", "extension", configuration)
            .start()
    }

    /// Prepares an Envoy with several listeners or another number of workers.
    pub fn builder(binary: &Path, module: &Path, upstream: SocketAddr) -> Builder {
        Builder {
            binary: binary.to_owned(),
            module: module.to_owned(),
            upstream,
            workers: 2,
            listeners: Vec::new(),
        }
    }

    /// The URL of a path, which begins with `/`, behind the extension in the first listener.
    ///
    /// Envoy answers `/direct` itself, with status 403; all else goes to the upstream.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL of a path behind the extension in the listener of that name.
    ///
    /// # Errors
    ///
    /// When there is no such listener.
    pub fn url_of(&self, listener: &str, path: &str) -> Result<String> {
        let address = self
            .addresses
            .get(listener)
            .with_context(|| format!("Envoy has no listener {listener:?}"))?;
        Ok(format!("http://{address}{path}"))
    }

    /// Gives the extension in the first listener a new configuration, as a mesh does while traffic
    /// flows, and waits until every worker answers new connections by it.
    ///
    /// A connection from before is closed after its next response, which may still follow the old
    /// configuration.
    ///
    /// # Errors
    ///
    /// When Envoy refuses the configuration, with what it logged. The last good one stays in force.
    /// Envoy remembers: of the same configuration a second time it does not ask the extension, so
    /// that the extension's own message is in the first error alone.
    pub fn update(&mut self, configuration: &Configuration) -> Result<()> {
        let listener = self.listeners.first().context("Envoy has no listener")?;
        let name = listener.name.clone();
        self.update_listener(&name, configuration)
    }

    /// As [`update`](Self::update), for the extension in the listener of that name.
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update), and when there is no such listener.
    pub fn update_listener(&mut self, name: &str, configuration: &Configuration) -> Result<()> {
        let mut listeners = self.listeners.clone();
        let listener = listeners
            .iter_mut()
            .find(|listener| listener.name == name)
            .with_context(|| format!("Envoy has no listener {name:?}"))?;
        listener.configuration = configuration.clone();

        let mark = self.server.mark()?;
        // Envoy reads the file when another is moved over it.
        let next = self.folder.path().join("listeners.json.next");
        fs::write(
            &next,
            resources::listeners(&self.module, &listeners).to_string(),
        )?;
        fs::rename(next, self.folder.path().join("listeners.json"))?;
        match self.server.wait_for_answer(&mark)? {
            Answer::Accepted => self.listeners = listeners,
            Answer::Refused(log) => bail!("Envoy refused the configuration:\n{log}"),
        }
        Ok(())
    }

    /// Waits until Envoy has logged a text, and gives all that it has logged until then, from its
    /// start.
    ///
    /// # Errors
    ///
    /// When it does not within a minute: what it has logged.
    pub fn log_until(&self, text: &str) -> Result<String> {
        self.server.log_until(text)
    }

    /// Envoy's counters and gauges whose names have a match for the regular expression `filter`, for
    /// example `listener_manager`.
    ///
    /// # Errors
    ///
    /// When Envoy does not answer.
    pub fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>> {
        self.server.stats(filter)
    }

    /// What Envoy's admin interface answers to a path, for example `/config_dump` or
    /// `/stats?format=prometheus`.
    ///
    /// # Errors
    ///
    /// When Envoy does not answer.
    pub fn admin(&self, path: &str) -> Result<String> {
        self.server.admin(path)
    }

    /// Waits until each of these counters of Envoy's has risen by so much, for example
    /// `http.NAME.downstream_rq_2xx`, which counts a listener's responses with such a status.
    ///
    /// # Errors
    ///
    /// When one does not rise within a minute, or Envoy does not know it.
    pub fn wait_for_rise(&self, counters: &[impl AsRef<str>], rise: u64) -> Result<()> {
        self.server.wait_for_rise(counters, rise)
    }
}
