//! Wasm filters whose configuration is discovered (ECDS).
//!
//! Envoy would read such a configuration from a separate file, which does not name the module that
//! was built. So the configuration of that file is written into the filter, where the module is
//! replaced.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::field::field;

/// The type of the configuration of a Wasm filter.
const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

/// Replaces `config_discovery` by `typed_config` in each Wasm filter, at any depth.
///
/// # Errors
///
/// If a filter gets its configuration from a source that is not a file, or if the file does not
/// have it.
pub fn inline(value: &mut Value) -> Result<()> {
    match value {
        Value::Object(object) => {
            inline_filter(object)?;
            object.values_mut().try_for_each(inline)
        }
        Value::Array(values) => values.iter_mut().try_for_each(inline),
        _ => Ok(()),
    }
}

fn inline_filter(filter: &mut Map<String, Value>) -> Result<()> {
    let name = filter.get("name").and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    let Some(discovery) = field(filter, "config_discovery").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let types = field(discovery, "type_urls").and_then(|types| types.as_array());
    if !types.is_some_and(|types| types.iter().any(is_wasm)) {
        return Ok(());
    }
    let Some(path) = path(discovery) else {
        bail!(
            "the filter {name:?} gets its configuration from a control plane; write it as typed_config, or \
             write it to a file, and set config_discovery.config_source.path_config_source.path to that file"
        );
    };
    let configuration = read(&path, &name).with_context(|| {
        format!("cannot read the configuration of the filter {name:?} from {path}")
    })?;
    filter.remove("config_discovery");
    filter.remove("configDiscovery");
    filter.insert("typed_config".to_owned(), configuration);
    Ok(())
}

/// The file from which Envoy would read the configuration.
fn path(discovery: &mut Map<String, Value>) -> Option<String> {
    let source = field(discovery, "config_source")?.as_object_mut()?;
    let source = field(source, "path_config_source")?.as_object_mut()?;
    Some(source.get("path")?.as_str()?.to_owned())
}

/// The configuration of a filter in a file with a discovery response.
fn read(path: &str, name: &str) -> Result<Value> {
    let text = fs::read_to_string(path)?;
    let response: Value = serde_saphyr::from_str(&text).context("it is not YAML or JSON")?;
    let mut resources = response
        .get("resources")
        .and_then(Value::as_array)
        .context("it has no resources")?
        .clone();
    let resource = resources
        .iter_mut()
        .filter_map(Value::as_object_mut)
        .find(|resource| resource.get("name").is_some_and(|other| other == name))
        .with_context(|| format!("none of its resources has the name {name:?}"))?;
    let configuration = field(resource, "typed_config").context("it has no typed_config")?;
    Ok(configuration.take())
}

fn is_wasm(type_url: &Value) -> bool {
    let name = type_url.as_str().and_then(|url| url.rsplit('/').next());
    name == Some(WASM)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

    fn filter(source: &Value) -> Value {
        json!([{"name": "mine", "config_discovery": {"config_source": source, "type_urls": [TYPE]}}])
    }

    fn error(file: &str) -> Result<String> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("extensions.yaml");
        fs::write(&path, file)?;
        let mut filters = filter(&json!({"path_config_source": {"path": path}}));
        let error = inline(&mut filters).err().context("accepted")?;
        Ok(format!("{error:#}"))
    }

    #[test]
    fn filter_gets_the_configuration_that_its_file_has() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("extensions.yaml");
        fs::write(
            &path,
            "resources:\n- { name: other }\n- { name: mine, typed_config: { '@type': a } }\n",
        )?;
        for (discovery, source) in [
            (
                "config_discovery",
                json!({"path_config_source": {"path": path}}),
            ),
            (
                "configDiscovery",
                json!({"pathConfigSource": {"path": path}}),
            ),
        ] {
            let mut filters =
                json!([{"name": "mine", discovery: {"configSource": source, "typeUrls": [TYPE]}}]);
            inline(&mut filters)?;
            assert_eq!(
                filters,
                json!([{"name": "mine", "typed_config": {"@type": "a"}}])
            );
        }
        Ok(())
    }

    #[test]
    fn other_filters_are_left_alone() -> Result<()> {
        let mut filters =
            json!([{"name": "a", "config_discovery": {"type_urls": ["b"]}}, {"name": "c"}]);
        let before = filters.clone();
        inline(&mut filters)?;
        assert_eq!(filters, before);
        Ok(())
    }

    #[test]
    fn configuration_that_cannot_be_read_is_an_error() -> Result<()> {
        for (file, message) in [
            ("a: [", "it is not YAML or JSON"),
            ("{}", "it has no resources"),
            (
                "resources: [{name: other}]",
                "none of its resources has the name \"mine\"",
            ),
            ("resources: [{name: mine}]", "it has no typed_config"),
        ] {
            let error = error(file)?;
            assert!(error.contains(message), "{error}");
        }
        let mut filters = filter(&json!({"ads": {}}));
        let error = inline(&mut filters).err().context("accepted")?;
        assert!(
            error.to_string().contains("from a control plane"),
            "{error}"
        );
        Ok(())
    }
}
