//! A service behind a real proxy, in the test's process.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::error::Error;
use crate::headers::Headers;
use crate::message::{Message, Reply};

/// The longest head of a request, in bytes.
const MAX_HEAD: u64 = 64 * 1024;

/// The most header lines of a request.
const MAX_HEADERS: usize = 128;

/// The longest body of a request, in bytes.
const MAX_BODY: u64 = 64 * 1024 * 1024;

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
    /// Starts the service. `respond` is called for each request, from a thread for each connection.
    ///
    /// A reply with one piece of body has a `content-length`; one with several, or with trailers,
    /// has `transfer-encoding: chunked`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no free port.
    pub fn start(
        respond: impl Fn(&Message) -> Reply + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let listen = || -> io::Result<_> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(Error::io("listen on 127.0.0.1"))?;
        let respond = Arc::new(respond);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let respond = Arc::clone(&respond);
                // The client reports a connection that breaks.
                thread::spawn(move || drop(serve(&connection, &*respond)));
            }
        });
        Ok(Self { address })
    }

    /// Where the service listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves the requests of one connection.
fn serve(connection: &TcpStream, respond: &impl Fn(&Message) -> Reply) -> io::Result<()> {
    let mut input = BufReader::new(connection);
    while let Some(request) = read_request(&mut input, connection)? {
        let is_head = request.headers.first(":method") == Some(b"HEAD");
        write_reply(connection, &respond(&request), is_head)?;
    }
    Ok(())
}

/// Reads a request; `None` at the end of the connection.
fn read_request(
    input: &mut BufReader<&TcpStream>,
    mut output: &TcpStream,
) -> io::Result<Option<Message>> {
    let head = read_head(input)?;
    if head.is_empty() {
        return Ok(None);
    }
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut lines);
    parsed.parse(&head).map_err(invalid)?;
    let mut headers = Headers::from_iter([
        (":method", parsed.method.unwrap_or_default()),
        (":path", parsed.path.unwrap_or_default()),
    ]);
    for line in parsed.headers.iter() {
        headers.append(line.name, line.value);
    }
    if headers.first("expect").is_some() {
        output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = headers.values("content-length");
    let length = length.first().and_then(|length| length.parse().ok());
    let (mut body, mut trailers) = (Vec::new(), Headers::default());
    if headers.first("transfer-encoding").is_some() {
        trailers = read_chunks(input, &mut body)?;
    } else {
        let length: u64 = length.unwrap_or_default();
        ensure_body(length)?;
        input.take(length).read_to_end(&mut body)?;
    }
    Ok(Some(Message {
        headers,
        body,
        trailers,
        is_complete: true,
    }))
}

/// Reads lines up to the empty one.
fn read_head(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut input = input.take(MAX_HEAD);
    loop {
        let length = input.read_until(b'\n', &mut head)?;
        if length == 0 {
            // The end of the connection between two requests is not an error.
            return if head.is_empty() {
                Ok(head)
            } else {
                Err(invalid("the head is too long, or cut off"))
            };
        }
        if head.ends_with(b"\r\n\r\n") {
            return Ok(head);
        }
    }
}

/// Reads the chunks of a body, and its trailers (RFC 9112, 7.1).
fn read_chunks(input: &mut BufReader<&TcpStream>, body: &mut Vec<u8>) -> io::Result<Headers> {
    loop {
        let mut line = Vec::new();
        input.take(MAX_HEAD).read_until(b'\n', &mut line)?;
        let size = match httparse::parse_chunk_size(&line) {
            Ok(httparse::Status::Complete((_, size))) => size,
            _ => return Err(invalid("no chunk size")),
        };
        if size == 0 {
            return read_trailers(input);
        }
        ensure_body(size.saturating_add(body.len() as u64))?;
        input.take(size).read_to_end(body)?;
        input.read_exact(&mut [0; 2])?;
    }
}

