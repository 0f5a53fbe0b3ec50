//! HTTP/1.1 as a server and a client read and write it (RFC 9112).

use std::io::{self, BufRead, Read, Write};

use crate::headers::Headers;
use crate::message::{Message, Reply};

/// The longest head of a request, and the longest trailers, in bytes.
const MAX_HEAD: u64 = 64 * 1024;

/// The most header lines of a request.
const MAX_HEADERS: usize = 128;

/// The longest body of a request, in bytes.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// A request that was read.
pub(crate) struct ParsedRequest {
    pub(crate) message: Message,
    /// HTTP/1.0 has no chunks.
    is_http_1_1: bool,
    /// Whether another request may follow on the connection.
    keeps_alive: bool,
}

/// Reads a request. `None` at the end of the connection.
pub(crate) fn read_request(
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<Option<ParsedRequest>> {
    let head = read_head(input)?;
    if head.is_empty() {
        return Ok(None);
    }
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut lines);
    let is_complete = parsed.parse(&head).map_err(invalid)?.is_complete();
    let (true, Some(method), Some(path), Some(minor_version)) =
        (is_complete, parsed.method, parsed.path, parsed.version)
    else {
        return Err(invalid("the head of the request is not complete"));
    };
    let mut headers = Headers::from_iter([(":method", method), (":path", path)]);
    append_lines(&mut headers, parsed.headers);

    let is_http_1_1 = minor_version == 1;
    let framing = framing(&headers, is_http_1_1)?;
    if is_http_1_1 && has_token(&headers, "expect", "100-continue") {
        output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let (mut body, mut trailers) = (Vec::new(), Headers::default());
    match framing {
        Framing::Length(length) => read_body(input, length, &mut body)?,
        Framing::Chunks => trailers = read_chunks(input, &mut body)?,
    }
    Ok(Some(ParsedRequest {
        is_http_1_1,
        keeps_alive: is_http_1_1 && !has_token(&headers, "connection", "close"),
        message: Message {
            headers,
            body,
            trailers,
            is_complete: true,
        },
    }))
}

/// How the end of a body is found (section 6.3).
enum Framing {
    Length(u64),
    Chunks,
}

fn framing(headers: &Headers, is_http_1_1: bool) -> io::Result<Framing> {
    let encodings = headers.values("transfer-encoding");
    let lengths = headers.values("content-length");
    match (&*encodings, &*lengths) {
        ([], []) => Ok(Framing::Length(0)),
        ([encoding], []) if is_http_1_1 && encoding.eq_ignore_ascii_case("chunked") => {
            Ok(Framing::Chunks)
        }
        ([], [length, rest @ ..]) if rest.iter().all(|other| other == length) => {
            let length = parse_length(length.as_bytes());
            length
                .map(Framing::Length)
                .ok_or_else(|| invalid("the content-length is not a number"))
        }
        _ => Err(invalid("the end of the body cannot be determined")),
    }
}

/// Digits only: the standard library also accepts a sign.
fn parse_length(value: &[u8]) -> Option<u64> {
    let is_number = value.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(value).ok()?.parse().ok())?
}

/// Whether a header that is a list contains a token.
fn has_token(headers: &Headers, name: &str, token: &str) -> bool {
    headers.values(name).iter().any(|value| {
        let mut tokens = value.split(',');
        tokens.any(|other| other.trim().eq_ignore_ascii_case(token))
    })
}

fn append_lines(headers: &mut Headers, lines: &[httparse::Header]) {
    for line in lines {
        headers.append(line.name, line.value);
    }
}

/// Reads lines up to the first empty one. Nothing at the end of the connection.
fn read_head(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut input = input.take(MAX_HEAD);
    loop {
        let start = head.len();
        if input.read_until(b'\n', &mut head)? == 0 {
            // The end of the connection between two requests is not an error.
            return match start {
                0 if input.limit() > 0 => Ok(head),
                _ => Err(invalid("the head of the request is too long, or cut off")),
            };
        }
        if is_empty_line(&head[start..]) {
            if start > 0 {
                return Ok(head);
            }
            // Empty lines before a request are ignored (section 2.2).
            head.clear();
        }
    }
}

fn is_empty_line(line: &[u8]) -> bool {
    [&b"\r\n"[..], b"\n"].contains(&line)
}

