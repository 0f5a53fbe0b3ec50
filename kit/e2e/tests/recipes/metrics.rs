use anyhow::Result;
use proxy_wasm_e2e::recipe;
use proxy_wasm_test::http;
use proxy_wasm_test::{Error, Metric, Proxy};

use crate::envoy;

#[test]
fn invalid_status_is_not_counted() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("metrics"))?.configure("")?;
    for status in [0, 999] {
        proxy.request("GET", "/").respond(status)?;
    }
    assert_eq!(proxy.request("GET", "/").respond(200)?.status(), 200);
    assert_eq!(proxy.metric("example_rq_2xx"), Some(Metric::Counter(1)));
    Ok(())
}

#[test]
fn envoy_extracts_a_tag_from_the_class() -> Result<()> {
    let envoy = envoy("metrics", "")?;
    for path in ["/", "/", "/status/404"] {
        http::get(&envoy.url(path))?;
    }
    let stats = envoy.stats("wasmcustom")?;
    assert_eq!(stats["wasmcustom.example_rq_2xx"], 2, "{stats:?}");
    assert_eq!(stats["wasmcustom.example_active"], 0);
    let prometheus = envoy.admin("/stats?format=prometheus&filter=wasmcustom")?;
    for line in [
        r#"example_rq_xx{envoy_response_code_class="2"} 2"#,
        r#"example_rq_xx{envoy_response_code_class="4"} 1"#,
        "example_active{} 0",
        "# TYPE example_milliseconds histogram",
    ] {
        assert!(prometheus.contains(line), "{line}: {prometheus}");
    }
    Ok(())
}
