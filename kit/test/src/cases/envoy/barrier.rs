//! Waits until Envoy's only worker thread has dealt with what was sent to it before.

use std::io;
use std::net::SocketAddr;

use crate::http;

/// A listener to which Envoy responds by itself. Its worker reads what has arrived first.
#[derive(Clone, Copy, Debug)]
pub struct Barrier(pub SocketAddr);

impl Barrier {
    /// Waits for the worker.
    pub fn wait(self) -> io::Result<()> {
        let response = http::get(&format!("http://{}/", self.0));
        response.map(drop).map_err(io::Error::other)
    }
}