/// Appends exactly `length` bytes to the body.
fn read_body(input: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if length.saturating_add(body.len() as u64) > MAX_BODY {
        return Err(invalid("the body is too long"));
    }
    let read = input.take(length).read_to_end(body)?;
    if (read as u64) < length {
        return Err(invalid("the body is cut off"));
    }
    Ok(())
}

/// Reads the chunks of a body, and its trailers (section 7.1).
fn read_chunks(input: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<Headers> {
    loop {
        let mut line = Vec::new();
        input.take(MAX_HEAD).read_until(b'\n', &mut line)?;
        let starts_with_digit = line.first().is_some_and(u8::is_ascii_hexdigit);
        let size = match httparse::parse_chunk_size(&line) {
            // The parser reads a size without digits as 0.
            Ok(httparse::Status::Complete((_, size))) if starts_with_digit => size,
            _ => return Err(invalid("the size of a chunk is not a number")),
        };
        if size == 0 {
            return read_trailers(input);
        }
        read_body(input, size, body)?;
        let mut end = [0; 2];
        input.read_exact(&mut end)?;
        if end != *b"\r\n" {
            return Err(invalid("a chunk is longer than its size"));
        }
    }
}

fn read_trailers(input: &mut impl BufRead) -> io::Result<Headers> {
    let mut text = Vec::new();
    let mut input = input.take(MAX_HEAD);
    loop {
        let start = text.len();
        if input.read_until(b'\n', &mut text)? == 0 {
            return Err(invalid("the trailers are too long, or cut off"));
        }
        if is_empty_line(&text[start..]) {
            break;
        }
    }
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let parsed = httparse::parse_headers(&text, &mut lines).map_err(invalid)?;
    let httparse::Status::Complete((_, lines)) = parsed else {
        return Err(invalid("the trailers are not complete"));
    };
    let mut trailers = Headers::default();
    append_lines(&mut trailers, lines);
    Ok(trailers)
}

/// Writes the reply to a request. Returns whether another request may follow on the connection.
///
/// In place of a reply that HTTP cannot express, it writes one with status 500 and the reason.
pub(crate) fn write_reply(
    output: &mut impl Write,
    request: &ParsedRequest,
    reply: &Reply,
) -> io::Result<bool> {
    write_reply_with(output, request, reply, || Ok(()))
}

/// As [`write_reply`]. `after_chunk` is called after each write but the last.
pub(crate) fn write_reply_with(
    output: &mut impl Write,
    request: &ParsedRequest,
    reply: &Reply,
    after_chunk: impl Fn() -> io::Result<()>,
) -> io::Result<bool> {
    match find_problem(reply) {
        None => write_valid_reply(output, request, reply, after_chunk),
        Some(problem) => {
            let problem = format!("The upstream's reply is not valid: {problem}.\n");
            let reply = Reply::new(500).body(problem);
            write_valid_reply(output, request, &reply, after_chunk)
        }
    }
}

fn write_valid_reply(
    output: &mut impl Write,
    request: &ParsedRequest,
    reply: &Reply,
    after_chunk: impl Fn() -> io::Result<()>,
) -> io::Result<bool> {
    let status = reply.headers.first(":status").unwrap_or_default();
    let has_no_length = [&b"204"[..], b"304"].contains(&status);
    let has_no_body = has_no_length || request.message.headers.first(":method") == Some(b"HEAD");
    let is_streamed = reply.chunks.len() > 1 || reply.trailers.is_some();
    let declared_length = reply.headers.first("content-length");
    let needs_framing = !has_no_length && declared_length.is_none();
    // To a client of HTTP/1.0, the end of the connection is the end of the body.
    let is_chunked = needs_framing && is_streamed && request.is_http_1_1;

    let length: usize = reply.chunks.iter().map(Vec::len).sum();
    // A test may want to send a body that is cut off.
    let is_length_right = has_no_body
        || declared_length.is_none_or(|declared| parse_length(declared) == Some(length as u64));
    let keeps_alive =
        request.keeps_alive && is_length_right && !has_token(&reply.headers, "connection", "close");

    let mut buffer = [b"HTTP/1.1 ", status, b" \r\n"].concat();
    let fields = reply.headers.bytes();
    write_fields(&mut buffer, fields.filter(|(name, _)| *name != b":status"));
    if is_chunked {
        write_fields(&mut buffer, [(&b"transfer-encoding"[..], &b"chunked"[..])]);
    } else if needs_framing && !is_streamed {
        let length = length.to_string();
        write_fields(&mut buffer, [(&b"content-length"[..], length.as_bytes())]);
    }
    if !keeps_alive && reply.headers.first("connection").is_none() {
        write_fields(&mut buffer, [(&b"connection"[..], &b"close"[..])]);
    }
    buffer.extend_from_slice(b"\r\n");

    let chunks = if has_no_body { &[][..] } else { &reply.chunks };
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        if is_chunked {
            write_chunk(&mut buffer, chunk);
        } else {
            buffer.extend_from_slice(chunk);
        }
        // Each chunk is written separately, the first together with the head.
        output.write_all(&buffer)?;
        after_chunk()?;
        buffer.clear();
    }
    if is_chunked && !has_no_body {
        buffer.extend_from_slice(b"0\r\n");
        let trailers = reply.trailers.iter().flat_map(Headers::bytes);
        write_fields(&mut buffer, trailers);
        buffer.extend_from_slice(b"\r\n");
    }
    output.write_all(&buffer)?;
    output.flush()?;
    Ok(keeps_alive)
}

