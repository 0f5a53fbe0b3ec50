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

/// The extension's configuration in `deploy/istio.yaml`.
///
/// # Errors
///
/// If there is no such file.
pub fn configuration(project: &Path) -> Result<Configuration> {
    let file = read(project, "istio")?;
    Ok(as_passed_by_mesh(&file["spec"]["pluginConfig"]))
}

/// A configuration as a mesh passes it: text, or an object in JSON.
pub fn as_passed_by_mesh(configuration: &Value) -> Configuration {
    Configuration::Text(match configuration {
        Value::String(text) => text.clone(),
        object => object.to_string(),
    })
}

/// Asserts that a response has the header of the configuration under `deploy/`.
#[track_caller]
pub fn assert_configured(response: &Response) {
    assert_eq!(response.header("custom-header"), ["test"], "{response:?}");
}

/// A file under `deploy/` in which the options in comments are enabled. The field that one of them
/// replaces is removed.
///
/// # Errors
///
/// If there is no such file, or it is not YAML with these options.
pub fn with_options(project: &Path, mesh: &str) -> Result<Value> {
    let path = project.join(format!("deploy/{mesh}.yaml"));
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = uncommented(&text);
    let mut file: Value = serde_saphyr::from_str(&text)
        .with_context(|| format!("{} with its options is not YAML:\n{text}", path.display()))?;
    if let Some(spec) = file.get_mut("spec").and_then(Value::as_object_mut)
        && spec.contains_key("targetRefs")
    {
        spec.remove("selector");
    }
    Ok(file)
}

/// A text in which fields in comments, such as `# failStrategy: FAIL_OPEN`, are enabled.
fn uncommented(text: &str) -> String {
    let mut lines = Vec::new();
    // The column of the comments that continue a field.
    let mut field = None;
    for line in text.lines() {
        let content = line.trim_start();
        let column = line.len() - content.len();
        let Some(comment) = content.strip_prefix("# ") else {
            field = None;
            lines.push(line.to_owned());
            continue;
        };
        let is_field = comment.split_once(':').is_some_and(|(key, _)| {
            key.starts_with(|first: char| first.is_ascii_lowercase())
                && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        if is_field || field == Some(column) && comment.starts_with("  ") {
            field = Some(column);
            lines.push(format!("{}{comment}", " ".repeat(column)));
        } else {
            field = None;
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_are_fields_are_uncommented() {
        let text = "\
# Istio:
#
#   MESH=a
a: 1
# Change: this.
#   b: 2
# For a waypoint: c.
# targetRefs:
#   - name: d
# vm_config: { e: 1 }
f: 2
";
        assert_eq!(
            uncommented(text),
            "\
# Istio:
#
#   MESH=a
a: 1
# Change: this.
#   b: 2
# For a waypoint: c.
targetRefs:
  - name: d
vm_config: { e: 1 }
f: 2"
        );
    }
}
