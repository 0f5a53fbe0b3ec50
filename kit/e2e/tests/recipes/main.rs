//! Tests of the recipes in `examples/`, in the embedded proxy and in Envoy.

mod body;
mod body_to_header;
mod first_line;
mod http_call;
mod logging;
mod metrics;
mod request_header;
mod shared_data;
mod two_calls;

use anyhow::Result;
use proxy_wasm_e2e::{recipe, recipe_path, start_upstream, template};
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::{Error, Proxy};

/// An Envoy with a recipe and the upstream of [`start_upstream`]. The recipe can call it as the
/// cluster `upstream`.
fn envoy(name: &str, configuration: &str) -> Result<Envoy> {
    let configuration = Configuration::Text(configuration.to_owned());
    Ok(Envoy::start(
        &recipe_path(name),
        &configuration,
        start_upstream()?,
    )?)
}

/// The message with which a recipe rejects a configuration.
#[track_caller]
fn refusal(name: &str, configuration: &str) -> String {
    let proxy = Proxy::load(recipe(name)).expect("a module");
    let Err(Error::Rejected { log, .. }) = proxy.reconfigure(configuration) else {
        panic!("{configuration} was accepted");
    };
    log[0].message.clone()
}

#[test]
fn rejection_fits_into_a_log_line() {
    let configuration = format!("{{\"{}\": 1}}", "k".repeat(1 << 20));
    for name in [
        "body",
        "body_to_header",
        "first_line",
        "http_call",
        "request_header",
        "two_calls",
    ] {
        let refusal = refusal(name, &configuration);
        assert!(refusal.contains("unknown field `kkk"), "{name}: {refusal}");
        assert!(refusal.len() < 1000, "{name}: {} bytes", refusal.len());
    }
}

#[test]
fn each_recipe_has_tests() -> Result<()> {
    let mut recipes = Vec::new();
    for entry in std::fs::read_dir(template().join("kit/examples"))? {
        let path = entry?.path();
        if path.extension() == Some("rs".as_ref()) {
            recipes.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    recipes.sort();
    assert_eq!(
        recipes,
        [
            "body",
            "body_to_header",
            "first_line",
            "http_call",
            "logging",
            "metrics",
            "request_header",
            "shared_data",
            "two_calls"
        ]
    );
    Ok(())
}