/// Appends a chunk of a body.
pub(crate) fn write_chunk(buffer: &mut Vec<u8>, chunk: &[u8]) {
    buffer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
    buffer.extend_from_slice(&[chunk, &b"\r\n"[..]].concat());
}

/// Writes the head of a reply and the chunks of its body, without its end.
#[cfg(feature = "cases")]
pub(crate) fn write_beginning(output: &mut impl Write, reply: &Reply) -> io::Result<()> {
    let status = reply.headers.first(":status").unwrap_or_default();
    let mut buffer = [b"HTTP/1.1 ", status, b" \r\n"].concat();
    let is_framing = |name: &[u8]| [&b":status"[..], b"content-length"].contains(&name);
    let fields = reply.headers.bytes();
    write_fields(&mut buffer, fields.filter(|(name, _)| !is_framing(name)));
    buffer.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
    for chunk in &reply.chunks {
        write_chunk(&mut buffer, chunk);
    }
    output.write_all(&buffer)?;
    output.flush()
}

/// Reads a response, as a client does. Interim responses, such as 100, are skipped.
#[cfg(feature = "cases")]
pub(crate) fn read_response(input: &mut impl BufRead, is_to_head: bool) -> io::Result<Message> {
    loop {
        let head = read_head(input)?;
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut lines);
        let is_complete = parsed.parse(&head).map_err(invalid)?.is_complete();
        let (true, Some(status)) = (is_complete, parsed.code) else {
            return Err(invalid("the head of the response is not complete"));
        };
        if (100..200).contains(&status) {
            continue;
        }
        let mut headers = Headers::from_iter([(":status", status.to_string())]);
        append_lines(&mut headers, parsed.headers);
        let (mut body, mut trailers) = (Vec::new(), Headers::default());
        let encoding = headers.first("transfer-encoding");
        let is_chunked = encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case(b"chunked"));
        if is_to_head || [204, 304].contains(&status) {
            // There is no body.
        } else if is_chunked {
            trailers = read_chunks(input, &mut body)?;
        } else if let Some(length) = headers.first("content-length") {
            let length = parse_length(length);
            let length = length.ok_or_else(|| invalid("the content-length is not a number"))?;
            read_body(input, length, &mut body)?;
        } else {
            input.take(MAX_BODY).read_to_end(&mut body)?;
        }
        return Ok(Message {
            headers,
            body,
            trailers,
            is_complete: true,
        });
    }
}

pub(crate) fn write_fields<'a>(
    buffer: &mut Vec<u8>,
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) {
    for (name, value) in fields {
        buffer.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    }
}

