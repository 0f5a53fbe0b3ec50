//! An HTTP client that shows what is on the wire: every header line, in order.

use std::time::Duration;

use anyhow::{Context, Result};
use curl::easy::{Easy, HttpVersion, List};

/// No answer on loopback takes longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A response, as it was received.
#[derive(Debug, Default)]
pub struct Response {
    /// The status code.
    pub status: u32,
    /// The header lines in order: name in lower case, value.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// All values of a header, in order.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// Sends a GET request over HTTP/1.1.
///
/// # Errors
///
/// When there is no complete response.
pub fn get(url: &str) -> Result<Response> {
    send(Easy::new(), url)
}

/// Sends a GET request over HTTP/1.1 with these headers: name, value.
///
/// # Errors
///
/// When there is no complete response.
pub fn get_with(url: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let mut list = List::new();
    for (name, value) in headers {
        list.append(&format!("{name}: {value}"))?;
    }
    let mut transfer = Easy::new();
    transfer.http_headers(list)?;
    send(transfer, url)
}

/// Sends a GET request over HTTP/2, without TLS.
///
/// # Errors
///
/// When there is no complete response.
pub fn get_http2(url: &str) -> Result<Response> {
    let mut transfer = Easy::new();
    transfer.http_version(HttpVersion::V2PriorKnowledge)?;
    send(transfer, url)
}

/// Sends a HEAD request over HTTP/1.1.
///
/// # Errors
///
/// When there is no complete response.
pub fn head(url: &str) -> Result<Response> {
    let mut transfer = Easy::new();
    transfer.nobody(true)?;
    send(transfer, url)
}

fn send(mut easy: Easy, url: &str) -> Result<Response> {
    easy.url(url)?;
    easy.noproxy("*")?;
    easy.timeout(TIMEOUT)?;
    let mut response = Response::default();
    {
        let (headers, body) = (&mut response.headers, &mut response.body);
        let mut transfer = easy.transfer();
        transfer.header_function(|line| {
            let line = String::from_utf8_lossy(line);
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            true
        })?;
        transfer.write_function(|bytes| {
            body.extend_from_slice(bytes);
            Ok(bytes.len())
        })?;
        transfer
            .perform()
            .with_context(|| format!("no response from {url}"))?;
    }
    response.status = easy.response_code()?;
    Ok(response)
}
