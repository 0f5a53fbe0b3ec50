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
fn a_text_is_replaced_wherever_the_pieces_are_cut() -> Result<(), Error> {
    let reply = Reply::new(200).header("content-length", "14");
    let reply = reply.body("hel").body("lo, hel").body("lo").body("");
    let response = load()?.request("GET", "/").respond(reply)?;
    assert_eq!(response.body(), b"good morning, good morning");
    assert!(response.header("content-length").is_empty());
    Ok(())
}

#[test]
fn a_body_beyond_the_limit_passes_as_it_is() -> Result<(), Error> {
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
fn what_is_no_text_passes_as_it_is() -> Result<(), Error> {
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
fn a_response_without_a_body_keeps_its_length() -> Result<(), Error> {
    let reply = Reply::new(200).header("content-length", "5");
    let response = load()?.request("HEAD", "/").respond(reply)?;
    assert_eq!(response.header("content-length"), ["5"]);
    Ok(())
}

#[test]
fn a_bad_configuration_is_refused() {
    let refusal = refusal("body", r#"{"find": "", "replace": "", "limit": 1}"#);
    assert!(refusal.contains("find is empty"), "{refusal}");
}

#[test]
fn it_runs_in_envoy() -> Result<()> {
    let envoy = envoy("body", CONFIGURATION)?;
    let response = http::get(&envoy.url("/"))?;
    assert_eq!(response.body, b"good morning");
    // In pieces, and larger than the limit.
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
fn envoy_cuts_off_a_body_that_it_cannot_hold() -> Result<()> {
    // Envoy holds 1 MiB for each stream unless it is told otherwise, and the headers have gone.
    let configuration = CONFIGURATION.replace("64", "100000000");
    let envoy = envoy("body", &configuration)?;
    let error = http::get(&envoy.url("/large")).expect_err("a whole response");
    assert!(format!("{error:#}").contains("disconnected"), "{error:#}");
    Ok(())
}
