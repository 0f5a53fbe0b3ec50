use anyhow::Result;
use proxy_wasm_test::http;

use crate::envoy;

#[test]
fn envoy_cuts_off_a_body_that_it_cannot_hold() -> Result<()> {
    // Envoy holds 1 MiB for each stream unless it is told otherwise, and the headers have gone.
    let configuration = r#"{"find": "hello", "replace": "", "limit": 100000000}"#;
    let envoy = envoy("body", configuration)?;
    let error = http::get(&envoy.url("/large")).expect_err("a whole response");
    assert!(format!("{error:#}").contains("disconnected"), "{error:#}");
    Ok(())
}
