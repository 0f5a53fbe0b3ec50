//! An upstream that answers with the request as it arrived.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::thread;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The longest body that is shown, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Starts the upstream on a free port of 127.0.0.1. It serves until this process ends.
///
/// # Errors
///
/// When it cannot listen.
pub fn start() -> Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot start the upstream")?;
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .context("the upstream finds no free port on 127.0.0.1")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((connection, _)) = listener.accept().await {
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service_fn(answer));
                // A connection that breaks is Envoy's to report.
                tokio::spawn(async { drop(serving.await) });
            }
        });
    });
    Ok(address)
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
