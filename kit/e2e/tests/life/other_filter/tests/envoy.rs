//! The extension in a real Envoy.
#![cfg(not(target_family = "wasm"))]

use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::{Error, Reply, Upstream, http, module_path};

#[test]
fn upstream_gets_the_host() -> Result<(), Error> {
    let upstream = Upstream::start(|request| {
        Reply::new(200).body(request.headers.first("x-tenant").unwrap_or_default())
    })?;
    let envoy = Envoy::start(&module_path(), &Configuration::Absent, upstream.address())?;
    let response = http::get(&envoy.url("/"))?;
    let host = envoy.url("").replace("http://", "");
    assert_eq!(String::from_utf8_lossy(&response.body), host);
    Ok(())
}
