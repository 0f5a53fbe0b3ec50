use std::time::Duration;

use anyhow::Result;
use proxy_wasm_e2e::recipe;
use proxy_wasm_test::http;
use proxy_wasm_test::{Error, LogLevel, Proxy};

use crate::envoy;

/// The level and the text of the only log line.
fn line(proxy: &Proxy) -> (LogLevel, String) {
    let line = proxy.log().pop().expect("a line");
    (line.level, line.message)
}

#[test]
fn level_of_a_line_depends_on_the_status() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("logging"))?.configure("")?;
    for (status, level) in [
        (204, LogLevel::Debug),
        (404, LogLevel::Info),
        (503, LogLevel::Warn),
    ] {
        let stream = proxy.request("PUT", "/items?token=secret").send()?;
        proxy.advance(Duration::from_millis(7))?;
        stream.respond(status)?;
        let expected = (level, format!("PUT /items {status} 7 ms"));
        assert_eq!(line(&proxy), expected);
    }
    Ok(())
}

#[test]
fn reset_request_is_logged_without_a_status() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("logging"))?.configure("")?;
    proxy.request("GET", "/").begin()?.reset()?;
    let expected = (LogLevel::Warn, "GET / - 0 ms".to_owned());
    assert_eq!(line(&proxy), expected);
    Ok(())
}

#[test]
fn clients_cannot_add_log_lines_or_end_the_vm() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("logging"))?.configure("")?;
    let request = proxy.request("GET", "/");
    request.header(":path", b"/\n[error] \xff").respond(200)?;
    // Envoy does not forward such a path.
    let expected = (
        LogLevel::Warn,
        "GET /\\n[error] \u{fffd} 503 0 ms".to_owned(),
    );
    assert_eq!(line(&proxy), expected);
    Ok(())
}

#[test]
fn requests_are_logged_in_envoy() -> Result<()> {
    let envoy = envoy("logging", "")?;
    http::get(&envoy.url("/"))?;
    http::get(&envoy.url("/status/404?token=secret"))?;
    let log = envoy.log_until("GET /status/404 404 ")?;
    // Envoy's log level is info.
    assert!(!log.contains("GET / 200"), "{log}");
    Ok(())
}
