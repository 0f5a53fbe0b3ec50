//! The extension in the embedded proxy.
#![cfg(not(target_family = "wasm"))]

use proxy_wasm_test::{Error, Proxy, extension};

#[test]
fn upstream_gets_the_host() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure(r#"{"header": "x-host"}"#)?;
    let stream = proxy
        .request("GET", "/")
        .header(":authority", "a.example")
        .header("x-host", "forged")
        .send()?;
    let upstream = stream.upstream().expect("a request");
    assert_eq!(upstream.headers.values("x-host"), ["a.example"]);
    Ok(())
}
