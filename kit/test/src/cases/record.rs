//! Records requests to a running proxy as cases.
//!
//! A recorder is the proxy's client and its upstream: it receives the requests of clients and passes them
//! to the proxy, and it receives what the proxy forwards and passes it to the upstream. So it sees all
//! messages that a case describes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::client;
use super::messages::Outgoing;
use super::write::{RecordedExchange, write_case};
use crate::error::Error;
use crate::headers::Headers;
use crate::message::{Message, Reply};
use crate::upstream::Upstream;

/// Headers of a connection, and of the length of a body, which each connection sets itself.
const FRAMING: [&str; 6] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
];

/// Writes the requests to a proxy, and what is observed of them, to a file with cases.
#[derive(Clone, Debug)]
pub struct Recorder {
    state: Arc<RecorderState>,
    client_address: SocketAddr,
    upstream_address: SocketAddr,
}

#[derive(Debug)]
struct RecorderState {
    file: PathBuf,
    upstream: (String, u16),
    /// Where the proxy listens.
    proxy: Mutex<Option<SocketAddr>>,
    proposed_configuration: Mutex<Option<String>>,
    configuration: Mutex<Option<String>>,
    /// Held while a request is in flight, so that what the upstream receives belongs to it.
    turn: Mutex<()>,
    /// What the upstream has received for the request in flight, and how it has responded.
    forwarded: Mutex<Vec<(Message, Message)>>,
}

impl Recorder {
    /// Listens for clients on a port of 127.0.0.1 (0 is a free one), and for the proxy on a free one.
    /// Cases are appended to the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or the port is in use.
    pub fn start(port: u16, upstream: (String, u16), file: &Path) -> Result<Self, Error> {
        let failed = || Error::io(format!("write {}", file.display()));
        let mut options = OpenOptions::new();
        options
            .create(true)
            .append(true)
            .open(file)
            .map_err(failed())?;
        let state = Arc::new(RecorderState {
            file: fs::canonicalize(file).map_err(failed())?,
            upstream,
            proxy: Mutex::default(),
            proposed_configuration: Mutex::default(),
            configuration: Mutex::default(),
            turn: Mutex::default(),
            forwarded: Mutex::default(),
        });
        let (client_side, upstream_side) = (Arc::clone(&state), Arc::clone(&state));
        let client_side =
            Upstream::start_on(port, move |request| client_side.pass_to_proxy(request))?;
        let upstream_side =
            Upstream::start(move |request| upstream_side.pass_to_upstream(request))?;
        Ok(Self {
            state,
            client_address: client_side.address(),
            upstream_address: upstream_side.address(),
        })
    }

    /// The address to which clients send their requests.
    pub fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// The address that is the proxy's upstream.
    pub fn upstream_address(&self) -> SocketAddr {
        self.upstream_address
    }

    /// The file with the cases.
    pub fn file(&self) -> &Path {
        &self.state.file
    }

    /// Sets where the proxy listens.
    pub fn set_proxy(&self, address: SocketAddr) {
        *lock(&self.state.proxy) = Some(address);
    }

    /// Sets a configuration for the extension, which it may still reject.
    pub fn propose_configuration(&self, configuration: Option<String>) {
        *lock(&self.state.proposed_configuration) = configuration;
    }

    /// The extension has accepted the configuration.
    pub fn accept_configuration(&self) {
        let configuration = lock(&self.state.proposed_configuration).clone();
        *lock(&self.state.configuration) = configuration;
    }
}

impl RecorderState {
    fn pass_to_proxy(&self, request: &Message) -> Reply {
        let _turn = lock(&self.turn);
        lock(&self.forwarded).clear();
        let Some(proxy) = *lock(&self.proxy) else {
            return problem(503, "the proxy has not started yet");
        };
        let configuration = lock(&self.configuration).clone();
        let response = match pass(request, proxy) {
            Ok(response) => response,
            Err(error) => return problem(502, &format!("no response from the proxy: {error}")),
        };
        let forwarded = std::mem::take(&mut *lock(&self.forwarded));
        let case = write_case(&RecordedExchange {
            configuration: configuration.as_deref(),
            request,
            response: &response,
            forwarded: &forwarded,
        });
        match self.append(&case) {
            Ok(()) => reply(request, &response),
            Err(error) => problem(500, &format!("cannot write the case: {error}")),
        }
    }

    fn append(&self, case: &str) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file)?;
        let is_empty = file.metadata()?.len() == 0;
        let separator = if is_empty { "" } else { "\n" };
        file.write_all(format!("{separator}{case}").as_bytes())
    }

    fn pass_to_upstream(&self, request: &Message) -> Reply {
        let (host, port) = &self.upstream;
        match pass(request, (host.as_str(), *port)) {
            Ok(response) => {
                let reply = reply(request, &response);
                lock(&self.forwarded).push((request.clone(), response));
                reply
            }
            Err(error) => problem(502, &format!("no response from the upstream: {error}")),
        }
    }
}

/// Locks a mutex, also after a panic of another thread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes a request on, and returns the response.
fn pass(request: &Message, address: impl std::net::ToSocketAddrs) -> io::Result<Message> {
    let field = |name: &str| {
        let value = request.headers.first(name).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    };
    let has_trailers = !request.trailers.is_empty();
    let mut headers = without_framing(&request.headers);
    let (method, path) = (field(":method"), field(":path"));
    headers.remove(":method");
    headers.remove(":path");
    if !request.body.is_empty() && !has_trailers {
        headers.append("content-length", request.body.len().to_string());
    }
    let request = Outgoing {
        method,
        path,
        headers,
        chunks: Vec::from_iter(Some(request.body.clone()).filter(|body| !body.is_empty())),
        trailers: has_trailers.then(|| request.trailers.clone()),
    };
    client::exchange(address, &request, || Ok(()))
}

/// A response that was received, to be passed on.
fn reply(request: &Message, response: &Message) -> Reply {
    let mut headers = without_framing(&response.headers);
    if request.headers.first(":method") == Some(b"HEAD")
        && let Some(length) = response.headers.first("content-length")
    {
        headers.append("content-length", length);
    }
    Reply {
        headers,
        chunks: Vec::from_iter(Some(response.body.clone()).filter(|body| !body.is_empty())),
        trailers: Some(response.trailers.clone()).filter(|trailers| !trailers.is_empty()),
    }
}

fn without_framing(headers: &Headers) -> Headers {
    let mut headers = headers.clone();
    for name in FRAMING {
        headers.remove(name);
    }
    headers
}

fn problem(status: u16, problem: &str) -> Reply {
    Reply::new(status).body(format!("{problem}\n"))
}
