//! Envoy's admin interface.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::Error;
use crate::http;

/// How long to wait before Envoy is asked again.
pub const POLL: Duration = Duration::from_millis(10);

/// A client of the admin interface.
#[derive(Clone, Debug)]
pub struct Admin {
    address: SocketAddr,
    timeout: Duration,
}

impl Admin {
    /// Reads the file that Envoy writes once it listens. Until then, there is none.
    pub fn read(path: &Path) -> Option<Self> {
        let address = fs::read_to_string(path).ok()?.trim().parse().ok()?;
        Some(Self {
            address,
            timeout: http::TIMEOUT,
        })
    }

    /// Sets how long a response may take. Envoy does not respond while it compiles a module.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The URL of the admin interface.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The counters and gauges whose names match the regular expression `filter`.
    pub fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>, Error> {
        let text = self.text(&format!("/stats?filter={filter}"))?;
        Ok(text
            .lines()
            .filter_map(|line| {
                let (name, value) = line.split_once(": ")?;
                // Skips texts and histograms.
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect())
    }

    /// The ports that the listeners got, by the listeners' names.
    pub fn listener_addresses(&self) -> Result<BTreeMap<String, SocketAddr>, Error> {
        let unknown =
            |what: String| Error::Envoy(format!("cannot read Envoy's list of listeners: {what}"));
        let json = self.get("/listeners?format=json")?;
        let listeners: Value =
            serde_json::from_slice(&json).map_err(|error| unknown(error.to_string()))?;
        let address_of = |listener: &Value| {
            let socket = &listener["local_address"]["socket_address"];
            let name = listener["name"].as_str()?.to_owned();
            let ip = socket["address"].as_str()?.parse().ok()?;
            let port = socket["port_value"].as_u64()?.try_into().ok()?;
            Some((name, SocketAddr::new(ip, port)))
        };
        // Without a listener, Envoy omits the list.
        let Some(list) = listeners.get("listener_statuses") else {
            return Ok(BTreeMap::new());
        };
        list.as_array()
            .and_then(|listeners| {
                // Others listen on a path in the file system.
                let on_ports = listeners
                    .iter()
                    .filter(|listener| listener["local_address"]["pipe"].is_null());
                on_ports.map(address_of).collect()
            })
            .ok_or_else(|| unknown(listeners.to_string()))
    }

    /// The response to a path, as text.
    pub fn text(&self, path: &str) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.get(path)?).into_owned())
    }

    fn get(&self, path: &str) -> Result<Vec<u8>, Error> {
        let url = format!("http://{}{path}", self.address);
        Ok(http::get_within(&url, self.timeout)?.body)
    }
}
