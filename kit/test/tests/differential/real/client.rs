//! A client of a scenario's listener.

use std::net::{SocketAddr, TcpStream};

use anyhow::Result;

use crate::messages::Request;
use crate::observation::Response;

use super::server::Peer;
use super::wire::{Kind, parse};

/// A client, and what it has received.
pub struct Client {
    pub peer: Peer,
    kind: Kind,
    has_left: bool,
}

impl Client {
    pub fn connect(address: SocketAddr, request: &Request) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        Ok(Self {
            peer: Peer::new(stream)?,
            kind: match request.method.as_str() {
                "HEAD" => Kind::ResponseToHead,
                _ => Kind::Response,
            },
            has_left: false,
        })
    }

    pub fn disconnect(&mut self) {
        self.has_left = true;
        self.peer.disconnect();
    }

    pub fn is_waiting(&self) -> bool {
        !self.has_left && matches!(self.response(), Response::Waiting)
    }

    pub fn response(&self) -> Response {
        match parse(&self.peer.arrived, self.kind, self.peer.is_closed) {
            Some((mut received, length)) if received.is_complete => {
                received.has_rest = length < self.peer.arrived.len();
                Response::Complete(received)
            }
            _ if self.peer.is_closed && !self.has_left => Response::CutOff,
            _ => Response::Waiting,
        }
    }
}
