//! The service behind the proxy.

use std::convert::Infallible;
use std::net::SocketAddr;

use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response, StatusCode};

/// The size of the body of `/large`, in bytes.
pub const LARGE: usize = 4 * 1024 * 1024;

/// Starts the service on a free port of 127.0.0.1. It serves until the test's process ends.
///
/// `/own` carries a `custom-header` of its own, `/large` and `/streamed` have bodies to match, and
/// `/status/N` has the status N. `/echo/NAME` answers with the value of the request's header NAME.
/// `/check` lets those pass who send `authorization: Bearer good`, and `/silent` never answers.
pub fn start() -> anyhow::Result<SocketAddr> {
    extension_kit::upstream::start(answer)
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::http::Error> {
    let path = request.uri().path();
    let whole = |body: Vec<u8>| Full::new(Bytes::from(body)).boxed();
    if let Some(code) = path.strip_prefix("/status/") {
        let status: StatusCode = code.parse().unwrap_or(StatusCode::BAD_REQUEST);
        return Response::builder().status(status).body(whole(Vec::new()));
    }
    if let Some(name) = path.strip_prefix("/echo/") {
        let value = request.headers().get(name).map(|value| value.as_bytes());
        return Response::builder().body(whole(value.unwrap_or_default().to_vec()));
    }
    match path {
        "/check" => {
            let token = request.headers().get("authorization");
            let passes = token.is_some_and(|token| token == "Bearer good");
            let status = if passes { 200 } else { 403 };
            Response::builder().status(status).body(whole(Vec::new()))
        }
        "/silent" => std::future::pending().await,
        "/own" => Response::builder()
            .header("custom-header", "upstream")
            .body(whole(b"own".to_vec())),
        "/large" => Response::builder().body(whole(vec![b'x'; LARGE])),
        "/streamed" => {
            let parts = (0..10).map(|part| Ok(Frame::data(Bytes::from(format!("part {part}\n")))));
            Response::builder().body(BodyExt::boxed(StreamBody::new(stream::iter(parts))))
        }
        _ => Response::builder().body(whole(b"hello".to_vec())),
    }
}