/// Why HTTP/1.1 cannot express a reply.
fn find_problem(reply: &Reply) -> Option<String> {
    let headers = &reply.headers;
    match &*headers.values(":status") {
        [status] if is_final_status(status) => {}
        statuses => return Some(format!("its status is {}", statuses.join(" and "))),
    }
    if headers.first("transfer-encoding").is_some() {
        return Some(
            "it has a transfer-encoding, which the upstream sets itself; remove it".to_owned(),
        );
    }
    if reply.trailers.is_some() && headers.first("content-length").is_some() {
        return Some("it has a content-length and trailers; remove one of them".to_owned());
    }
    let trailers = reply.trailers.iter().flat_map(Headers::bytes);
    let headers = headers.bytes().filter(|(name, _)| *name != b":status");
    let mut fields = headers.chain(trailers);
    let (name, value) = fields.find(|(name, value)| !is_field(name, value))?;
    let field = [name, b": ", value].concat();
    let field = String::from_utf8_lossy(&field);
    Some(format!("{field:?} is not a header or trailer"))
}

/// An interim status, such as 100, would be followed by another.
fn is_final_status(status: &str) -> bool {
    let is_number = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    is_number && *status >= *"200"
}

/// Whether a header or trailer line can be written (RFC 9110, sections 5.5 and 5.6.2).
fn is_field(name: &[u8], value: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_name = !name.is_empty() && name.iter().all(is_token);
    is_name && !value.iter().any(|byte| b"\r\n\0".contains(byte))
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut input: &[u8]) -> io::Result<Option<ParsedRequest>> {
        read_request(&mut input, &mut Vec::new())
    }

    #[track_caller]
    fn assert_invalid(request: &str, reason: &str) {
        match read(request.as_bytes()) {
            Ok(_) => panic!("{request:?} is accepted"),
            Err(error) => assert!(error.to_string().contains(reason), "{request:?}: {error}"),
        }
    }

    const CHUNKED: &[u8] =
        b"\r\nPUT /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n\
        3;name=value\r\none\r\n0a\r\ntwo\r\nthree\r\n0\r\nX-Trailer: 1\r\nX-Trailer: 2\r\n\r\n";

    #[test]
    fn request_has_lines_body_and_trailers() -> io::Result<()> {
        let request = read(CHUNKED)?.expect("a request");
        assert!(request.is_http_1_1 && request.keeps_alive);
        let Message {
            headers,
            body,
            trailers,
            is_complete,
        } = request.message;
        let expected = [
            (":method", "PUT"),
            (":path", "/a?b"),
            ("host", "a"),
            ("transfer-encoding", "Chunked"),
        ];
        assert_eq!(headers, Headers::from_iter(expected));
        assert_eq!(body, b"onetwo\r\nthree");
        assert_eq!(trailers.values("x-trailer"), ["1", "2"]);
        assert!(is_complete);
        Ok(())
    }

    #[test]
    fn requests_are_read_one_after_another() -> io::Result<()> {
        let mut input = &b"POST /1 HTTP/1.1\r\ncontent-length: 3\r\n\r\noneGET /2 HTTP/1.1\n\n"[..];
        let mut next = || read_request(&mut input, &mut Vec::new());
        let first = next()?.expect("a request").message;
        assert_eq!(first.body, b"one");
        let second = next()?.expect("a request").message;
        assert_eq!(second.headers.first(":path"), Some(&b"/2"[..]));
        assert!(next()?.is_none());
        Ok(())
    }

    #[test]
    fn connection_is_kept_alive_unless_the_client_closes_it() -> io::Result<()> {
        for (request, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nconnection: x, Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
        ] {
            let request = read(request.as_bytes())?.expect("a request");
            assert_eq!(request.keeps_alive, expected);
        }
        Ok(())
    }

    #[test]
    fn expect_100_continue_gets_status_100() -> io::Result<()> {
        let output_of = |request: &str| -> io::Result<Vec<u8>> {
            let mut output = Vec::new();
            read_request(&mut request.as_bytes(), &mut output)?;
            Ok(output)
        };
        let expects = "expect: 100-Continue\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            output_of(&format!("POST / HTTP/1.1\r\n{expects}"))?,
            b"HTTP/1.1 100 Continue\r\n\r\n"
        );
        assert!(output_of(&format!("POST / HTTP/1.0\r\n{expects}"))?.is_empty());
        assert!(output_of("GET / HTTP/1.1\r\nexpect: else\r\n\r\n")?.is_empty());
        Ok(())
    }

    #[test]
    fn body_whose_end_is_not_clear_is_invalid() {
        for headers in [
            "content-length: 3\r\ncontent-length: 4",
            "content-length: 3\r\ntransfer-encoding: chunked",
            "transfer-encoding: gzip",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        ] {
            let request = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n3\r\none\r\n0\r\n\r\n");
            assert_invalid(&request, "cannot be determined");
        }
        let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_invalid(old, "cannot be determined");
        for length in ["+3", "-3", "3, 3", "0x3", "", "18446744073709551616"] {
            let request = format!("POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\none");
            assert_invalid(&request, "not a number");
        }
    }

    #[test]
    fn same_length_twice_is_one_length() -> io::Result<()> {
        let lines = "content-length: 3\r\n".repeat(2);
        let request = read(format!("POST / HTTP/1.1\r\n{lines}\r\none").as_bytes())?;
        assert_eq!(request.expect("a request").message.body, b"one");
        Ok(())
    }

    #[test]
    fn chunk_that_does_not_match_its_size_is_invalid() {
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        for (chunks, reason) in [
            ("2\r\none\r\n0\r\n\r\n", "longer than its size"),
            ("\r\none\r\n0\r\n\r\n", "not a number"),
            ("-1\r\none\r\n0\r\n\r\n", "not a number"),
            ("11111111111111111\r\none\r\n0\r\n\r\n", "not a number"),
            ("ffffffffffffffff\r\none\r\n0\r\n\r\n", "too long"),
            ("3\r\none\r\nffffffffffffffff\r\n", "too long"),
            ("0\r\nno trailer\r\n\r\n", "invalid"),
        ] {
            assert_invalid(&format!("{chunked}{chunks}"), reason);
        }
    }

    #[test]
    fn sizes_have_limits() {
        let long = "a".repeat(70_000);
        assert_invalid(&format!("GET /{long} HTTP/1.1\r\n\r\n"), "too long");
        assert_invalid(&format!("GET / HTTP/1.1\r\na: {long}\r\n\r\n"), "too long");
        assert_invalid(&"\r\n".repeat(40_000), "too long");
        let lines = "a: b\r\n".repeat(MAX_HEADERS + 1);
        assert_invalid(
            &format!("GET / HTTP/1.1\r\n{lines}\r\n"),
            "too many headers",
        );
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
        assert_invalid(&format!("{chunked}a: {long}\r\n\r\n"), "too long");
        assert_invalid(&format!("{chunked}{lines}\r\n"), "too many headers");
        let declared = "POST / HTTP/1.1\r\ncontent-length: 67108865\r\n\r\n";
        assert_invalid(declared, "too long");
    }

    #[test]
    fn request_that_is_cut_off_is_invalid() {
        let whole = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello";
        for request in [whole, CHUNKED] {
            assert!(read(request).is_ok());
            for end in 3..request.len() {
                assert!(read(&request[..end]).is_err(), "{end} bytes of {request:?}");
            }
        }
    }

    /// Whatever a client sends, there is a request or an error.
    #[test]
    fn no_byte_causes_a_panic() {
        let other = b"GET / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nab";
        for request in [other, CHUNKED] {
            for index in 0..request.len() {
                for byte in 0..=u8::MAX {
                    let mut bytes = request.to_vec();
                    bytes[index] = byte;
                    if let Ok(Some(request)) = read(&bytes) {
                        assert!(request.message.body.len() < bytes.len());
                    }
                }
            }
        }
    }

    fn write(request: &str, reply: &Reply) -> io::Result<(String, bool)> {
        let request = read(request.as_bytes())?.expect("a request");
        let mut output = Vec::new();
        let keeps_alive = write_reply(&mut output, &request, reply)?;
        Ok((String::from_utf8_lossy(&output).into_owned(), keeps_alive))
    }

    const GET: &str = "GET / HTTP/1.1\r\n\r\n";
    const HEAD: &str = "HEAD / HTTP/1.1\r\n\r\n";
    const OLD: &str = "GET / HTTP/1.0\r\n\r\n";

    #[test]
    fn reply_is_framed_for_its_request() -> io::Result<()> {
        let one = Reply::new(200).header("a", "b").body("one");
        let chunks = Reply::new(200).body("one").body("").body("two");
        let trailers = Reply::new(200).body("one").trailer("t", "u");
        let declared = chunks.clone().header("content-length", "6");
        let nothing = Reply::new(204).body("one");
        let unmodified = Reply::new(304).header("content-length", "6");
        for (request, reply, expected) in [
            (
                GET,
                &one,
                "HTTP/1.1 200 \r\na: b\r\ncontent-length: 3\r\n\r\none",
            ),
            (
                HEAD,
                &one,
                "HTTP/1.1 200 \r\na: b\r\ncontent-length: 3\r\n\r\n",
            ),
            (
                GET,
                &Reply::new(200),
                "HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n",
            ),
            (
                GET,
                &chunks,
                "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n\
                 3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
            ),
            (
                HEAD,
                &chunks,
                "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n",
            ),
            (
                GET,
                &trailers,
                "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n\
                 3\r\none\r\n0\r\nt: u\r\n\r\n",
            ),
            (
                GET,
                &declared,
                "HTTP/1.1 200 \r\ncontent-length: 6\r\n\r\nonetwo",
            ),
            (GET, &nothing, "HTTP/1.1 204 \r\n\r\n"),
            (
                GET,
                &unmodified,
                "HTTP/1.1 304 \r\ncontent-length: 6\r\n\r\n",
            ),
        ] {
            assert_eq!(write(request, reply)?, (expected.to_owned(), true));
        }
        for (request, reply, expected) in [
            (
                OLD,
                &one,
                "HTTP/1.1 200 \r\na: b\r\ncontent-length: 3\r\nconnection: close\r\n\r\none",
            ),
            (
                OLD,
                &trailers,
                "HTTP/1.1 200 \r\nconnection: close\r\n\r\none",
            ),
            (
                GET,
                &one.clone().header("connection", "close"),
                "HTTP/1.1 200 \r\na: b\r\nconnection: close\r\ncontent-length: 3\r\n\r\none",
            ),
            (
                GET,
                &Reply::new(200).header("content-length", "9").body("one"),
                "HTTP/1.1 200 \r\ncontent-length: 9\r\nconnection: close\r\n\r\none",
            ),
        ] {
            assert_eq!(write(request, reply)?, (expected.to_owned(), false));
        }
        Ok(())
    }

    #[test]
    fn each_chunk_is_written_by_itself() -> io::Result<()> {
        #[derive(Default)]
        struct Writes(Vec<usize>);
        impl Write for Writes {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.push(bytes.len());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let request = read(GET.as_bytes())?.expect("a request");
        let mut writes = Writes::default();
        let reply = Reply::new(200).body("one").body("three");
        write_reply(&mut writes, &request, &reply)?;
        assert_eq!(writes.0.len(), 3);
        assert_eq!(writes.0[1..], ["5\r\nthree\r\n".len(), "0\r\n\r\n".len()]);
        Ok(())
    }

    #[test]
    fn reply_that_http_cannot_express_becomes_an_error() -> io::Result<()> {
        for (reply, reason) in [
            (Reply::new(20), "its status is 20"),
            (Reply::new(1000), "its status is 1000"),
            (Reply::new(100), "its status is 100"),
            (Reply::default(), "its status is "),
            (Reply::new(200).header("", "b"), "\": b\" is not a header"),
            (
                Reply::new(200).header("a b", "c"),
                "\"a b: c\" is not a header",
            ),
            (Reply::new(200).header(":path", "/"), "is not a header"),
            (Reply::new(200).header("a", "b\r\nc: d"), "is not a header"),
            (
                Reply::new(200).trailer("a", "b\0"),
                "is not a header or trailer",
            ),
            (
                Reply::new(200).header("transfer-encoding", "gzip"),
                "a transfer-encoding, which the upstream sets itself",
            ),
            (
                Reply::new(200)
                    .header("content-length", "0")
                    .trailer("a", "b"),
                "a content-length and trailers",
            ),
        ] {
            let (text, keeps_alive) = write(GET, &reply)?;
            assert!(text.starts_with("HTTP/1.1 500 \r\n"), "{text}");
            assert!(text.contains(reason), "{reason:?} is not in {text:?}");
            assert!(keeps_alive);
        }
        Ok(())
    }
}
