//! Messages that a test writes and reads.

use std::borrow::Cow;

use crate::filter_state::FilterState;
use crate::header_map::is_pseudo;
use crate::headers::Headers;
use crate::records::HostCall;

/// The response of an upstream, or of a service that the extension calls, over HTTP/1.1.
///
/// If an upstream's response ends with a body, the extension sees the end as an empty chunk. Trailers
/// of a message with `content-length` are not forwarded, because HTTP/1.1 does not allow them.
///
/// It converts from a number, which is its status.
///
/// ```
/// use proxy_wasm_test::Reply;
///
/// let reply = Reply::new(200).header("content-type", "text/plain").body("hello");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub(crate) headers: Headers,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Option<Headers>,
}

impl Reply {
    /// A reply with this status, without other headers and without a body.
    pub fn new(status: u16) -> Self {
        Self {
            headers: Headers::from_iter([(":status", status.to_string())]),
            ..Self::default()
        }
    }

    /// Adds a header. A pseudo-header, such as `:status`, replaces the present one.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        if is_pseudo(name.as_ref()) {
            self.headers.replace(name, value);
        } else {
            self.headers.append(name, value);
        }
        self
    }

    /// Adds a chunk of the body. In an upstream's response, the extension's body callback is called for
    /// each chunk; in the response to an HTTP call, the extension gets the whole body at once.
    pub fn body(mut self, chunk: impl AsRef<[u8]>) -> Self {
        self.chunks.push(chunk.as_ref().to_vec());
        self
    }

    /// Adds a trailer.
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let trailers = self.trailers.get_or_insert_with(Headers::default);
        trailers.append(name, value);
        self
    }
}

impl From<u16> for Reply {
    fn from(status: u16) -> Self {
        Self::new(status)
    }
}

/// The response that the client receives ("downstream response" in Envoy), and its cost.
#[derive(Clone, Debug)]
pub struct Response {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
    pub(crate) is_local: bool,
    pub(crate) filter_state: FilterState,
    pub(crate) fuel: u64,
    pub(crate) host_calls: Vec<HostCall>,
}

impl Response {
    /// The status code. 0 if it is larger than 65,535.
    pub fn status(&self) -> u16 {
        let status = self.headers.status();
        status
            .and_then(|status| status.try_into().ok())
            .unwrap_or_default()
    }

    /// All values of a header, in order. Bytes that are not UTF-8 are replaced by `U+FFFD`.
    pub fn header(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.headers.values(name)
    }

    /// All headers, including `:status`.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// All trailers.
    pub fn trailers(&self) -> &Headers {
        &self.trailers
    }

    /// A value of the stream's filter state: see [`Stream::filter_state`](crate::Stream::filter_state).
    pub fn filter_state(&self, key: &str) -> Option<&[u8]> {
        self.filter_state.get(key.as_bytes())
    }

    /// Whether it is a local response: the extension has sent it instead of the upstream (ABI:
    /// `proxy_send_local_response`), or Envoy, because a message could not be forwarded or the
    /// upstream has failed.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// The fuel of all callbacks of this stream, from `proxy_on_context_create` to
    /// `proxy_on_delete`: see [Fuel](crate#fuel). It does not include callbacks of the plugin, such
    /// as `proxy_on_http_call_response`.
    pub fn fuel(&self) -> u64 {
        self.fuel
    }

    /// The host calls that the module made for this stream, in order.
    pub fn host_calls(&self) -> &[HostCall] {
        &self.host_calls
    }
}

/// A message, as far as it has been received: see [`Stream::upstream`](crate::Stream::upstream).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its headers.
    pub headers: Headers,
    /// Its body so far.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Headers,
    /// Whether it has ended.
    pub is_complete: bool,
}
