//! Messages of HTTP/1.1, as bytes.

use crate::messages::{Field, Reply, Request};
use crate::observation::Received;

/// The most header lines of a message.
const MAX_FIELDS: usize = 128;

/// The bytes of a message, piece by piece.
pub struct Pieces(pub Vec<Vec<u8>>);

impl Pieces {
    pub fn of_request(request: &Request) -> Self {
        let start = format!(
            "{} {} HTTP/1.1\r\nhost: localhost",
            request.method, request.path
        );
        let body = (request.is_chunked(), request.body.as_slice());
        Self::new(
            &start,
            &request.all_fields(),
            body,
            &request.trailers,
            request.is_unfinished,
        )
    }

    pub fn of_reply(reply: &Reply, to_head: bool) -> Self {
        let start = format!("HTTP/1.1 {} Reason", reply.status);
        let body = (reply.is_chunked(), reply.body.as_slice());
        let mut pieces = Self::new(
            &start,
            &reply.all_fields(),
            body,
            &reply.trailers,
            reply.is_cut_off,
        );
        if to_head {
            pieces.0.truncate(1);
        }
        pieces
    }

    fn new(
        start: &str,
        fields: &[Field],
        (is_chunked, body): (bool, &[String]),
        trailers: &[Field],
        is_unfinished: bool,
    ) -> Self {
        let head = format!("{start}\r\n{}\r\n", lines(fields));
        let mut pieces = vec![head.into_bytes()];
        for piece in body {
            pieces.push(if is_chunked {
                format!("{:x}\r\n{piece}\r\n", piece.len()).into_bytes()
            } else {
                piece.clone().into_bytes()
            });
        }
        if is_chunked && !is_unfinished {
            pieces.push(format!("0\r\n{}\r\n", lines(trailers)).into_bytes());
        }
        Self(pieces)
    }
}

fn lines(fields: &[Field]) -> String {
    let lines = fields.iter();
    lines
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect()
}

/// What a message is, which decides how it begins and ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
    ResponseToHead,
}

/// Reads a message from the beginning of what has arrived. Returns it, and the number of its bytes.
/// `None` until its head is complete.
pub fn parse(bytes: &[u8], kind: Kind, is_closed: bool) -> Option<(Received, usize)> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let (start, head_length, lines) = if kind == Kind::Request {
        let mut request = httparse::Request::new(&mut lines);
        let length = complete(request.parse(bytes))?;
        let start = format!("{} {}", request.method?, request.path?);
        (start, length, request.headers)
    } else {
        let mut response = httparse::Response::new(&mut lines);
        let length = complete(response.parse(bytes))?;
        (response.code?.to_string(), length, response.headers)
    };
    let mut received = Received {
        start,
        fields: fields(lines),
        ..Received::default()
    };
    let value = |name: &str| {
        let mut fields = received.fields.iter();
        fields
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.clone())
    };
    let (encoding, length, host) = (
        value("transfer-encoding"),
        value("content-length"),
        value("host"),
    );
    if kind == Kind::Request {
        received.fields.retain(|(name, _)| name != "host");
        received
            .start
            .push_str(&format!(" {}", host.unwrap_or_default()));
    }
    let rest = &bytes[head_length..];
    let has_no_body = kind == Kind::ResponseToHead || ["204", "304"].contains(&&*received.start);
    let consumed = if has_no_body {
        received.is_complete = true;
        0
    } else if encoding.is_some_and(|encoding| encoding.ends_with("chunked")) {
        read_chunks(rest, &mut received)
    } else if let Some(length) = length {
        let length = length.parse().unwrap_or(usize::MAX);
        received.is_complete = rest.len() >= length;
        received.body = rest[..length.min(rest.len())].to_vec();
        received.body.len()
    } else if kind == Kind::Request {
        received.is_complete = true;
        0
    } else {
        received.is_complete = is_closed;
        received.body = rest.to_vec();
        rest.len()
    };
    Some((received, head_length + consumed))
}

fn complete(result: httparse::Result<usize>) -> Option<usize> {
    match result {
        Ok(httparse::Status::Complete(length)) => Some(length),
        _ => None,
    }
}

fn fields(lines: &[httparse::Header]) -> Vec<Field> {
    lines
        .iter()
        .map(|line| {
            let value = String::from_utf8_lossy(line.value).into_owned();
            (line.name.to_lowercase(), value)
        })
        .collect()
}

/// Reads chunks and trailers, as far as they have arrived. Returns the number of bytes.
fn read_chunks(bytes: &[u8], received: &mut Received) -> usize {
    let mut place = 0;
    while let Ok(httparse::Status::Complete((length, size))) =
        httparse::parse_chunk_size(&bytes[place..])
    {
        let start = place + length;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size == 0 {
            let mut lines = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let parsed = httparse::parse_headers(&bytes[start..], &mut lines);
            if let Ok(httparse::Status::Complete((length, lines))) = parsed {
                received.trailers = fields(lines);
                received.is_complete = true;
                place = start + length;
            }
            break;
        }
        // CR LF follows the data of a chunk.
        let Some(chunk) = bytes.get(start..start.saturating_add(size).saturating_add(2)) else {
            break;
        };
        received.body.extend_from_slice(&chunk[..size]);
        place = start + size + 2;
    }
    place
}
