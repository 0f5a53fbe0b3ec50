//! The mesh resources and Envoy configurations that deploy an extension.

use std::path::Path;

use super::compare::Comparison;
#[cfg(feature = "trial")]
use super::configuration;
use super::definitions;
use super::schema::compare_resource;
use crate::yaml::{Node, NodeValue};

/// The type of Envoy's Wasm HTTP filter.
const ENVOY_FILTER: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

/// The scheme of an image in a URL.
const OCI: &str = "oci://";

/// Compares a document with the extension. Documents of other kinds are ignored.
pub fn compare(comparison: &mut Comparison, document: &Node) {
    let text = |key| document.get(&[key]).and_then(Node::text);
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        envoy(comparison, document);
        return;
    };
    match (version.split('/').next(), kind) {
        (Some("maistra.io"), "ServiceMeshExtension") => {
            let definition = &definitions::SERVICE_MESH_EXTENSION;
            compare_resource(comparison, kind, document, definition);
            maistra(comparison, document, version);
        }
        (Some("extensions.istio.io"), "WasmPlugin") => {
            compare_resource(comparison, kind, document, &definitions::WASM_PLUGIN);
            istio(comparison, document, &["spec"], "UNSPECIFIED_PHASE");
        }
        // It may have a Lua script instead.
        (Some("extensions.istio.io"), "TrafficExtension")
            if document.get(&["spec", "wasm"]).is_some() =>
        {
            compare_resource(comparison, kind, document, &definitions::TRAFFIC_EXTENSION);
            istio(comparison, document, &["spec", "wasm"], "UNSPECIFIED");
        }
        (Some("networking.istio.io"), "EnvoyFilter") => envoy_filter(comparison, document),
        (Some("gateway.envoyproxy.io"), "EnvoyExtensionPolicy") => {
            envoy_gateway(comparison, document);
        }
        _ => {}
    }
}

/// A ServiceMeshExtension. If it has no phase or no priority, Maistra takes that of the manifest.
fn maistra(comparison: &mut Comparison, document: &Node, version: &str) {
    let Some(spec) = document.get(&["spec"]) else {
        return;
    };
    comparison.has_compared = true;
    comparison.name(document, &["metadata", "name"]);
    if let Some(image) = spec.get(&["image"]) {
        let reference = image.text().unwrap_or_default();
        if reference.contains("://") {
            let problem = format!("image is {image}, which podman cannot pull");
            comparison.error(image, problem, "write it without a scheme");
        }
        comparison.image(image, without_scheme(reference));
    }
    if spec.get(&["phase"]).is_some() {
        comparison.phase(spec, &["phase"], str::to_owned, None);
    }
    if spec.get(&["priority"]).is_some() {
        comparison.priority(spec, &["priority"]);
    }
    let config = spec.get(&["config"]).filter(|config| config.is_set());
    let is_old = version == "maistra.io/v1alpha1";
    match config {
        Some(config) if is_old && config.text().is_none() => comparison.error(
            config,
            format!("config is {config}, but {version} requires a string"),
            "write a string in quotes: plain text, or the object as JSON",
        ),
        Some(config) if !is_old && !config.is_map() => comparison.error(
            config,
            format!("config is {config}, but {version} requires an object"),
            "write keys and values",
        ),
        #[cfg(feature = "trial")]
        _ => {
            let settings = configuration::maistra(document, config, is_old);
            comparison.configure(config.unwrap_or(spec), Ok(settings));
        }
        #[cfg(not(feature = "trial"))]
        _ => {}
    }
}

