//! Waits until Envoy's only worker thread has processed everything that was sent to it before.

use std::io;
use std::net::SocketAddr;

use crate::http;

/// A listener on which Envoy responds itself. The worker first reads what has arrived earlier.
#[derive(Clone, Copy, Debug)]
pub struct Barrier(pub SocketAddr);

impl Barrier {
    /// Waits for the worker.
    pub fn wait(self) -> io::Result<()> {
        let response = http::get(&format!("http://{}/", self.0));
        response.map(drop).map_err(io::Error::other)
    }
}
