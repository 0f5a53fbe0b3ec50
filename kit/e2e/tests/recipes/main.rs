//! Tests of the recipes in `examples/`: their cases, and what cases cannot express, in the embedded
//! proxy and in Envoy.

mod body;
mod first_line;
mod http_call;
mod logging;
mod metrics;
mod shared_data;
mod two_calls;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use proxy_wasm_e2e::{recipe, recipe_path, start_upstream, template};
use proxy_wasm_test::cases;
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::{Error, Proxy};

const RECIPES: [&str; 8] = [
    "body",
    "body_to_header",
    "http_call",
    "logging",
    "metrics",
    "request_header",
    "shared_data",
    "two_calls",
];

/// Cases have no TCP connections.
const WITHOUT_CASES: [&str; 1] = ["first_line"];

/// The cases of a recipe.
fn case_file(name: &str) -> PathBuf {
    template().join(format!("kit/examples/{name}.yaml"))
}

#[test]
fn cases_of_each_recipe_pass() -> Result<()> {
    for name in RECIPES {
        cases::check(&recipe(name), case_file(name))
            .map_err(|error| anyhow!("{name}: {error:?}"))?;
    }
    Ok(())
}

#[test]
fn cases_of_each_recipe_pass_in_envoy() -> Result<()> {
    for name in RECIPES {
        cases::check_in_envoy(&recipe_path(name), case_file(name))
            .map_err(|error| anyhow!("{name}: {error:?}"))?;
    }
    Ok(())
}

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
fn rejection(name: &str, configuration: &str) -> String {
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
        let rejection = rejection(name, &configuration);
        assert!(
            rejection.contains("unknown field `kkk"),
            "{name}: {rejection}"
        );
        assert!(rejection.len() < 1000, "{name}: {} bytes", rejection.len());
    }
}

#[test]
fn each_recipe_is_tested() -> Result<()> {
    let mut recipes = BTreeSet::new();
    for entry in std::fs::read_dir(template().join("kit/examples"))? {
        let path = entry?.path();
        if path.extension() == Some("rs".as_ref()) {
            let name = path
                .file_stem()
                .map(|name| name.to_string_lossy().into_owned());
            recipes.extend(name);
        }
    }
    let expected = RECIPES.into_iter().chain(WITHOUT_CASES);
    let expected: BTreeSet<_> = expected.map(str::to_owned).collect();
    assert_eq!(recipes, expected);
    Ok(())
}
