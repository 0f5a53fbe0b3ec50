use anyhow::Result;
use proxy_wasm_e2e::{LARGE, recipe};
use proxy_wasm_test::http;
use proxy_wasm_test::{Error, Proxy, Reply};

use crate::{envoy, refusal};

const CONFIGURATION: &str = r#"{"find": "hello", "replace": "good morning", "limit": 64}"#;

fn load() -> Result<Proxy, Error> {
    Proxy::load(recipe("body"))?.configure(CONFIGURATION)
}

#[test]
fn text_is_replaced_across_parts_of_the_body() -> Result<(), Error> {
    let reply = Reply::new(200).header("content-length", "14");
    let reply = reply.body("hel").body("lo, hel").body("lo").body("");
    let response = load()?.request("GET", "/").respond(reply)?;
    assert_eq!(response.body(), b"good morning, good morning");
    assert!(response.header("content-length").is_empty());
    Ok(())
}

#[test]
fn body_beyond_the_limit_does_not_change() -> Result<(), Error> {
    let proxy = load()?;
    let body = "hello ".repeat(11);
    let (first, rest) = body.split_at(60);
    let response = proxy
        .request("GET", "/")
        .respond(Reply::new(200).body(first).body(rest))?;
    assert_eq!(response.body(), body.as_bytes());
    assert!(proxy.log()[0].message.contains("larger than 64 bytes"));
    Ok(())
}

#[test]
fn bytes_that_are_not_text_do_not_change() -> Result<(), Error> {
    let proxy = load()?;
    for reply in [
        Reply::new(200)
            .header("content-encoding", "gzip")
            .body("hello"),
        Reply::new(200).body(b"hello \xff"),
    ] {
        let response = proxy.request("GET", "/").respond(reply.clone())?;
        assert!(response.body().starts_with(b"hello"), "{reply:?}");
    }
    Ok(())
}

#[test]
fn response_without_a_body_keeps_its_length() -> Result<(), Error> {
    let reply = Reply::new(200).header("content-length", "5");
    let response = load()?.request("HEAD", "/").respond(reply)?;
    assert_eq!(response.header("content-length"), ["5"]);
    Ok(())
}

#[test]
fn invalid_configuration_is_rejected() {
    let refusal = refusal("body", r#"{"find": "", "replace": "", "limit": 1}"#);
    assert!(refusal.contains("find is empty"), "{refusal}");
}

#[test]
fn text_is_replaced_in_envoy() -> Result<()> {
    let envoy = envoy("body", CONFIGURATION)?;
    let response = http::get(&envoy.url("/"))?;
    assert_eq!(response.body, b"good morning");
    // This body has several parts and exceeds the limit.
    assert!(
        http::get(&envoy.url("/streamed"))?
            .body
            .ends_with(b"part 9\n")
    );
    assert_eq!(http::get(&envoy.url("/large"))?.body.len(), LARGE);
    assert_eq!(http::head(&envoy.url("/"))?.header("content-length"), ["5"]);
    Ok(())
}

#[test]
fn envoy_cuts_off_a_body_beyond_its_own_limit() -> Result<()> {
    // By default, Envoy buffers at most 1 MiB for each stream, and it has already sent the headers.
    let configuration = CONFIGURATION.replace("64", "100000000");
    let envoy = envoy("body", &configuration)?;
    let error = http::get(&envoy.url("/large")).expect_err("a whole response");
    assert!(format!("{error:#}").contains("disconnected"), "{error:#}");
    Ok(())
}