/// A WasmPlugin, or a TrafficExtension with a module. `path` is the path of the fields that both
/// have.
fn istio(comparison: &mut Comparison, document: &Node, path: &[&str], unspecified: &str) {
    let (Some(spec), Some(wasm)) = (document.get(&["spec"]), document.get(path)) else {
        return;
    };
    comparison.has_compared = true;
    comparison.name(document, &["metadata", "name"]);
    if let Some(url) = wasm.get(&["url"]) {
        let text = url.text().unwrap_or_default();
        if !text.contains("://") {
            comparison.warning(
                url,
                "url has no scheme, which Istio 1.26 rejects",
                format!("write {OCI}{text}"),
            );
        }
        if !text.contains("://") || text.starts_with(OCI) {
            comparison.image(url, without_scheme(text));
        }
    }
    let translate = |phase: &str| istio_phase(phase).unwrap_or(unspecified).to_owned();
    comparison.phase(spec, &["phase"], translate, Some(unspecified));
    // Without a priority, Istio sorts the extension below all that have one.
    comparison.priority(spec, &["priority"]);
    let config = wasm.get(&["pluginConfig"]).filter(|config| config.is_set());
    match config {
        Some(config) if !config.is_map() => comparison.error(
            config,
            format!("pluginConfig is {config}, but Istio requires an object"),
            "write keys and values",
        ),
        #[cfg(feature = "trial")]
        _ => {
            let settings = configuration::istio(wasm, config);
            comparison.configure(config.unwrap_or(wasm), Ok(settings));
        }
        #[cfg(not(feature = "trial"))]
        _ => {}
    }
}

/// Istio's name for a phase of Maistra. Istio has fewer phases. `None` stands for the unspecified
/// phase, which is nearest to the router.
fn istio_phase(phase: &str) -> Option<&'static str> {
    match phase {
        "PreAuthN" => Some("AUTHN"),
        "PostAuthN" | "PreAuthZ" => Some("AUTHZ"),
        "PostAuthZ" | "PreStats" => Some("STATS"),
        _ => None,
    }
}

/// An EnvoyExtensionPolicy. Its extensions run in the order of the list.
fn envoy_gateway(comparison: &mut Comparison, document: &Node) {
    let Some(list) = document.get(&["spec", "wasm"]) else {
        return;
    };
    let definition = &definitions::ENVOY_EXTENSION_POLICY;
    compare_resource(comparison, "EnvoyExtensionPolicy", document, definition);
    let extensions: Vec<_> = list.list().iter().collect();
    if let [_] = extensions.as_slice() {
        comparison.name(document, &["metadata", "name"]);
    }
    for extension in own_plugins(comparison, list, extensions) {
        comparison.name(extension, &["name"]);
        if let Some(url) = extension.get(&["code", "image", "url"]) {
            comparison.image(url, without_scheme(url.text().unwrap_or_default()));
        }
        #[cfg(feature = "trial")]
        {
            let config = extension.get(&["config"]).filter(|config| config.is_set());
            let settings = configuration::envoy_gateway(extension, config);
            comparison.configure(config.unwrap_or(extension), Ok(settings));
        }
    }
}

/// An EnvoyFilter that adds a Wasm filter to Envoy's configuration.
fn envoy_filter(comparison: &mut Comparison, document: &Node) {
    let mut plugins = Vec::new();
    find_plugins(document, &mut plugins);
    if plugins.is_empty() {
        return;
    }
    compare_resource(
        comparison,
        "EnvoyFilter",
        document,
        &definitions::ENVOY_FILTER,
    );
    comparison.name(document, &["metadata", "name"]);
    envoy(comparison, document);
}

/// Any part of a configuration of Envoy.
fn envoy(comparison: &mut Comparison, document: &Node) {
    let mut plugins = Vec::new();
    find_plugins(document, &mut plugins);
    for plugin in own_plugins(comparison, document, plugins) {
        comparison.name(plugin, &["name"]);
        module_path(comparison, plugin);
        image(comparison, plugin);
        capabilities(comparison, plugin);
        #[cfg(feature = "trial")]
        {
            let at = plugin.get(&["configuration"]).unwrap_or(plugin);
            comparison.configure(at, configuration::envoy(plugin));
        }
    }
}

