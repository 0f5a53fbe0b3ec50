use anyhow::Result;
use proxy_wasm_e2e::recipe;
use proxy_wasm_test::http;
use proxy_wasm_test::{Error, Proxy};

use crate::{envoy, refusal};

const CONFIGURATION: &str = r#"{"name": "x-environment", "value": "production"}"#;

#[test]
fn configured_value_replaces_the_clients_value() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("request_header"))?.configure(CONFIGURATION)?;
    for request in [
        proxy.request("GET", "/"),
        proxy
            .request("GET", "/")
            .header("x-environment", "mine")
            .header("X-Environment", "mine, too"),
    ] {
        let upstream = request.send()?.upstream().expect("a request");
        assert_eq!(upstream.headers.values("x-environment"), ["production"]);
    }
    Ok(())
}

#[test]
fn rejection_says_how_to_fix_the_configuration() {
    for (configuration, message) in [
        ("", "EOF while parsing"),
        (r#"{"name": "x-a"}"#, "missing field `value`"),
        (
            r#"{"name": "x-a", "value": "", "vale": ""}"#,
            "unknown field `vale`",
        ),
        (r#"{"name": ":path", "value": "/"}"#, "lower-case letters"),
        (r#"{"name": "", "value": "/"}"#, "lower-case letters"),
        (r#"{"name": "x-a", "value": "1\r\nx-b: 2"}"#, "control"),
    ] {
        let refusal = refusal("request_header", configuration);
        assert!(refusal.contains(message), "{configuration}: {refusal}");
    }
}

#[test]
fn configured_value_replaces_the_clients_value_in_envoy() -> Result<()> {
    let envoy = envoy("request_header", CONFIGURATION)?;
    let url = envoy.url("/echo/x-environment");
    assert_eq!(http::get(&url)?.body, b"production");
    let response = http::get_with(&url, &[("x-environment", "mine")])?;
    assert_eq!(response.body, b"production");
    Ok(())
}
