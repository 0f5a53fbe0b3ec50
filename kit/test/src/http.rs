//! An HTTP/1.1 client for tests against a real proxy.

use std::time::Duration;

use ureq::http::{Method, Request};
use ureq::{Agent, AsSendBody};

use crate::error::Error;

/// No response on loopback takes longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest body that is read, in bytes.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// A response that a client received.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines: name in lower case, value. Lines of one name stand side by side, at the
    /// place of the first.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// All values of a header, in order.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// Sends a GET request.
///
/// # Errors
///
/// [`Error::Http`] if there is no complete response within 30 seconds.
pub fn get(url: &str) -> Result<Response, Error> {
    get_with(url, &[])
}

/// Sends a GET request with these headers: name, value.
///
/// # Errors
///
/// As [`get`].
pub fn get_with(url: &str, headers: &[(&str, &str)]) -> Result<Response, Error> {
    send(Method::GET, url, headers, ())
}

/// Sends a HEAD request.
///
/// # Errors
///
/// As [`get`].
pub fn head(url: &str) -> Result<Response, Error> {
    send(Method::HEAD, url, &[], ())
}

/// Sends a POST request with a body.
///
/// # Errors
///
/// As [`get`].
pub fn post(url: &str, body: &[u8]) -> Result<Response, Error> {
    send(Method::POST, url, &[], body)
}

fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl AsSendBody,
) -> Result<Response, Error> {
    let failed = |error: ureq::Error| Error::Http {
        url: url.to_owned(),
        reason: error.to_string(),
    };
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body).map_err(|error| failed(error.into()))?;
    let response = agent.run(request).map_err(failed)?;
    let (head, body) = response.into_parts();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = head.headers.iter();
    Ok(Response {
        status: head.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
            .collect(),
        body: body
            .into_with_config()
            .limit(MAX_BODY)
            .read_to_vec()
            .map_err(failed)?,
    })
}
