//! An HTTP/1.1 client for tests against a real proxy.

use std::time::Duration;

use ureq::http::{Method, Request};
use ureq::{Agent, AsSendBody};

use crate::error::Error;

/// The default timeout of a response.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest body of a response, in bytes.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// A response that a client received.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines: name in lower case, value. Lines with the same name follow each other, in the
    /// place of the first. Bytes that are not UTF-8 are replaced by `U+FFFD`.
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
/// [`Error::Http`] if the URL or a header is not valid, if there is no complete response within
/// 30 seconds, or if its body is longer than 64 MiB. A redirection, or a status of 400 and above, is
/// not an error.
pub fn get(url: &str) -> Result<Response, Error> {
    get_with(url, &[])
}

/// Sends a GET request with these headers: name, value.
///
/// # Errors
///
/// As for [`get`].
pub fn get_with(url: &str, headers: &[(&str, &str)]) -> Result<Response, Error> {
    send(Method::GET, url, headers, (), TIMEOUT)
}

/// Sends a GET request with this timeout.
pub(crate) fn get_within(url: &str, timeout: Duration) -> Result<Response, Error> {
    send(Method::GET, url, &[], (), timeout)
}

/// Sends a HEAD request.
///
/// # Errors
///
/// As for [`get`].
pub fn head(url: &str) -> Result<Response, Error> {
    send(Method::HEAD, url, &[], (), TIMEOUT)
}

/// Sends a POST request with a body.
///
/// # Errors
///
/// As for [`get`].
pub fn post(url: &str, body: &[u8]) -> Result<Response, Error> {
    send(Method::POST, url, &[], body, TIMEOUT)
}

fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl AsSendBody,
    timeout: Duration,
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
        .timeout_global(Some(timeout))
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    /// Sends these bytes as the response to one request. Returns the URL, and the head of the
    /// request.
    fn respond(response: &'static [u8]) -> std::io::Result<(String, JoinHandle<String>)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/path", listener.local_addr()?);
        let served = thread::spawn(move || {
            let (mut connection, _) = listener.accept().expect("a connection");
            let mut input = BufReader::new(&connection);
            let lines = input.by_ref().lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            // A connection that is closed before all is read may be reset.
            if head
                .iter()
                .any(|line| line.eq_ignore_ascii_case("content-length: 4"))
            {
                input.read_exact(&mut [0; 4]).expect("a body");
            }
            connection.write_all(response).expect("a client");
            head.join("\n")
        });
        Ok((url, served))
    }

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn response_has_status_headers_and_body() -> TestResult {
        let (url, _) = respond(
            b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-b: \xff\r\nx-a: 2\r\ncontent-length: 4\r\n\r\nbody",
        )?;
        let response = get(&url)?;
        assert_eq!((response.status, &*response.body), (404, &b"body"[..]));
        assert_eq!(response.header("X-a"), ["1", "2"]);
        assert_eq!(response.header("x-b"), ["\u{fffd}"]);
        let names: Vec<_> = response.headers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["x-a", "x-a", "x-b", "content-length"]);
        Ok(())
    }

    #[test]
    fn redirection_is_not_followed() -> TestResult {
        let (url, _) = respond(b"HTTP/1.1 302 \r\nlocation: /other\r\ncontent-length: 0\r\n\r\n")?;
        let response = get(&url)?;
        assert_eq!(
            (response.status, &*response.header("location")),
            (302, &["/other"][..])
        );
        Ok(())
    }

    #[test]
    fn body_ends_with_its_length_chunks_or_connection() -> TestResult {
        for response in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody and more"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nb\r\n3\r\nody\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nbody",
        ] {
            assert_eq!(get(&respond(response)?.0)?.body, b"body");
        }
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
        assert!(super::head(&respond(head)?.0)?.body.is_empty());
        Ok(())
    }

    #[test]
    fn response_that_is_cut_off_is_an_error() -> TestResult {
        for response in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\ncontent-len",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nbody",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbody",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n",
            b"not HTTP\r\n\r\n",
        ] {
            let (url, _) = respond(response)?;
            match get(&url) {
                Err(Error::Http { url: named, .. }) => assert_eq!(named, url),
                other => panic!("{}: {other:?}", String::from_utf8_lossy(response)),
            }
        }
        Ok(())
    }

    #[test]
    fn request_has_its_method_headers_and_body() -> TestResult {
        const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let has =
            |head: &str, line: &str| head.lines().any(|other| other.eq_ignore_ascii_case(line));

        let (url, served) = respond(RESPONSE)?;
        get_with(&url, &[("X-Name", "1"), ("x-name", "2")])?;
        let head = served.join().expect("a request");
        assert!(head.starts_with("GET /path HTTP/1.1\n"), "{head}");
        assert!(has(&head, "x-name: 1") && has(&head, "x-name: 2"), "{head}");

        let (url, served) = respond(RESPONSE)?;
        post(&url, b"body")?;
        let head = served.join().expect("a request");
        assert!(head.starts_with("POST /path HTTP/1.1\n"), "{head}");
        assert!(has(&head, "content-length: 4"), "{head}");
        Ok(())
    }

    #[test]
    fn request_that_cannot_be_sent_is_an_error() {
        let local = "http://127.0.0.1:1/";
        for (url, name) in [(local, "name"), (local, "a b"), ("not a URL", "name")] {
            let result = get_with(url, &[(name, "value")]);
            assert!(matches!(result, Err(Error::Http { .. })), "{url} {name}");
        }
    }
}
