//! The cases in tests/cases, and what they cannot express, in a real Envoy.
#![cfg(not(target_family = "wasm"))]

use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::{Error, Reply, Upstream, cases, http, module_path};

#[test]
fn cases_pass_in_envoy() -> Result<(), cases::Failed> {
    cases::check_in_envoy(&module_path(), "tests/cases")
}

#[test]
fn response_that_envoy_itself_sends_has_the_header() -> Result<(), Error> {
    let upstream = Upstream::start(|_| Reply::new(200))?;
    let configuration = Configuration::Text("test".to_owned());
    let envoy = Envoy::start(&module_path(), &configuration, upstream.address())?;
    // A route of this Envoy responds with status 403.
    let response = http::get(&envoy.url("/direct"))?;
    assert_eq!(response.status, 403);
    assert_eq!(response.header("custom-header"), ["test"]);
    Ok(())
}
