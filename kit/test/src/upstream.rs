//! An upstream of a real proxy, in the test's process.

use std::io::{self, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::error::Error;
use crate::http1::{read_request, write_reply};
use crate::message::{Message, Reply};

/// How long to wait if a connection cannot be accepted, for example for lack of file descriptors.
const RETRY: Duration = Duration::from_millis(10);

/// An HTTP/1.1 service on a free port of 127.0.0.1. It serves until the process ends.
///
/// ```
/// # fn main() -> Result<(), proxy_wasm_test::Error> {
/// use proxy_wasm_test::{Reply, Upstream, http};
///
/// let upstream = Upstream::start(|request| {
///     Reply::new(200).body(request.headers.first(":path").unwrap_or_default())
/// })?;
/// let response = http::get(&format!("http://{}/items", upstream.address()))?;
/// assert_eq!(response.body, b"/items");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Upstream {
    address: SocketAddr,
}

impl Upstream {
    /// Starts the service. `respond` is called for each request, in a thread for each connection. If
    /// it panics, the connection is closed.
    ///
    /// The request's headers are `:method`, `:path`, and its header lines; the authority is in
    /// `host`. A request that is not valid HTTP/1.1, or whose body is longer than 64 MiB, closes the
    /// connection.
    ///
    /// A reply with several chunks of body, or with trailers, is sent with `transfer-encoding:
    /// chunked`, unless it has a `content-length`. If that is wrong, the connection is closed after
    /// the reply. In place of a reply that HTTP/1.1 cannot express, for example with a line break in
    /// a header, the client receives one with status 500 and the reason.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no free port.
    pub fn start(
        respond: impl Fn(&Message) -> Reply + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Self::start_on(0, respond)
    }

    /// As [`Upstream::start`], on this port of 127.0.0.1; 0 is a free one.
    pub(crate) fn start_on(
        port: u16,
        respond: impl Fn(&Message) -> Reply + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let listen = || -> io::Result<_> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            let address = listener.local_addr()?;
            let respond = Arc::new(respond);
            thread::Builder::new().spawn(move || accept(&listener, &respond))?;
            Ok(address)
        };
        let address = listen().map_err(Error::io("listen on 127.0.0.1"))?;
        Ok(Self { address })
    }

    /// The address on which the service listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn accept<R: Fn(&Message) -> Reply + Send + Sync + 'static>(
    listener: &TcpListener,
    respond: &Arc<R>,
) {
    for connection in listener.incoming() {
        let started = connection.and_then(|connection| {
            let respond = Arc::clone(respond);
            // If the connection fails, its client reports it.
            thread::Builder::new().spawn(move || drop(serve(&connection, &*respond)))
        });
        if started.is_err() {
            thread::sleep(RETRY);
        }
    }
}

/// Serves the requests of one connection.
fn serve(mut connection: &TcpStream, respond: &impl Fn(&Message) -> Reply) -> io::Result<()> {
    // Otherwise, each chunk of a body would wait until the one before it is acknowledged.
    connection.set_nodelay(true)?;
    let mut input = BufReader::new(connection);
    while let Some(request) = read_request(&mut input, &mut connection)? {
        if !write_reply(&mut connection, &request, &respond(&request.message))? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::http;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn echo() -> Result<Upstream, Error> {
        Upstream::start(|request| match request.headers.first(":path") {
            Some(b"/chunks") => Reply::new(200)
                .body("one")
                .body("two")
                .trailer("x-end", "yes"),
            Some(b"/empty") => Reply::new(204),
            Some(b"/invalid") => Reply::new(200).header("", "name"),
            Some(b"/panic") => panic!("a test of what a panic does"),
            _ => Reply::new(201).header("x-seen", "1").body(&request.body),
        })
    }

    /// Sends bytes and returns all that the upstream sends until it closes the connection.
    fn exchange(request: &[u8]) -> io::Result<String> {
        let address = echo().map_err(io::Error::other)?.address();
        let mut client = TcpStream::connect(address)?;
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        client.write_all(request)?;
        let mut text = String::new();
        client.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn request_is_read_and_reply_is_sent() -> Result<(), Error> {
        let url = format!("http://{}", echo()?.address());
        let response = http::post(&format!("{url}/"), b"hello")?;
        assert_eq!((response.status, &*response.body), (201, &b"hello"[..]));
        assert_eq!(response.header("X-Seen"), ["1"]);
        assert_eq!(http::get(&format!("{url}/chunks"))?.body, b"onetwo");
        assert_eq!(http::get(&format!("{url}/empty"))?.status, 204);
        assert!(http::head(&format!("{url}/chunks"))?.body.is_empty());
        Ok(())
    }

    #[test]
    fn connection_carries_several_requests_until_one_closes_it() -> TestResult {
        let text = exchange(
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3;x=y\r\ntwo\r\n\
              0\r\nx-t: 1\r\n\r\n\r\nGET /empty HTTP/1.1\r\nconnection: Close\r\n\r\n",
        )?;
        assert!(text.contains("content-length: 6\r\n\r\nonetwo"), "{text}");
        let end = "HTTP/1.1 204 \r\nconnection: close\r\n\r\n";
        assert!(text.ends_with(end), "{text}");
        Ok(())
    }

    #[test]
    fn end_of_the_client_ends_the_connection() -> TestResult {
        let mut client = TcpStream::connect(echo()?.address())?;
        client.write_all(b"GET /empty HTTP/1.1\r\n\r\n")?;
        client.shutdown(std::net::Shutdown::Write)?;
        let mut text = String::new();
        client.read_to_string(&mut text)?;
        assert_eq!(text, "HTTP/1.1 204 \r\n\r\n");
        Ok(())
    }

    #[test]
    fn request_that_is_not_http_ends_the_connection() -> TestResult {
        for request in [
            &b"hello\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            assert_eq!(exchange(request)?, "");
        }
        Ok(())
    }

    #[test]
    fn reply_that_is_not_valid_is_reported_to_the_client() -> Result<(), Error> {
        let response = http::get(&format!("http://{}/invalid", echo()?.address()))?;
        assert_eq!(response.status, 500);
        let body = String::from_utf8_lossy(&response.body);
        assert!(body.contains("\": name\" is not a header"), "{body}");
        Ok(())
    }

    #[test]
    fn panic_closes_only_its_connection() -> Result<(), Error> {
        let url = format!("http://{}", echo()?.address());
        let panicked = http::get(&format!("{url}/panic"));
        assert!(matches!(panicked, Err(Error::Http { .. })), "{panicked:?}");
        assert_eq!(http::get(&url)?.status, 201);
        Ok(())
    }
}
