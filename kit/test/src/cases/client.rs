//! A client that sends the request of a case.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::cases::messages::Outgoing;
use crate::headers::Headers;
use crate::http1::{read_response, write_chunk, write_fields};
use crate::message::Message;

/// How long a client waits for the rest of a response.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends a request chunk by chunk, and returns the response. `after_chunk` is called after the head and
/// after each chunk of the body.
pub fn exchange(
    address: impl ToSocketAddrs,
    request: &Outgoing,
    after_chunk: impl Fn() -> io::Result<()>,
) -> io::Result<Message> {
    let connection = connect(address)?;
    write(&connection, request, after_chunk)?;
    read_response(&mut BufReader::new(&connection), request.method == "HEAD")
}

/// Sends a request without its end, and returns the connection, which resets the request when it is
/// dropped.
pub fn begin(
    address: SocketAddr,
    request: &Outgoing,
    after_chunk: impl Fn() -> io::Result<()>,
) -> io::Result<TcpStream> {
    let connection = connect(address)?;
    let mut unfinished = request.clone();
    unfinished.headers.remove("content-length");
    write_chunks(&connection, &unfinished, true, after_chunk)?;
    Ok(connection)
}

fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.set_write_timeout(Some(TIMEOUT))?;
    Ok(connection)
}

fn write(
    mut connection: &TcpStream,
    request: &Outgoing,
    after_chunk: impl Fn() -> io::Result<()>,
) -> io::Result<()> {
    let has_length = request.headers.first("content-length").is_some();
    let has_body = !request.chunks.is_empty() || request.trailers.is_some();
    let is_chunked = has_body && !has_length;
    write_chunks(connection, request, is_chunked, after_chunk)?;
    if is_chunked && !has_response(connection)? {
        let mut end = b"0\r\n".to_vec();
        write_fields(&mut end, request.trailers.iter().flat_map(Headers::bytes));
        end.extend_from_slice(b"\r\n");
        connection.write_all(&end)?;
    }
    Ok(())
}

/// Whether a response has begun. A proxy that responds before the request is complete reads nothing
/// more, and closes the connection.
fn has_response(connection: &TcpStream) -> io::Result<bool> {
    connection.set_nonblocking(true)?;
    let has_response = connection.peek(&mut [0]).is_ok();
    connection.set_nonblocking(false)?;
    Ok(has_response)
}

/// Writes the head and the chunks of the body, unless a response begins before. Envoy receives each
/// chunk separately.
fn write_chunks(
    mut connection: &TcpStream,
    request: &Outgoing,
    is_chunked: bool,
    after_chunk: impl Fn() -> io::Result<()>,
) -> io::Result<()> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path).into_bytes();
    let is_host = |name: &[u8]| [&b"host"[..], b":authority"].contains(&name);
    let authority = request.headers.bytes().find(|(name, _)| is_host(name));
    let authority = authority.map_or(&b"localhost"[..], |(_, value)| value);
    write_fields(&mut head, [(&b"host"[..], authority)]);
    let headers = request.headers.bytes();
    write_fields(&mut head, headers.filter(|(name, _)| !is_host(name)));
    if is_chunked {
        write_fields(&mut head, [(&b"transfer-encoding"[..], &b"chunked"[..])]);
    }
    head.extend_from_slice(b"\r\n");
    connection.write_all(&head)?;
    for chunk in &request.chunks {
        after_chunk()?;
        if has_response(connection)? {
            return Ok(());
        }
        let mut buffer = Vec::new();
        if is_chunked {
            write_chunk(&mut buffer, chunk);
        } else {
            buffer.extend_from_slice(chunk);
        }
        connection.write_all(&buffer)?;
    }
    after_chunk()
}
