//! The upstream of the proxy.

use std::net::SocketAddr;
use std::thread;

use proxy_wasm_test::{Error, Message, Reply, Upstream};

/// The size of the body of `/large`, in bytes.
pub const LARGE: usize = 4 * 1024 * 1024;

/// Starts the upstream on a free port of 127.0.0.1. It serves until the test's process ends.
///
/// The response to `/own` already has a `custom-header`, `/large` has a large body, `/streamed` has
/// a streamed body, and `/status/N` has the status N. `/echo/NAME` responds with the value of the
/// request header NAME. `/check` accepts `authorization: Bearer good`, and `/silent` never
/// responds. `/user` responds with the value of `x-session`, if there is one, and `/permission`
/// accepts only `x-user: alice`.
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
        "/check" if field("authorization") == b"Bearer good" => Reply::new(200),
        "/check" => Reply::new(403),
        "/user" if field("x-session").is_empty() => Reply::new(401),
        "/user" => Reply::new(200).body(field("x-session")),
        "/permission" if field("x-user") == b"alice" => Reply::new(200),
        "/permission" => Reply::new(403),
        "/silent" => loop {
            thread::park();
        },
        "/own" => Reply::new(200)
            .header("custom-header", "upstream")
            .body("own"),
        "/large" => Reply::new(200).body(vec![b'x'; LARGE]),
        "/streamed" => (0..10).fold(Reply::new(200), |reply, part| {
            reply.body(format!("part {part}\n"))
        }),
        _ => Reply::new(200).body("hello"),
    }
}
