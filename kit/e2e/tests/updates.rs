//! The template's module in an Envoy whose configuration changes under load.

use std::collections::BTreeSet;

use anyhow::Result;
use proxy_wasm_e2e::load::Load;
use proxy_wasm_e2e::print_line;
use proxy_wasm_e2e::reconfigure::{builder, ensure_rejects, ensure_responds_with, rejected, text};
use proxy_wasm_test::envoy::Configuration;

/// The number of updates. Every tenth is rejected.
const UPDATES: u64 = 100;

/// The minimum number of responses between two updates.
const MIN_RESPONSES: u64 = 200;

/// Envoy's counter of responses.
const RESPONSE_COUNTER: &str = "http.http.downstream_rq_2xx";

/// A configuration that gives `custom-header` this value. `index` selects the format.
fn accepted(index: u64, value: &str) -> Configuration {
    match index % 3 {
        0 => text(value),
        1 => text(&format!("{value:?}")),
        _ => text(&format!(r#"{{"custom-header": {value:?}}}"#)),
    }
}

#[test]
#[cfg_attr(missing_wrk, ignore = "needs wrk: install it")]
fn updates_under_load_lose_no_response_and_no_header() -> Result<()> {
    let mut envoy = builder()?
        .listener("http", "extension", &text("update-0"))
        .start()?;
    let load = Load::start(&envoy.url("/"), "custom-header")?;
    envoy.wait_for_rise(&[RESPONSE_COUNTER], MIN_RESPONSES)?;

    let mut accepted_values = BTreeSet::from(["update-0".to_owned()]);
    let mut last_good = "update-0".to_owned();
    for update in 1..=UPDATES {
        if update % 10 == 0 {
            ensure_rejects(&mut envoy, "http", update / 10)?;
        } else {
            last_good = format!("update-{update}");
            envoy.update(&accepted(update, &last_good))?;
            accepted_values.insert(last_good.clone());
        }
        ensure_responds_with(&envoy.url("/"), &last_good)?;
        envoy.wait_for_rise(&[RESPONSE_COUNTER], MIN_RESPONSES)?;
    }

    let report = load.finish()?;
    let stats = envoy.stats("listener_manager.lds")?;
    let rejections = stats["listener_manager.lds.update_rejected"];
    print_line(&format!(
        "Under load: {UPDATES} updates, {rejections} of them rejected; {} requests, {} failed, {} responses without the header",
        report.requests, report.failed, report.without_header
    ));
    assert_eq!(rejections, UPDATES / 10);
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(report.without_header, 0, "{report:?}");
    assert_eq!(report.checked, report.requests, "{report:?}");
    // Every accepted configuration was used, and no rejected one.
    let seen: BTreeSet<String> = report.values.into_keys().collect();
    assert_eq!(seen, accepted_values);
    Ok(())
}

#[test]
fn rejected_configuration_is_rejected_again() -> Result<()> {
    let mut envoy = builder()?
        .listener("http", "extension", &text("good"))
        .start()?;
    ensure_rejects(&mut envoy, "http", 1)?;
    assert!(envoy.update(&rejected(1).0).is_err());
    ensure_responds_with(&envoy.url("/"), "good")?;
    envoy.update(&text("better"))?;
    ensure_responds_with(&envoy.url("/"), "better")
}
