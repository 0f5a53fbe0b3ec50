//! TCP connections through Envoy: their clients, and the upstream.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::sockopt::set_socket_linger;

use crate::tcp::{End, Event, Side, Stream};

/// The clients of a scenario, and the upstream to which Envoy connects.
pub struct Connections {
    listener: TcpListener,
    clients: Vec<Peer>,
    upstreams: Vec<Peer>,
}

/// One end of a connection.
struct Peer {
    /// Until it resets the connection.
    socket: Option<TcpStream>,
    received: Stream,
}

impl Connections {
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            clients: Vec::new(),
            upstreams: Vec::new(),
        })
    }

    pub fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Runs an event. The address is that of the scenario's listener. Over a connection that
    /// does not exist, nothing arrives.
    pub fn apply(&mut self, event: &Event, address: SocketAddr) -> Result<()> {
        let side = match event {
            Event::Connect => {
                self.clients.push(Peer::new(TcpStream::connect(address)?)?);
                return Ok(());
            }
            Event::Send(side, _) | Event::End(side) | Event::Reset(side) => side,
        };
        let peers = match side {
            Side::Client => &mut self.clients,
            Side::Upstream => &mut self.upstreams,
        };
        match (peers.last_mut(), event) {
            (Some(peer), Event::Send(_, bytes)) => peer.send(bytes.as_bytes())?,
            (Some(peer), Event::Reset(_)) => peer.reset()?,
            (Some(peer), _) => peer.end(),
            (None, _) => {}
        }
        Ok(())
    }

    /// Accepts connections, and reads. Returns whether anything has happened.
    pub fn poll(&mut self) -> io::Result<bool> {
        let mut has_progress = false;
        while let Ok((socket, _)) = self.listener.accept() {
            self.upstreams.push(Peer::new(socket)?);
            has_progress = true;
        }
        for peer in self.clients.iter_mut().chain(&mut self.upstreams) {
            has_progress |= peer.read();
        }
        Ok(has_progress)
    }

    /// What clients and upstreams have received.
    pub fn received(&self) -> (Vec<Stream>, Vec<Stream>) {
        let received = |peers: &[Peer]| peers.iter().map(|peer| peer.received.clone()).collect();
        (received(&self.clients), received(&self.upstreams))
    }

    /// Closes the connections of the clients.
    pub fn disconnect_clients(&mut self) {
        self.clients.clear();
    }

    /// Closes the connections of the upstream.
    pub fn disconnect_upstream(&mut self) {
        self.upstreams.clear();
    }
}

impl Peer {
    fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Some(socket),
            received: Stream::default(),
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self.socket.as_mut().map(|socket| socket.write(bytes)) {
            Some(Ok(length)) if length < bytes.len() => {
                anyhow::bail!("the system takes only {length} bytes at once")
            }
            Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                Err(error).context("the system takes no more bytes")
            }
            // If the proxy has closed the connection, that is seen when the peer reads.
            _ => Ok(()),
        }
    }

    fn end(&mut self) {
        if let Some(socket) = &self.socket {
            // It fails only if the connection is closed.
            let _ = socket.shutdown(Shutdown::Write);
        }
    }

    fn reset(&mut self) -> Result<()> {
        if let Some(socket) = self.socket.take() {
            set_socket_linger(&socket, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Reads what has arrived. Returns whether bytes, or the end, have arrived.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 65536];
        let mut has_progress = false;
        while let (Some(socket), End::Open) = (&mut self.socket, self.received.end) {
            match socket.read(&mut buffer) {
                Ok(0) => self.received.end = End::Ended,
                Ok(length) => self.received.bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.received.end = End::Reset,
            }
            has_progress = true;
        }
        has_progress
    }
}
