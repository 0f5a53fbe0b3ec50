//! The messages of a case, as a client and a service send them over HTTP/1.1.

use super::format;
use super::text::{Map, OneOrMany, Text};
use crate::headers::Headers;
use crate::message::Reply;

/// A request to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub method: String,
    pub path: String,
    pub headers: Headers,
    pub chunks: Vec<Vec<u8>>,
    pub trailers: Option<Headers>,
}

/// The fields of a map.
pub fn fields(map: &Map<OneOrMany<Text>>) -> Headers {
    let fields = map.0.iter().flat_map(|(name, OneOrMany(values))| {
        let values = values.iter();
        values.map(move |Text(value)| (name.as_str(), value.as_str()))
    });
    fields.collect()
}

/// The fields of a map. `None` if it is empty.
fn trailers(map: &Map<OneOrMany<Text>>) -> Option<Headers> {
    Some(fields(map)).filter(|trailers| !trailers.is_empty())
}

impl format::Request {
    /// The request, with the `content-length` that a client adds to a body in one chunk.
    pub fn outgoing(&self) -> Outgoing {
        let mut headers = fields(&self.headers);
        let chunks = chunks(&self.body);
        let trailers = trailers(&self.trailers);
        if let ([chunk], None) = (chunks.as_slice(), &trailers) {
            add_length(&mut headers, chunk.len());
        }
        let path = self.path.as_ref().map_or("/", |Text(path)| path);
        Outgoing {
            method: self.method.as_deref().unwrap_or("GET").to_owned(),
            path: path.to_owned(),
            headers,
            chunks,
            trailers,
        }
    }
}

impl format::Reply {
    /// The response to a request with this method. A service adds a `content-length`, unless the
    /// body has several chunks or trailers follow.
    pub fn reply(&self, method: &str) -> Reply {
        let status = self.status.unwrap_or(200);
        let mut reply = Reply::new(status);
        for (name, value) in fields(&self.headers).bytes() {
            reply = reply.header(name, value);
        }
        let chunks = chunks(&self.body);
        reply.trailers = trailers(&self.trailers);
        if chunks.len() <= 1 && reply.trailers.is_none() && ![204, 304].contains(&status) {
            add_length(&mut reply.headers, chunks.first().map_or(0, Vec::len));
        }
        if method != "HEAD" {
            reply.chunks = chunks;
        }
        reply
    }
}

fn chunks(body: &OneOrMany<super::pattern::Bytes>) -> Vec<Vec<u8>> {
    let chunks = body.0.iter().map(|bytes| bytes.0.clone());
    chunks.filter(|chunk| !chunk.is_empty()).collect()
}

fn add_length(headers: &mut Headers, length: usize) {
    if headers.first("content-length").is_none() {
        headers.append("content-length", length.to_string());
    }
}
