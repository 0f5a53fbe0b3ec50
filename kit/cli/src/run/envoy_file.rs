//! A file of the author's for Envoy, served with the module that was built.
//!
//! What Envoy reads when it starts is called its bootstrap. Listeners in it stay as they are until
//! Envoy ends, so they are moved into a file of their own, which Envoy reads again.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::resources::{Files, Resources};
use proxy_wasm_test::envoy::resources::{listener_source, loopback, node};

/// The type of a listener where it does not stand in a bootstrap.
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";

/// Takes the listeners out of a bootstrap, lets the Wasm filters in them load the module, and adds
/// what the bootstrap lacks: where the listeners are, a node, and an admin interface on this port.
///
/// # Errors
///
/// When the text is no bootstrap in YAML or JSON, when it has no static listeners or finds listeners
/// elsewhere, and when no Wasm filter, or more than one, could be meant.
pub fn resources(text: &str, files: &Files, admin_port: u16) -> Result<Resources> {
    let mut bootstrap: Value = serde_saphyr::from_str(text).context("it is no YAML or JSON")?;
    let root = bootstrap
        .as_object_mut()
        .context("it is no bootstrap of Envoy's, which begins with static_resources")?;

    let mut listeners = field(root, "static_resources")
        .and_then(Value::as_object_mut)
        .and_then(|resources| resources.remove("listeners"))
        .context(
            "it has no static_resources.listeners; these are what is served, and read again on a save",
        )?;
    let listeners_given = listeners
        .as_array_mut()
        .context("static_resources.listeners is no list")?;
    ensure!(
        !listeners_given.is_empty(),
        "static_resources.listeners is empty; what is served stands there"
    );
    for (index, listener) in listeners_given.iter_mut().enumerate() {
        let listener = listener
            .as_object_mut()
            .with_context(|| format!("static_resources.listeners[{index}] is no listener"))?;
        listener.insert("@type".to_owned(), json!(LISTENER));
        // By its name, Envoy tells a listener that has changed from a new one.
        listener
            .entry("name")
            .or_insert_with(|| json!(format!("listener-{index}")));
    }
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
        .context("dynamic_resources is no object")?;
    ensure!(
        field(resources, "lds_config").is_none(),
        "it has dynamic_resources.lds_config, and Envoy takes listeners from one place alone; write them under static_resources.listeners"
    );
    let source = listener_source(files.listeners);
    resources.insert("lds_config".to_owned(), source);
    Ok(Resources {
        bootstrap,
        listeners: json!({"resources": listeners}),
    })
}

/// A field by its name in snake case, which may be written in camel case, too.
fn field<'a>(object: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Value> {
    let name = match object.contains_key(name) {
        true => name.to_owned(),
        false => camel_case(name),
    };
    object.get_mut(&name)
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        name + &initial.to_ascii_uppercase() + rest
    })
}

/// Lets those Wasm filters load the built module that are meant.
fn replace_module(listeners: &mut Value, files: &Files) -> Result<()> {
    let mut found = BTreeSet::new();
    for_each_module(listeners, &mut |filename| {
        found.insert(filename.clone());
    });
    let with_that_name: BTreeSet<&String> = found
        .iter()
        .filter(|name| has_name(name, files.module_name))
        .collect();
    let meant = if with_that_name.is_empty() {
        found
            .iter()
            .filter(|name| name.ends_with(".wasm"))
            .collect()
    } else {
        with_that_name
    };
    let named = files.module_name;
    ensure!(
        !meant.is_empty(),
        "no Wasm filter in its listeners loads a file; write one whose config.vm_config.code.local.filename ends in {named}"
    );
    ensure!(
        meant.len() == 1 || meant.iter().all(|name| has_name(name, named)),
        "which Wasm filter is this extension? None loads a file named {named}, but there are {}; write {named} where it is meant",
        meant
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(" and ")
    );
    let meant: BTreeSet<String> = meant.into_iter().cloned().collect();
    let module = files
        .module
        .to_str()
        .context("the folder of temporary files has a name that is no UTF-8")?;
    for_each_module(listeners, &mut |filename| {
        if meant.contains(filename) {
            module.clone_into(filename);
        }
    });
    Ok(())
}

fn has_name(path: &str, name: &str) -> bool {
    Path::new(path).file_name() == Path::new(name).file_name()
}

/// Hands over each `vm_config.code.local.filename`, however deep it lies.
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

    fn files() -> Files<'static> {
        Files {
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
    fn listeners_are_moved_and_what_is_absent_is_added() -> Result<()> {
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
    fn what_is_theirs_stays() -> Result<()> {
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
    fn the_module_is_told_by_its_file_name_and_otherwise_there_must_be_one() -> Result<()> {
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
    fn an_error_says_what_the_file_lacks() {
        for (text, message) in [
            ("a: [", "it is no YAML or JSON"),
            ("[]", "it is no bootstrap"),
            ("{}", "no static_resources.listeners"),
            ("static_resources: {listeners: {}}", "is no list"),
            ("static_resources: {listeners: []}", "is empty"),
            (
                "static_resources: {listeners: [1]}",
                "listeners[0] is no listener",
            ),
            (
                "static_resources: {listeners: [{}]}",
                "filename ends in extension.wasm",
            ),
            (
                &with_filters(&["a.wasm", "b.wasm"]),
                "there are a.wasm and b.wasm",
            ),
            (&with_filters(&["a.so"]), "filename ends in extension.wasm"),
            (
                &(with_filters(&["a.wasm"]) + "dynamic_resources: {lds_config: {}}"),
                "listeners from one place alone",
            ),
            (
                &(with_filters(&["a.wasm"]) + "dynamic_resources: 1"),
                "dynamic_resources is no object",
            ),
        ] {
            assert!(error(text).contains(message), "{text:?}: {}", error(text));
        }
    }
}
