//! The upstream of the proxy.

use std::net::SocketAddr;

use proxy_wasm_test::{Error, Message, Reply, Upstream};

/// The size of the body of `/large`, in bytes.
pub const LARGE: usize = 4 * 1024 * 1024;

/// Starts the upstream on a free port of 127.0.0.1. It serves until the test's process ends.
///
/// The response to `/own` already has a `custom-header`, `/large` has a large body, `/streamed` has
/// a streamed body, and `/status/N` has the status N. `/echo/NAME` responds with the value of the
/// request header NAME.
///
/// # Errors
///
/// If there is no free port.
pub fn start_upstream() -> Result<SocketAddr, Error> {
    Ok(Upstream::start(respond)?.address())
}

fn respond(request: &Message) -> Reply {
    let field = |name: &str| request.headers.first(name).unwrap_or_default();
    let path = String::from_utf8_lossy(field(":path"));
    let path = path.split('?').next().unwrap_or_default();
    if let Some(status) = path.strip_prefix("/status/") {
        return Reply::new(status.parse().unwrap_or(400));
    }
    if let Some(name) = path.strip_prefix("/echo/") {
        return Reply::new(200).body(field(name));
    }
    match path {
        "/large" => Reply::new(200).body(vec![b'x'; LARGE]),
        "/streamed" => (0..10).fold(Reply::new(200), |reply, part| {
            reply.body(format!("part {part}\n"))
        }),
        _ => Reply::new(200).body("hello"),
    }
}
