use anyhow::Result;
use proxy_wasm_test::http;

use crate::envoy;

#[test]
fn envoy_cuts_off_a_body_beyond_its_own_limit() -> Result<()> {
    // By default, Envoy buffers at most 1 MiB for each stream, and it has already sent the headers.
    let configuration = r#"{"find": "hello", "replace": "", "limit": 100000000}"#;
    let envoy = envoy("body", configuration)?;
    let error = http::get(&envoy.url("/large")).expect_err("a whole response");
    assert!(format!("{error:#}").contains("disconnected"), "{error:#}");
    Ok(())
}
