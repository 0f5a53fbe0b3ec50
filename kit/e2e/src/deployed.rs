//! The files under `deploy/`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use proxy_wasm_test::envoy::Configuration;
use proxy_wasm_test::http::Response;
use serde_json::Value;

/// A mesh's file in a project's directory.
///
/// # Errors
///
/// If there is no such file, or it is not YAML.
pub fn read(project: &Path, mesh: &str) -> Result<Value> {
    let path = project.join(format!("deploy/{mesh}.yaml"));
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{} is not YAML", path.display()))
}

/// The configuration that these files show, whatever the extension is.
///
/// # Errors
///
/// If there is no such file.
pub fn configuration(project: &Path) -> Result<Configuration> {
    let file = read(project, "istio")?;
    Ok(as_handed_over(&file["spec"]["pluginConfig"]))
}

/// A configuration as a mesh hands it over: text, or an object in JSON.
pub fn as_handed_over(configuration: &Value) -> Configuration {
    Configuration::Text(match configuration {
        Value::String(text) => text.clone(),
        object => object.to_string(),
    })
}

/// A response shows that the configuration under `deploy/` is in force.
#[track_caller]
pub fn assert_in_force(response: &Response) {
    assert_eq!(response.header("custom-header"), ["test"], "{response:?}");
}
