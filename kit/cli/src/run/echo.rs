//! An upstream that responds with the request as it arrived.

use proxy_wasm_test::{Error, Headers, Message, Reply, Upstream};

/// The longest body that the response contains, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Starts the upstream on a free port of 127.0.0.1. It serves until this process ends.
///
/// # Errors
///
/// If it cannot listen.
pub fn start() -> Result<Upstream, Error> {
    Upstream::start(|request| {
        Reply::new(200)
            .header("content-type", "text/plain; charset=utf-8")
            .body(text(request))
    })
}

fn text(request: &Message) -> Vec<u8> {
    let field = |name| request.headers.first(name).unwrap_or_default();
    let mut text = [field(":method"), b" ", field(":path"), b" HTTP/1.1\n"].concat();
    write_headers(&mut text, &request.headers);
    if request.body.len() > MAX_BODY {
        let length = request.body.len();
        text.extend_from_slice(format!("\n(a body of {length} bytes)\n").as_bytes());
    } else if !request.body.is_empty() {
        text.push(b'\n');
        text.extend_from_slice(&request.body);
    }
    if !request.trailers.is_empty() {
        text.extend_from_slice(b"\n\n");
        write_headers(&mut text, &request.trailers);
    }
    text
}

fn write_headers(text: &mut Vec<u8>, headers: &Headers) {
    for (name, value) in headers.bytes().filter(|(name, _)| !name.starts_with(b":")) {
        text.extend_from_slice(&[name, b": ", value, b"\n"].concat());
    }
}
