//! The module that ships, in an Envoy whose configuration changes while it serves.

use std::collections::BTreeSet;

use anyhow::Result;
use proxy_wasm_e2e::load::Load;
use proxy_wasm_e2e::print_line;
use proxy_wasm_e2e::reconfigure::{builder, ensure_answers, ensure_rejects, rejected, text};
use proxy_wasm_test::envoy::Configuration;

/// Every tenth is refused.
const UPDATES: u64 = 100;

/// How many responses there are between two updates, at least.
const RESPONSES: u64 = 200;

/// Envoy's counter of them.
const ANSWERED: &str = "http.http.downstream_rq_2xx";

/// Each way to write that `custom-header` has this value, in turn.
fn accepted(index: u64, value: &str) -> Configuration {
    match index % 3 {
        0 => text(value),
        1 => text(&format!("{value:?}")),
        _ => text(&format!(r#"{{"custom-header": {value:?}}}"#)),
    }
}

#[test]
#[cfg_attr(missing_wrk, ignore = "needs wrk: install it")]
fn under_load_no_update_costs_a_response_or_its_header() -> Result<()> {
    let mut envoy = builder()?
        .listener("http", "extension", &text("update-0"))
        .start()?;
    let load = Load::start(&envoy.url("/"), "custom-header")?;
    envoy.wait_for_rise(&[ANSWERED], RESPONSES)?;

    let mut in_force = BTreeSet::from(["update-0".to_owned()]);
    let mut last_good = "update-0".to_owned();
    for update in 1..=UPDATES {
        if update % 10 == 0 {
            ensure_rejects(&mut envoy, "http", update / 10)?;
        } else {
            last_good = format!("update-{update}");
            envoy.update(&accepted(update, &last_good))?;
            in_force.insert(last_good.clone());
        }
        ensure_answers(&envoy.url("/"), &last_good)?;
        envoy.wait_for_rise(&[ANSWERED], RESPONSES)?;
    }

    let report = load.finish()?;
    let stats = envoy.stats("listener_manager.lds")?;
    let refused = stats["listener_manager.lds.update_rejected"];
    print_line(&format!(
        "Under load: {UPDATES} updates, {refused} of them refused; {} requests, {} failed, {} responses without the header",
        report.requests, report.failed, report.without_header
    ));
    assert_eq!(refused, UPDATES / 10);
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(report.without_header, 0, "{report:?}");
    assert_eq!(report.checked, report.requests, "{report:?}");
    // Each good configuration answered, and none that was refused.
    let seen: BTreeSet<String> = report.values.into_keys().collect();
    assert_eq!(seen, in_force);
    Ok(())
}

#[test]
fn a_configuration_that_was_refused_is_refused_again() -> Result<()> {
    let mut envoy = builder()?
        .listener("http", "extension", &text("good"))
        .start()?;
    ensure_rejects(&mut envoy, "http", 1)?;
    assert!(envoy.update(&rejected(1).0).is_err());
    ensure_answers(&envoy.url("/"), "good")?;
    envoy.update(&text("better"))?;
    ensure_answers(&envoy.url("/"), "better")
}
