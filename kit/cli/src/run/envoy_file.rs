//! The author's own bootstrap configuration for Envoy, changed so that it loads the module that was
//! built.
//!
//! Envoy reads its bootstrap only at startup. The listeners in it are moved into a file that Envoy
//! watches, so that they can be updated.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::discovery;
use super::field::field;
use super::resources::{EnvoyFiles, Resources};
use proxy_wasm_test::envoy::resources::{listener_source, loopback, node};

/// The type of a listener outside a bootstrap.
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";

/// Moves the listeners out of a bootstrap, replaces the module that their Wasm filters load, and
/// adds what is missing: `lds_config`, a node, and an admin interface on this port.
///
/// # Errors
///
/// If the text is not a bootstrap in YAML or JSON, if it has no static listeners or gets listeners
/// from elsewhere, or if it is not clear which Wasm filter is this extension.
pub fn resources(text: &str, files: &EnvoyFiles, admin_port: u16) -> Result<Resources> {
    let mut bootstrap: Value = serde_saphyr::from_str(text).context("it is not YAML or JSON")?;
    let root = bootstrap
        .as_object_mut()
        .context("it is not an Envoy bootstrap, which has static_resources")?;

    let mut listeners = field(root, "static_resources")
        .and_then(Value::as_object_mut)
        .and_then(|resources| resources.remove("listeners"))
        .context("it has no static_resources.listeners; add the listeners to serve")?;
    let listeners_given = listeners
        .as_array_mut()
        .context("static_resources.listeners is not a list")?;
    ensure!(
        !listeners_given.is_empty(),
        "static_resources.listeners is empty; add the listeners to serve"
    );
    for (index, listener) in listeners_given.iter_mut().enumerate() {
        let listener = listener
            .as_object_mut()
            .with_context(|| format!("static_resources.listeners[{index}] is not a listener"))?;
        listener.insert("@type".to_owned(), json!(LISTENER));
        // A listener with the same name is updated; one with a new name is added.
        listener
            .entry("name")
            .or_insert_with(|| json!(format!("listener-{index}")));
    }
    discovery::inline(&mut listeners)?;
    replace_module(&mut listeners, files)?;

    if field(root, "node").is_none() {
        root.insert("node".to_owned(), node());
    }
    if field(root, "admin").is_none() {
        root.insert("admin".to_owned(), json!({"address": loopback(admin_port)}));
    }
    if field(root, "dynamic_resources").is_none() {
        root.insert("dynamic_resources".to_owned(), json!({}));
    }
    let resources = field(root, "dynamic_resources")
        .and_then(Value::as_object_mut)
        .context("dynamic_resources is not an object")?;
    ensure!(
        field(resources, "lds_config").is_none(),
        "it has dynamic_resources.lds_config; move the listeners to static_resources.listeners"
    );
    let source = listener_source(files.listeners);
    resources.insert("lds_config".to_owned(), source);
    Ok(Resources {
        bootstrap,
        listeners: json!({"resources": listeners}),
    })
}

/// Replaces the module in the Wasm filters that are this extension.
fn replace_module(listeners: &mut Value, files: &EnvoyFiles) -> Result<()> {
    let mut found = BTreeSet::new();
    for_each_module(listeners, &mut |filename| {
        found.insert(filename.clone());
    });
    let with_that_name: BTreeSet<&String> = found
        .iter()
        .filter(|name| has_name(name, files.module_name))
        .collect();
    let matching = if with_that_name.is_empty() {
        found
            .iter()
            .filter(|name| name.ends_with(".wasm"))
            .collect()
    } else {
        with_that_name
    };
    let named = files.module_name;
    ensure!(
        !matching.is_empty(),
        "no Wasm filter in its listeners loads a .wasm file; add one whose config.vm_config.code.local.filename ends in {named}"
    );
    ensure!(
        matching.len() == 1 || matching.iter().all(|name| has_name(name, named)),
        "it is not clear which Wasm filter is this extension: they load {}, and none loads a file named {named}; write {named} in the right one",
        matching
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(" and ")
    );
    let matching: BTreeSet<String> = matching.into_iter().cloned().collect();
    let module = files
        .module
        .to_str()
        .context("the path of the directory for temporary files is not UTF-8")?;
    for_each_module(listeners, &mut |filename| {
        if matching.contains(filename) {
            module.clone_into(filename);
        }
    });
    Ok(())
}

fn has_name(path: &str, name: &str) -> bool {
    Path::new(path).file_name() == Path::new(name).file_name()
}

