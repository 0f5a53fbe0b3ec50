//! A server that a test drives step by step: it does something only when it is polled.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use super::wire::{Kind, Pieces, parse};
use crate::messages::Reaction;
use crate::observation::Received;

/// In the path of a gRPC stream: the server responds before the request ends.
const STREAM_PATH: &str = "/Stream";

/// An HTTP/1.1 server on a free port of 127.0.0.1.
pub struct Server {
    listener: TcpListener,
    connections: Vec<Connection>,
    /// The requests that have ended, until they are taken.
    requests: Vec<Received>,
}

struct Connection {
    peer: Peer,
    /// What is still to be sent.
    pieces: VecDeque<Vec<u8>>,
    closes: bool,
    /// Whether the server has reacted to a request that has not ended.
    is_early: bool,
}

/// The other end of a connection, and what has arrived from there.
pub struct Peer {
    stream: TcpStream,
    pub arrived: Vec<u8>,
    pub is_closed: bool,
}

impl Peer {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            arrived: Vec::new(),
            is_closed: false,
        })
    }

    /// Reads what has arrived. Returns whether bytes, or the end, have arrived.
    pub fn read(&mut self) -> bool {
        let mut buffer = [0; 65536];
        let mut has_progress = false;
        while !self.is_closed {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.is_closed = true,
                Ok(length) => self.arrived.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.is_closed = true,
            }
            has_progress = true;
        }
        has_progress
    }

    /// Sends nothing more. What the other end still sends can be read.
    fn end(&mut self) {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            self.is_closed = true;
        }
    }

    pub fn disconnect(&mut self) {
        // It fails only if the other end has disconnected.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.is_closed = true;
    }

    /// Sends bytes. Returns how many the system took.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.stream.write(&bytes[written..]) {
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.is_closed = true;
                    return bytes.len();
                }
            }
        }
        written
    }
}

impl Server {
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            connections: Vec::new(),
            requests: Vec::new(),
        })
    }

    pub fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Accepts connections, reads, and reacts to requests that have ended. Returns whether anything
    /// has happened.
    pub fn poll(&mut self, react: impl Fn(&Received) -> Reaction) -> io::Result<bool> {
        let mut has_progress = false;
        while let Ok((stream, _)) = self.listener.accept() {
            self.connections.push(Connection::new(Peer::new(stream)?));
            has_progress = true;
        }
        for connection in &mut self.connections {
            has_progress |= connection.peer.read();
            if let Some(request) = connection.next_request() {
                if !connection.is_early {
                    connection.react(&request, react(&request));
                    has_progress = true;
                }
                connection.is_early = !request.is_complete;
                if request.is_complete {
                    self.requests.push(request);
                }
            }
        }
        self.remove_closed();
        Ok(has_progress)
    }

    /// Sends one piece of one reply. Returns whether there was one.
    pub fn send_piece(&mut self) -> bool {
        let mut connections = self.connections.iter_mut();
        let Some(connection) = connections.find(|connection| connection.has_work()) else {
            return false;
        };
        connection.send_piece();
        self.remove_closed();
        true
    }

    /// Begins to close all connections. The proxy closes its side when it has noticed.
    pub fn disconnect(&mut self) {
        for connection in &mut self.connections {
            connection.pieces.clear();
            connection.closes = false;
            connection.peer.end();
        }
    }

    /// Whether a connection is open on at least one side.
    pub fn is_connected(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Drops the requests that nobody has taken.
    pub fn clear_requests(&mut self) {
        self.requests.clear();
    }

    /// Removes closed connections, and keeps what has arrived of their requests.
    fn remove_closed(&mut self) {
        let closed = self
            .connections
            .extract_if(.., |connection| connection.peer.is_closed);
        self.requests
            .extend(closed.filter_map(|connection| connection.partial()));
    }

    /// Takes requests that have arrived: those that have ended, and then those that have not.
    pub fn take_requests(&mut self, is_wanted: impl Fn(&Received) -> bool) -> Vec<Received> {
        let mut requests: Vec<_> = self
            .requests
            .extract_if(.., |request| is_wanted(request))
            .collect();
        let partial = self.connections.iter().filter_map(Connection::partial);
        requests.extend(partial.filter(is_wanted));
        requests
    }
}

impl Connection {
    fn new(peer: Peer) -> Self {
        Self {
            peer,
            pieces: VecDeque::new(),
            closes: false,
            is_early: false,
        }
    }

    /// What has arrived of a request that has not ended, or that is not one.
    fn partial(&self) -> Option<Received> {
        if self.peer.arrived.is_empty() {
            return None;
        }
        let parsed = parse(&self.peer.arrived, Kind::Request, false);
        let request = parsed.map(|(request, _)| request);
        Some(request.unwrap_or_else(|| Received {
            start: "not a request".to_owned(),
            ..Received::default()
        }))
    }

    /// A request to react to: one that has ended, or the beginning of a stream.
    fn next_request(&mut self) -> Option<Received> {
        let (request, length) = parse(&self.peer.arrived, Kind::Request, false)?;
        if request.is_complete {
            self.peer.arrived.drain(..length);
        }
        let is_stream = request.start.contains(STREAM_PATH);
        (request.is_complete || is_stream).then_some(request)
    }

    fn react(&mut self, request: &Received, reaction: Reaction) {
        match reaction {
            Reaction::Reply(reply) => {
                let to_head = request.start.starts_with("HEAD ");
                self.pieces.extend(Pieces::of_reply(&reply, to_head).0);
                self.closes = reply.is_cut_off;
            }
            Reaction::Reset => self.closes = true,
            Reaction::Silence => {}
        }
    }

    fn has_work(&self) -> bool {
        self.closes || !self.pieces.is_empty()
    }

    fn send_piece(&mut self) {
        match self.pieces.pop_front() {
            Some(mut piece) => {
                let written = self.peer.write(&piece);
                if written < piece.len() {
                    piece.drain(..written);
                    self.pieces.push_front(piece);
                }
            }
            None => self.peer.is_closed = true,
        }
    }
}
