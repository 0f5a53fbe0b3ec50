//! A real registry on 127.0.0.1.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use proxy_wasm_image::ImageReference;
use proxy_wasm_test::envoy::process::KillOnDrop;

/// A registry on a free port, with its own storage.
#[derive(Debug)]
pub struct Registry {
    process: KillOnDrop,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Registry {
    /// Starts a registry, with more lines of configuration. In these, `DIRECTORY` is a directory
    /// with the file `htpasswd`: user `me`, password `open sesame`.
    ///
    /// # Errors
    ///
    /// If docker-registry is not installed, or does not start.
    pub fn start(more: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let configuration = directory.path().join("registry.yaml");
        fs::write(
            directory.path().join("htpasswd"),
            "me:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n",
        )?;
        fs::write(
            &configuration,
            format!(
                "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: \"{address}\"}}\n\
                 storage:\n  filesystem: {{rootdirectory: {0}/storage}}\n{1}\n",
                directory.path().display(),
                more.replace("DIRECTORY", &directory.path().display().to_string())
            ),
        )?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run docker-registry")?;
        let mut registry = Self {
            process: KillOnDrop(process),
            address,
            _directory: directory,
        };
        // It prints nothing when it is ready, but then it accepts connections.
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            ensure!(
                registry.process.0.try_wait()?.is_none() && Instant::now() < deadline,
                "docker-registry does not start"
            );
            thread::yield_now();
        }
        Ok(registry)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The reference of an image in it.
    ///
    /// # Errors
    ///
    /// If the name is not valid.
    pub fn image(&self, name: &str) -> Result<ImageReference> {
        Ok(ImageReference::parse(&format!("{}/{name}", self.address))?)
    }
}
