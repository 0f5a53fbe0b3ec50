//! An upstream that answers with the request as it arrived.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response};

use crate::upstream;

/// The longest body that is shown, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Starts the upstream on a free port of 127.0.0.1. It serves until this process ends.
///
/// # Errors
///
/// When it cannot listen.
pub fn start() -> Result<SocketAddr> {
    upstream::start(answer)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut text = format!("{} {} {:?}\n", head.method, head.uri, head.version).into_bytes();
    write_headers(&mut text, &head.headers);
    match Limited::new(body, LONGEST).collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned();
            let body = collected.to_bytes();
            if !body.is_empty() {
                text.push(b'\n');
                text.extend_from_slice(&body);
            }
            if let Some(trailers) = trailers {
                text.extend_from_slice(b"\n\n");
                write_headers(&mut text, &trailers);
            }
        }
        Err(error) => {
            text.extend_from_slice(
                format!(
                    "\n(the body is not shown, of which at most {LONGEST} bytes are: {error})\n"
                )
                .as_bytes(),
            );
        }
    }
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Ok(response)
}

fn write_headers(text: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.push(b'\n');
    }
}
