//! Envoy restricts the module to the capabilities that it needs: `check --capabilities`, and
//! `capability_restriction_config` in deploy/envoy.yaml.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use proxy_wasm_check::check;
use proxy_wasm_e2e::{deployed, image_root, module_path, template};
use proxy_wasm_test::envoy::find_or_fetch;
use proxy_wasm_test::envoy::process::{Launch, Process};
use proxy_wasm_test::envoy::resources::loopback;
use proxy_wasm_test::http::{self, Response};
use serde_json::{Value, json};

const PLUGIN: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/\
                      http_filters/0/typed_config/config";
const CAPABILITIES: &str = "/vm_config/capability_restriction_config/allowed_capabilities";

/// deploy/envoy.yaml with a free port, without one of the allowed capabilities.
fn restricted(without: Option<&str>) -> Result<Value> {
    let mut file = deployed::read(template(), "envoy")?;
    file["admin"] = json!({"address": loopback(0)});
    file["static_resources"]["listeners"][0]["address"] = loopback(0);
    let plugin = file.pointer_mut(PLUGIN).context("no plugin")?;
    plugin["vm_config"]["code"]["local"]["filename"] = json!(module_path());
    if let Some(name) = without {
        plugin
            .pointer_mut(CAPABILITIES)
            .and_then(Value::as_object_mut)
            .and_then(|allowed| allowed.remove(name))
            .with_context(|| format!("deploy/envoy.yaml does not allow {name}"))?;
    }
    Ok(file)
}

/// Envoy's response to a request, and its log.
fn respond(file: &Value) -> Result<(Response, String)> {
    let directory = tempfile::tempdir()?;
    let bootstrap = directory.path().join("envoy.json");
    fs::write(&bootstrap, file.to_string())?;
    let launch = Launch {
        binary: &find_or_fetch()?,
        bootstrap: &bootstrap,
        directory: directory.path(),
        workers: 1,
        drain_seconds: 5,
        arguments: Vec::new(),
    };
    let envoy = Process::start(launch.command(), directory.path(), Duration::from_secs(60))?;
    let addresses = envoy.admin().listener_addresses()?;
    let address = addresses.get("proxy").context("no listener")?;
    // There is no upstream, so Envoy responds with 503 and the reason.
    let response = http::get(&format!("http://{address}/"))?;
    Ok((response, envoy.log_from(0)))
}

#[test]
fn file_for_envoy_allows_what_the_module_needs_and_nothing_else() -> Result<()> {
    let file = deployed::read(template(), "envoy")?;
    let plugin = file.pointer(PLUGIN).context("no plugin")?;
    let allowed = plugin.pointer(CAPABILITIES).context("no restriction")?;
    let needed: Value = check(image_root(), None)
        .module
        .context("no module")?
        .capabilities
        .into_iter()
        .map(|name| (name.to_owned(), json!({})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(*allowed, needed);
    Ok(())
}

#[test]
fn module_works_with_the_capabilities_that_it_needs() -> Result<()> {
    let (response, log) = respond(&restricted(None)?)?;
    deployed::assert_configured(&response);
    assert!(!log.contains("restricted proxy-wasm capability"), "{log}");
    Ok(())
}

#[test]
fn host_call_that_is_not_allowed_fails_and_is_logged() -> Result<()> {
    let (response, log) = respond(&restricted(Some("proxy_add_header_map_value"))?)?;
    assert!(response.header("custom-header").is_empty(), "{response:?}");
    assert_eq!(response.status, 503);
    let problem = "Attempted call to restricted proxy-wasm capability: proxy_add_header_map_value";
    assert!(log.contains(problem), "{log}");
    Ok(())
}

#[test]
fn callback_that_is_not_allowed_is_not_called() -> Result<()> {
    let (response, log) = respond(&restricted(Some("proxy_on_response_headers"))?)?;
    assert!(response.header("custom-header").is_empty(), "{response:?}");
    assert!(!log.contains("restricted proxy-wasm capability"), "{log}");
    Ok(())
}