fn read_trailers(input: &mut impl BufRead) -> io::Result<Headers> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") && text != b"\r\n" {
        let length = input.take(MAX_HEAD).read_until(b'\n', &mut text)?;
        if length == 0 || text.len() as u64 > MAX_HEAD {
            return Err(invalid("the trailers are too long, or cut off"));
        }
    }
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let parsed = httparse::parse_headers(&text, &mut lines).map_err(invalid)?;
    let mut trailers = Headers::default();
    if let httparse::Status::Complete((_, lines)) = parsed {
        for line in lines {
            trailers.append(line.name, line.value);
        }
    }
    Ok(trailers)
}

fn write_reply(mut output: &TcpStream, reply: &Reply, is_head: bool) -> io::Result<()> {
    let status = reply.headers.values(":status");
    let status = status.first().map_or("200", AsRef::as_ref);
    let mut head = format!("HTTP/1.1 {status} \r\n").into_bytes();
    for (name, value) in reply.headers.bytes().filter(|(name, _)| name[0] != b':') {
        head.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    }
    let has_no_body = status.starts_with('1') || ["204", "304"].contains(&status);
    let is_chunked = reply.chunks.len() > 1 || reply.trailers.is_some();
    if is_chunked {
        head.extend_from_slice(b"transfer-encoding: chunked\r\n");
    } else if !has_no_body && reply.headers.first("content-length").is_none() {
        let length = reply.chunks.first().map_or(0, Vec::len);
        head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    output.write_all(&head)?;
    if is_head || has_no_body {
        return Ok(());
    }
    if !is_chunked {
        return output.write_all(reply.chunks.first().map_or(b"", Vec::as_slice));
    }
    for chunk in reply.chunks.iter().filter(|chunk| !chunk.is_empty()) {
        let size = format!("{:x}\r\n", chunk.len());
        output.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat())?;
    }
    let mut end = b"0\r\n".to_vec();
    for (name, value) in reply.trailers.iter().flat_map(Headers::bytes) {
        end.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    }
    end.extend_from_slice(b"\r\n");
    output.write_all(&end)
}

fn ensure_body(length: u64) -> io::Result<()> {
    if length > MAX_BODY {
        return Err(invalid("the body is too long"));
    }
    Ok(())
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    fn echo() -> Result<Upstream, Error> {
        Upstream::start(|request| match request.headers.first(":path") {
            Some(b"/pieces") => Reply::new(200)
                .body("one")
                .body("two")
                .trailer("x-end", "yes"),
            Some(b"/empty") => Reply::new(204),
            _ => Reply::new(201).header("x-seen", "1").body(&request.body),
        })
    }

    #[test]
    fn request_is_read_and_reply_is_sent() -> Result<(), Error> {
        let url = format!("http://{}", echo()?.address());
        let response = http::post(&format!("{url}/"), b"hello")?;
        assert_eq!((response.status, &*response.body), (201, &b"hello"[..]));
        assert_eq!(response.header("X-Seen"), ["1"]);
        assert_eq!(http::get(&format!("{url}/pieces"))?.body, b"onetwo");
        assert_eq!(http::get(&format!("{url}/empty"))?.status, 204);
        assert!(http::head(&format!("{url}/pieces"))?.body.is_empty());
        Ok(())
    }

    #[test]
    fn chunked_request_with_trailers_is_read() -> Result<(), Box<dyn std::error::Error>> {
        let mut client = TcpStream::connect(echo()?.address())?;
        client.write_all(
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3;x=y\r\ntwo\r\n\
              0\r\nx-t: 1\r\n\r\nGET /empty HTTP/1.1\r\n\r\n",
        )?;
        client.shutdown(std::net::Shutdown::Write)?;
        let mut text = String::new();
        client.read_to_string(&mut text)?;
        assert!(text.contains("content-length: 6\r\n\r\nonetwo"), "{text}");
        assert!(text.ends_with("HTTP/1.1 204 \r\n\r\n"), "{text}");
        Ok(())
    }

    #[test]
    fn request_that_is_not_http_ends_the_connection() -> Result<(), Box<dyn std::error::Error>> {
        for request in [
            &b"hello\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            let mut client = TcpStream::connect(echo()?.address())?;
            client.write_all(request)?;
            let mut text = String::new();
            client.read_to_string(&mut text)?;
            assert_eq!(text, "");
        }
        Ok(())
    }
}
