//! The module that ships, in a real Envoy.
#![cfg(not(target_family = "wasm"))]

#[path = "support/upstream.rs"]
mod upstream;

use anyhow::Result;
use extension_kit::envoy::{self, Configuration, Envoy};
use extension_kit::http;
use extension_kit::testing::{module, project};

fn start(configuration: Configuration) -> Result<Envoy> {
    let binary = envoy::find_or_fetch(&project().target())?;
    Envoy::start(&binary, &module(), &configuration, upstream::start()?)
}

fn text(configuration: &str) -> Configuration {
    Configuration::Text(configuration.to_owned())
}

/// What a configuration that Envoy accepts appends, in the order on the wire.
#[track_caller]
fn assert_appends(configuration: Configuration, expected: &[(&str, &str)]) {
    let envoy = start(configuration.clone()).expect("a start");
    let response = http::get(&envoy.url("/")).expect("a response");
    let appended: Vec<_> = response
        .headers
        .iter()
        .filter(|(name, _)| name == "custom-header" || name.starts_with("x-test-"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(appended, expected, "{configuration:?}");
    assert_eq!(response.body, b"hello");
}

/// What Envoy logs when it refuses to start.
#[track_caller]
fn assert_refuses(configuration: Configuration, message: &str) {
    let error = format!("{:#}", start(configuration).expect_err("a refusal"));
    assert!(error.contains("refused to start"), "{error}");
    assert!(error.contains("configuration refused: "), "{error}");
    assert!(error.contains(message), "{message:?} is not in {error}");
}

#[test]
fn nothing_gives_the_default() {
    assert_appends(
        Configuration::Absent,
        &[("custom-header", env!("CARGO_PKG_NAME"))],
    );
    assert_appends(text(" \n"), &[("custom-header", env!("CARGO_PKG_NAME"))]);
}

#[test]
fn plain_text_gives_the_value() {
    assert_appends(text("test"), &[("custom-header", "test")]);
}

#[test]
fn a_json_string_gives_the_value() {
    assert_appends(text(r#""test""#), &[("custom-header", "test")]);
}

#[test]
fn an_object_gives_its_headers_in_order() {
    assert_appends(
        text(r#"{"custom-header":"test"}"#),
        &[("custom-header", "test")],
    );
    assert_appends(
        text(
            r#"{"x-test-b": "1", "X-Test-A": ["2", "3"], "x-test-empty": "", "custom-header": "naïve"}"#,
        ),
        &[
            ("x-test-b", "1"),
            ("x-test-a", "2"),
            ("x-test-a", "3"),
            ("x-test-empty", ""),
            ("custom-header", "naïve"),
        ],
    );
}

#[test]
fn an_empty_object_appends_nothing() {
    assert_appends(text("{}"), &[]);
}

#[test]
fn a_header_of_the_upstream_stays() -> Result<()> {
    let envoy = start(text("test"))?;
    let response = http::get(&envoy.url("/own"))?;
    assert_eq!(response.header("custom-header"), ["upstream", "test"]);
    Ok(())
}

#[test]
fn every_kind_of_response_carries_the_header() -> Result<()> {
    let envoy = start(text("test"))?;
    for (path, status) in [
        ("/direct", 403),
        ("/status/204", 204),
        ("/status/404", 404),
        ("/status/500", 500),
    ] {
        for response in [
            http::get(&envoy.url(path))?,
            http::get_http2(&envoy.url(path))?,
            http::head(&envoy.url(path))?,
        ] {
            assert_eq!(response.status, status, "{path}");
            assert_eq!(response.header("custom-header"), ["test"], "{path}");
        }
    }
    for get in [http::get, http::get_http2] {
        let large = get(&envoy.url("/large"))?;
        assert_eq!(large.header("custom-header"), ["test"]);
        assert_eq!(large.body.len(), upstream::LARGE);

        let streamed = get(&envoy.url("/streamed"))?;
        assert_eq!(streamed.header("custom-header"), ["test"]);
        assert!(streamed.body.ends_with(b"part 9\n"), "{streamed:?}");
    }
    let head = http::head(&envoy.url("/large"))?;
    assert_eq!(head.header("custom-header"), ["test"]);
    assert_eq!(head.header("content-length"), [upstream::LARGE.to_string()]);
    assert!(head.body.is_empty());
    Ok(())
}

#[test]
fn a_response_of_the_proxy_alone_carries_the_header() -> Result<()> {
    let binary = envoy::find_or_fetch(&project().target())?;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let envoy = Envoy::start(&binary, &module(), &text("test"), nobody)?;
    let response = http::get(&envoy.url("/"))?;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("custom-header"), ["test"]);
    Ok(())
}

#[test]
fn a_refused_configuration_stops_the_start() {
    assert_refuses(text("{\n  \"a\": }"), "line 2 column 8");
    assert_refuses(text(r#"["test"]"#), "a JSON array has no header names");
    assert_refuses(text(r#"{"a": 1}"#), "write it in quotes");
    assert_refuses(
        text(r#"{"content-length": "1"}"#),
        "frames or routes the message",
    );
    assert_refuses(text("one\ntwo"), "U+000A");
    assert_refuses(Configuration::Base64("/w==".to_owned()), "UTF-8");
}
