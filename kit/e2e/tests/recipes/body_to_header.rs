use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use proxy_wasm_e2e::{recipe, recipe_path, start_upstream};
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::{Error, Headers, Options, Proxy, http};

use crate::refusal;

const CONFIGURATION: &str = r#"{"field": "model", "header": "x-model", "limit": 64}"#;

fn load(is_allowed: bool) -> Result<Proxy, Error> {
    Options::new()
        .allow_on_headers_stop_iteration(is_allowed)
        .load(recipe("body_to_header"))?
        .configure(CONFIGURATION)
}

/// The forwarded headers of a request with this body.
fn forwarded(body: &str) -> Result<Headers, Error> {
    let request = load(true)?.request("POST", "/").header("x-model", "own");
    let stream = request.body(body).send()?;
    Ok(stream.upstream().expect("a request").headers)
}

#[test]
fn header_is_set_from_the_body() -> Result<(), Error> {
    let headers = forwarded(r#"{"model": "small", "input": "hello"}"#)?;
    assert_eq!(headers.values("x-model"), ["small"]);
    for other in [
        "",
        "hello",
        "[]",
        "{}",
        r#"{"model": 1}"#,
        r#"{"model": "a\nb: c"}"#,
    ] {
        let headers = forwarded(other)?;
        assert!(headers.values("x-model").is_empty(), "{other}");
    }
    Ok(())
}

#[test]
fn headers_wait_for_the_whole_body() -> Result<(), Error> {
    let proxy = load(true)?;
    let stream = proxy.request("POST", "/").begin()?;
    stream.send_body(r#"{"model": "#, false)?;
    assert!(stream.upstream().is_none());
    stream.send_body(r#""large"}"#, false)?;
    stream.send_trailers(Headers::from_iter([("trailer", "value")]))?;
    let upstream = stream.upstream().expect("a request");
    assert_eq!(upstream.headers.values("x-model"), ["large"]);
    assert_eq!(upstream.body, br#"{"model": "large"}"#);
    Ok(())
}

#[test]
fn body_beyond_the_limit_is_rejected() -> Result<(), Error> {
    let proxy = load(true)?;
    let request = proxy.request("POST", "/").body("x".repeat(65));
    assert_eq!(request.respond(200)?.status(), 413);
    Ok(())
}

#[test]
fn request_with_a_body_waits_without_the_setting() -> Result<(), Error> {
    let proxy = load(false)?;
    let stream = proxy.request("POST", "/").body("{}").send()?;
    assert!(stream.is_request_paused());
    assert!(matches!(stream.respond(200), Err(Error::Paused("request"))));
    assert_eq!(proxy.request("GET", "/").respond(200)?.status(), 200);
    Ok(())
}

#[test]
fn incomplete_configuration_is_rejected() {
    let refusal = refusal("body_to_header", r#"{"field": "a", "header": "b"}"#);
    assert!(refusal.contains("missing field `limit`"), "{refusal}");
}

fn envoy(is_allowed: bool) -> Result<Envoy> {
    let configuration = Configuration::Text(CONFIGURATION.to_owned());
    Ok(
        Envoy::builder(&recipe_path("body_to_header"), start_upstream()?)
            .allow_on_headers_stop_iteration(is_allowed)
            .listener("http", "extension", &configuration)
            .start()?,
    )
}

#[test]
fn header_is_set_from_the_body_in_envoy() -> Result<()> {
    let envoy = envoy(true)?;
    let url = envoy.url("/echo/x-model");
    for (body, expected) in [(r#"{"model": "small"}"#, "small"), ("hello", "")] {
        let response = http::post(&url, body.as_bytes())?;
        assert_eq!(String::from_utf8_lossy(&response.body), expected);
    }
    let large = http::post(&url, &[b'x'; 65])?;
    assert_eq!(
        (large.status, large.body.as_slice()),
        (413, b"the body is too large\n".as_slice())
    );
    assert_eq!(http::get(&url)?.status, 200);
    Ok(())
}

#[test]
fn request_with_a_body_waits_without_the_setting_in_envoy() -> Result<()> {
    let envoy = envoy(false)?;
    assert_eq!(http::get(&envoy.url("/"))?.status, 200);
    let mut connection = TcpStream::connect(envoy.url("").trim_start_matches("http://"))?;
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    connection.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}")?;
    let error = connection.read(&mut [0]).expect_err("no response");
    let is_timeout = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    assert!(is_timeout, "{error}");
    Ok(())
}