/// Collects the configurations of plugins in Wasm filters, wherever they are.
fn find_plugins<'a>(node: &'a Node, plugins: &mut Vec<&'a Node>) {
    let is_filter = node
        .get(&["@type"])
        .and_then(Node::text)
        .is_some_and(|name| name.rsplit('/').next() == Some(ENVOY_FILTER));
    if is_filter {
        plugins.extend(node.get(&["config"]));
    }
    match &node.value {
        NodeValue::List(items) => items.iter().for_each(|item| find_plugins(item, plugins)),
        NodeValue::Map(entries) => entries
            .iter()
            .for_each(|(_, value)| find_plugins(value, plugins)),
        _ => {}
    }
}

/// The plugins that are this extension: those with the package's name, or else the only one.
fn own_plugins<'a>(
    comparison: &mut Comparison,
    parent: &Node,
    plugins: Vec<&'a Node>,
) -> Vec<&'a Node> {
    comparison.has_compared |= !plugins.is_empty();
    if plugins.len() < 2 {
        return plugins;
    }
    let name = &comparison.expected.name;
    let has_name = |plugin: &&Node| plugin.get(&["name"]).is_some_and(|node| node.is(name));
    let count = plugins.len();
    let own: Vec<_> = plugins.into_iter().filter(has_name).collect();
    if own.is_empty() {
        comparison.error(
            parent,
            format!("none of its {count} Wasm extensions has the name {name:?} of Cargo.toml"),
            format!("write name: {name} where this extension is"),
        );
    }
    own
}

/// The file on Envoy's disk must be the module: its path ends like the path in the image.
fn module_path(comparison: &mut Comparison, plugin: &Node) {
    let path = ["vm_config", "code", "local", "filename"];
    let (Some(file), Some(expected)) = (plugin.get(&path), &comparison.expected.module_path) else {
        return;
    };
    let text = file.text().unwrap_or_default();
    let is_module = text
        .strip_suffix(expected.as_str())
        .is_some_and(|directory| directory.is_empty() || directory.ends_with('/'));
    if !is_module {
        comparison.error(
            file,
            format!("filename is {file}, but manifest.yaml has the module {expected:?}"),
            format!("write a path that ends in {expected}"),
        );
        return;
    }
    // The file may be for another machine, where its path is absolute.
    if let Some((project, image)) = &comparison.expected.directories
        && Path::new(text).is_relative()
        && !project.join(text).exists()
    {
        let problem = format!("filename is {file}, which is not a file in this project");
        let module = image.join(expected);
        comparison.warning(file, problem, format!("write {}", module.display()));
    }
}

/// Istio's agent fetches an image before Envoy reads the configuration.
fn image(comparison: &mut Comparison, plugin: &Node) {
    let path = ["vm_config", "code", "remote", "http_uri", "uri"];
    if let Some(uri) = plugin.get(&path)
        && let Some(reference) = uri.text().and_then(|text| text.strip_prefix(OCI))
    {
        comparison.image(uri, reference);
    }
}

/// If Envoy restricts the capabilities of the module, it must allow all that the module needs.
fn capabilities(comparison: &mut Comparison, plugin: &Node) {
    let key = ["capability_restriction_config", "allowed_capabilities"];
    // In vm_config since Envoy 1.40; beside vm_config before.
    let allowed = plugin
        .get(&["vm_config"])
        .and_then(|vm| vm.get(&key))
        .or_else(|| plugin.get(&key));
    let (Some(allowed), Some(module)) = (allowed, &comparison.report.module) else {
        return;
    };
    let missing: Vec<_> = module
        .capabilities
        .iter()
        .copied()
        .filter(|name| allowed.get(&[name]).is_none())
        .collect();
    // An empty list allows everything.
    if !missing.is_empty() && !allowed.map().is_empty() {
        comparison.error(
            allowed,
            format!("allowed_capabilities lacks {}", missing.join(", ")),
            "add what is missing: `cargo proxy-wasm check --capabilities` prints all that the module needs",
        );
    }
}

fn without_scheme(reference: &str) -> &str {
    match reference.split_once("://") {
        Some((_, rest)) => rest,
        None => reference,
    }
}