/// Visits each `vm_config.code.local.filename`, at any depth.
fn for_each_module(value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(object) => {
            let filename = field(object, "vm_config")
                .and_then(|config| config.pointer_mut("/code/local/filename"));
            if let Some(Value::String(filename)) = filename {
                visit(filename);
            }
            for inner in object.values_mut() {
                for_each_module(inner, visit);
            }
        }
        Value::Array(values) => {
            for inner in values {
                for_each_module(inner, visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> EnvoyFiles<'static> {
        EnvoyFiles {
            module: Path::new("/made/module-1.wasm"),
            module_name: "extension.wasm",
            listeners: Path::new("/made/listeners.json"),
        }
    }

    fn filter(filename: &str) -> String {
        format!(
            "{{typed_config: {{config: {{vm_config: {{code: {{local: {{filename: {filename}}}}}}}}}}}}}"
        )
    }

    fn with_filters(filenames: &[&str]) -> String {
        let filters: Vec<String> = filenames.iter().map(|name| filter(name)).collect();
        format!(
            "static_resources:\n  clusters: [{{name: theirs}}]\n  listeners:\n    - http_filters: [{}]\n",
            filters.join(", ")
        )
    }

    fn modules(text: &str) -> Result<Vec<String>> {
        let mut modules = Vec::new();
        let mut listeners = resources(text, &files(), 7)?.listeners;
        for_each_module(&mut listeners, &mut |name| modules.push(name.clone()));
        Ok(modules)
    }

    fn error(text: &str) -> String {
        match resources(text, &files(), 7) {
            Ok(resources) => format!("accepted: {resources:?}"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn listeners_are_moved_and_missing_fields_are_added() -> Result<()> {
        let made = resources(&with_filters(&["some/extension.wasm"]), &files(), 7)?;
        assert_eq!(
            made.bootstrap,
            json!({
                "static_resources": {"clusters": [{"name": "theirs"}]},
                "node": {"id": "test", "cluster": "test"},
                "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 7}}},
                "dynamic_resources": {"lds_config": {
                    "resource_api_version": "V3",
                    "path_config_source": {"path": "/made/listeners.json"},
                }},
            })
        );
        let listener = &made.listeners["resources"][0];
        assert_eq!(listener["@type"], LISTENER);
        assert_eq!(listener["name"], "listener-0");
        Ok(())
    }

    #[test]
    fn existing_fields_are_kept() -> Result<()> {
        let text = r#"{
            "node": {"id": "mine"}, "admin": {"address": {}}, "dynamicResources": {"cdsConfig": {}},
            "staticResources": {"listeners": [{"name": "mine", "filters": [
                {"config": {"vmConfig": {"code": {"local": {"filename": "extension.wasm"}}}}}
            ]}]}
        }"#;
        let made = resources(text, &files(), 7)?;
        assert_eq!(made.bootstrap["node"], json!({"id": "mine"}));
        assert_eq!(made.bootstrap["admin"], json!({"address": {}}));
        let dynamic = &made.bootstrap["dynamicResources"];
        assert_eq!(dynamic["cdsConfig"], json!({}));
        assert!(dynamic["lds_config"].is_object());
        assert_eq!(made.bootstrap["staticResources"], json!({}));
        assert_eq!(made.listeners["resources"][0]["name"], "mine");
        assert_eq!(modules(text)?, ["/made/module-1.wasm"]);
        Ok(())
    }

    #[test]
    fn module_is_found_by_its_file_name_or_is_the_only_one() -> Result<()> {
        let made = "/made/module-1.wasm";
        for (given, served) in [
            (
                &["a/extension.wasm", "b/extension.wasm"][..],
                &[made, made][..],
            ),
            (&["other.wasm", "extension.wasm"], &["other.wasm", made]),
            (&["mine.wasm"], &[made]),
            (&["mine.wasm", "mine.wasm"], &[made, made]),
        ] {
            assert_eq!(modules(&with_filters(given))?, served, "{given:?}");
        }
        Ok(())
    }

    #[test]
    fn error_says_what_is_missing() {
        for (text, message) in [
            ("a: [", "it is not YAML or JSON"),
            ("[]", "it is not an Envoy bootstrap"),
            ("{}", "no static_resources.listeners"),
            ("static_resources: {listeners: {}}", "is not a list"),
            ("static_resources: {listeners: []}", "is empty"),
            (
                "static_resources: {listeners: [1]}",
                "listeners[0] is not a listener",
            ),
            (
                "static_resources: {listeners: [{}]}",
                "filename ends in extension.wasm",
            ),
            (
                &with_filters(&["a.wasm", "b.wasm"]),
                "they load a.wasm and b.wasm",
            ),
            (&with_filters(&["a.so"]), "filename ends in extension.wasm"),
            (
                &(with_filters(&["a.wasm"]) + "dynamic_resources: {lds_config: {}}"),
                "move the listeners",
            ),
            (
                &(with_filters(&["a.wasm"]) + "dynamic_resources: 1"),
                "dynamic_resources is not an object",
            ),
        ] {
            assert!(error(text).contains(message), "{text:?}: {}", error(text));
        }
    }
}
