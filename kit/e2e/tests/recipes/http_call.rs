use proxy_wasm_e2e::recipe;
use proxy_wasm_test::{Error, Proxy};

const CONFIGURATION: &str = r#"{"cluster": "upstream", "authority": "check.example", "path": "/check",
    "timeout_milliseconds": 200}"#;

#[test]
fn token_that_is_not_utf8_is_not_sent() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("http_call"))?.configure(CONFIGURATION)?;
    let request = proxy.request("GET", "/").header("authorization", b"\xff");
    let _stream = request.send()?;
    let calls = proxy.http_calls();
    assert!(calls[0].headers.first("authorization").is_none());
    Ok(())
}
