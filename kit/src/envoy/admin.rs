//! Envoy's admin interface.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::http;

/// How long to wait before Envoy is asked again.
pub const POLL: Duration = Duration::from_millis(10);

/// Where the admin interface answers.
#[derive(Clone, Debug)]
pub struct Admin(SocketAddr);

impl Admin {
    /// Reads the file that Envoy writes once it listens. Until then, there is none.
    pub fn read(path: &Path) -> Option<Self> {
        fs::read_to_string(path).ok()?.trim().parse().ok().map(Self)
    }

    /// Waits for the file that Envoy writes once it listens, as long as `patience` has no error.
    pub fn wait(path: &Path, mut patience: impl FnMut() -> Result<()>) -> Result<Self> {
        loop {
            if let Some(admin) = Self::read(path) {
                return Ok(admin);
            }
            patience()?;
            thread::sleep(POLL);
        }
    }

    /// The URL of the page for people.
    #[cfg(all(unix, feature = "run"))]
    pub fn url(&self) -> String {
        format!("http://{}/", self.0)
    }

    /// The counters and gauges whose names have a match for the regular expression `filter`.
    pub fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>> {
        let text = self.text(&format!("/stats?filter={filter}"))?;
        Ok(text
            .lines()
            .filter_map(|line| {
                let (name, value) = line.split_once(": ")?;
                // Texts and histograms are no numbers.
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect())
    }

    /// The ports that the listeners got, by the listeners' names.
    pub fn listener_addresses(&self) -> Result<BTreeMap<String, SocketAddr>> {
        let listeners: Value = serde_json::from_slice(&self.get("/listeners?format=json")?)?;
        let address_of = |listener: &Value| {
            let socket = &listener["local_address"]["socket_address"];
            let name = listener["name"].as_str()?.to_owned();
            let ip = socket["address"].as_str()?.parse().ok()?;
            let port = socket["port_value"].as_u64()?.try_into().ok()?;
            Some((name, SocketAddr::new(ip, port)))
        };
        listeners["listener_statuses"]
            .as_array()
            .and_then(|listeners| listeners.iter().map(address_of).collect())
            .with_context(|| format!("Envoy lists its listeners in an unknown way: {listeners}"))
    }

    /// What it answers to a path, as text.
    pub fn text(&self, path: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.get(path)?).into_owned())
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        let response = http::get(&format!("http://{}{path}", self.0))
            .context("Envoy's admin interface does not answer")?;
        Ok(response.body)
    }
}
