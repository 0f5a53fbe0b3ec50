//! Waits until Envoy's only worker thread has dealt with what was sent to it before.

use std::net::SocketAddr;

use crate::error::Error;
use crate::http;

/// A listener to which Envoy responds by itself. Its worker reads what has arrived first.
#[derive(Clone, Copy, Debug)]
pub struct Barrier(pub SocketAddr);

impl Barrier {
    /// Waits for the worker.
    pub fn wait(self) -> Result<(), Error> {
        http::get(&format!("http://{}/", self.0)).map(drop)
    }
}
