//! The check of the template.

use std::fs;

use anyhow::Result;
use proxy_wasm_check as check;
use proxy_wasm_e2e::image_root;

#[test]
fn template_is_accepted() -> Result<()> {
    let report = check::check(image_root(), None);
    assert_eq!(report.errors(), 0, "{report}");
    let reads: Vec<_> = report
        .consumers
        .iter()
        .map(|verdict| (verdict.name, verdict.accepts, verdict.reads.as_deref()))
        .collect();
    assert_eq!(
        reads,
        [
            ("envoy", true, Some("extension.wasm")),
            ("istio", true, Some("plugin.wasm")),
            ("envoy-gateway", true, Some("plugin.wasm")),
            ("maistra", true, Some("extension.wasm")),
        ]
    );
    assert_eq!(
        fs::read(image_root().join("extension.wasm"))?,
        fs::read(image_root().join("plugin.wasm"))?
    );
    assert!(report.to_string().lines().count() <= 12, "{report}");
    Ok(())
}
