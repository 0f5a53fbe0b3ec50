//! Tests in a real Envoy.
#![cfg(not(target_family = "wasm"))]

use std::net::TcpListener;

use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::{Error, Message, Reply, Upstream, http, module_path};

/// The length of the body of `/large`, in bytes.
const LARGE: usize = 4 * 1024 * 1024;

/// The service behind Envoy. The path says how it responds.
fn respond(request: &Message) -> Reply {
    match request.headers.first(":path") {
        Some(b"/204") => Reply::new(204),
        Some(b"/404") => Reply::new(404),
        Some(b"/500") => Reply::new(500),
        Some(b"/own") => Reply::new(200).header("custom-header", "upstream"),
        Some(b"/large") => Reply::new(200).body(vec![b'x'; LARGE]),
        Some(b"/chunks") => Reply::new(200).body("one ").body("two ").body("three"),
        _ => Reply::new(200).body("hello"),
    }
}

/// Starts an Envoy with the extension in front of the service.
fn start(configuration: &Configuration) -> Result<Envoy, Error> {
    let upstream = Upstream::start(respond)?;
    Envoy::start(&module_path(), configuration, upstream.address())
}

fn text(configuration: &str) -> Configuration {
    Configuration::Text(configuration.to_owned())
}

fn base64(bytes: &str) -> Configuration {
    Configuration::Base64(bytes.to_owned())
}

/// The extension appends these headers, in this order.
#[track_caller]
fn assert_appends(envoy: &Envoy, expected: &[(&str, &str)]) -> Result<(), Error> {
    let response = http::get(&envoy.url("/"))?;
    let appended: Vec<_> = response
        .headers
        .iter()
        .filter(|(name, _)| name == "custom-header" || name.starts_with("x-test-"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(appended, expected);
    assert_eq!(response.body, b"hello");
    Ok(())
}

/// Envoy rejects the configuration, and its log has the reason that the extension gives.
#[track_caller]
fn assert_rejected<T>(result: Result<T, Error>, reason: &str) {
    match result {
        Err(Error::EnvoyRejected { log }) => {
            assert!(log.contains("configuration rejected: "), "{log}");
            assert!(log.contains(reason), "{reason:?} is not in {log}");
        }
        Err(error) => panic!("{reason}: {error}"),
        Ok(_) => panic!("{reason}: Envoy accepts it"),
    }
}

#[test]
fn each_form_of_configuration_gives_its_headers() -> Result<(), Error> {
    let default = [("custom-header", env!("CARGO_PKG_NAME"))];
    let mut envoy = start(&Configuration::Absent)?;
    assert_appends(&envoy, &default)?;
    envoy.update(&text("test"))?;
    assert_appends(&envoy, &[("custom-header", "test")])?;
    envoy.update(&text(" \n"))?;
    assert_appends(&envoy, &default)?;
    envoy.update(&text(r#""string""#))?;
    assert_appends(&envoy, &[("custom-header", "string")])?;
    envoy.update(&text(r#"{"custom-header":"object"}"#))?;
    assert_appends(&envoy, &[("custom-header", "object")])?;
    envoy.update(&text("{}"))?;
    assert_appends(&envoy, &[])?;
    envoy.update(&text(
        r#"{"x-test-b": "1", "X-Test-A": ["2", "3"], "x-test-empty": "", "custom-header": "naïve"}"#,
    ))?;
    assert_appends(
        &envoy,
        &[
            ("x-test-b", "1"),
            ("x-test-a", "2"),
            ("x-test-a", "3"),
            ("x-test-empty", ""),
            ("custom-header", "naïve"),
        ],
    )
}

#[test]
fn header_is_added_beside_the_upstreams_own() -> Result<(), Error> {
    let envoy = start(&text("test"))?;
    let response = http::get(&envoy.url("/own"))?;
    assert_eq!(response.header("custom-header"), ["upstream", "test"]);
    Ok(())
}

#[test]
fn every_kind_of_response_has_the_header() -> Result<(), Error> {
    let envoy = start(&text("test"))?;
    for (path, status, length) in [
        ("/direct", 403, "direct".len()), // Envoy itself responds.
        ("/204", 204, 0),
        ("/404", 404, 0),
        ("/500", 500, 0),
        ("/large", 200, LARGE),
        ("/chunks", 200, "one two three".len()),
    ] {
        let get = http::get(&envoy.url(path))?;
        let head = http::head(&envoy.url(path))?;
        for response in [&get, &head] {
            assert_eq!(response.status, status, "{path}");
            assert_eq!(response.header("custom-header"), ["test"], "{path}");
        }
        assert_eq!(get.body.len(), length, "{path}");
        assert_eq!(head.body.len(), 0, "{path}");
        assert_eq!(
            get.header("content-length"),
            head.header("content-length"),
            "{path}"
        );
    }
    Ok(())
}

#[test]
fn response_without_an_upstream_has_the_header() -> Result<(), Box<dyn std::error::Error>> {
    let closed_port = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let envoy = Envoy::start(&module_path(), &text("test"), closed_port)?;
    let response = http::get(&envoy.url("/"))?;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("custom-header"), ["test"]);
    Ok(())
}

#[test]
fn invalid_configuration_is_rejected_at_the_start() {
    assert_rejected(start(&text(r#"["test"]"#)), "a JSON array has no header");
}

#[test]
fn invalid_update_is_rejected_and_the_last_good_configuration_stays() -> Result<(), Error> {
    let mut envoy = start(&text("good"))?;
    for (configuration, reason) in [
        (text("{\n  \"a\": }"), "line 2 column 8"),
        (text(r#"["test"]"#), "a JSON array has no header names"),
        (text(r#"{"a": 1}"#), "write it in quotes"),
        (text(r#"{"content-length": "1"}"#), "frames or routes"),
        (text(r#"{"content-type": "a"}"#), "may occur only once"),
        (text("one\ntwo"), "U+000A"),
        (base64("/w=="), "not UTF-8"),
        // A google.protobuf.Struct instead of a StringValue, as the module receives it.
        (base64("CgkKAWESBBoCaGk="), "protobuf message"),
    ] {
        assert_rejected(envoy.update(&configuration), reason);
        assert_appends(&envoy, &[("custom-header", "good")])?;
    }
    envoy.update(&text("better"))?;
    assert_appends(&envoy, &[("custom-header", "better")])
}
