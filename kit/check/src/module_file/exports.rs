//! The exports: memory, allocator, and callbacks.

use proxy_wasm_abi::{EnvoyVersion, callback, is_looked_up};
use proxy_wasm_module::{Export, Import, Item};

use super::checked_module::{BUILD_FOR_CURRENT_ABI, CheckedModule, MAX_COUNT, has_signature};
use crate::report::excerpt;

pub fn check(checked: &mut CheckedModule) {
    memory(checked);
    allocator(checked);
    callbacks(checked);
    types(checked);
}

fn memory(checked: &mut CheckedModule) {
    let module = checked.module;
    if module.memory_in_envoy().is_none() {
        let problem = "it exports no memory";
        let remedy = "export its memory as \"memory\": the proxy passes all data through it";
        // Without host calls, no data is passed. A host call would crash Envoy.
        let is_function = |import: &Import| matches!(import.item, Item::Function(_));
        if module.imports.iter().any(is_function) {
            checked.error(problem, remedy);
        } else {
            checked.warning(problem, remedy);
        }
    } else if module.memory().is_none() {
        checked.warning(
            "it exports its memory under a name other than \"memory\", which only V8 accepts",
            "export it as \"memory\"",
        );
    }
}

fn allocator(checked: &mut CheckedModule) {
    let allocators = ["malloc", "proxy_on_memory_allocate"];
    if !allocators
        .iter()
        .any(|name| checked.module.has_function(name))
    {
        checked.error(
            "it exports neither malloc nor proxy_on_memory_allocate",
            "export one of them: the proxy passes headers and configuration through it",
        );
    }
}

fn callbacks(checked: &mut CheckedModule) {
    let module = checked.module;
    let has = |name: &str| module.has_function(name);
    let version = checked.version;
    let wrong = module.exports.iter().filter_map(|export| {
        let expected = callback(&export.name, version)?;
        let is_wrong = export.is_function()
            && is_looked_up(&export.name, has)
            && !has_signature(&export.item, expected);
        is_wrong.then_some((export, expected))
    });
    for (export, expected) in wrong.take(MAX_COUNT) {
        let since = if expected.since > EnvoyVersion::OLDEST {
            format!(" since Envoy {}", expected.since)
        } else {
            String::new()
        };
        checked.error_since(
            expected.since,
            format!(
                "its export {} is {}, but proxies call it as {}{since}",
                expected.name, export.item, expected.signature
            ),
            BUILD_FOR_CURRENT_ABI,
        );
    }
    if !module
        .callbacks()
        .any(|name| name != "proxy_on_memory_allocate")
    {
        checked.warning(
            "it exports no callback, so a proxy never calls it",
            "export a proxy_on_… function for each event that it handles",
        );
    }
    if has("proxy_on_context_create") && !has("proxy_on_delete") {
        checked.warning(
            "it exports proxy_on_context_create without proxy_on_delete",
            "export both: proxy_on_delete frees what proxy_on_context_create allocates",
        );
    }
}

/// Envoy asks V8 for the names and types of all exports. V8 aborts the process if its C++ API does
/// not support one.
fn types(checked: &mut CheckedModule) {
    let exports = checked.module.exports.iter();
    checked.errors(
        "exports",
        exports.filter_map(|export| {
            let what = crashes(export)?;
            let name = excerpt(&export.name);
            Some((
                format!("its export {name} {what}, which crashes Envoy"),
                "do not export it: proxies call only functions whose parameters are numbers",
            ))
        }),
    );
}

fn crashes(export: &Export) -> Option<String> {
    /// The limit of a table is a signed number in V8's API.
    const MAX_LIMIT: u64 = i32::MAX as u64;
    if let Some(unknown) = export.item.type_unknown_to_v8() {
        return Some(format!("has the type {unknown}"));
    }
    if export.name.ends_with('\0') {
        return Some("has a name that ends with NUL".to_owned());
    }
    match &export.item {
        Item::Tag => Some("is a tag".to_owned()),
        Item::Table(table) => {
            let limit = table.maximum.filter(|limit| *limit > MAX_LIMIT)?;
            Some(format!("is a table of up to {limit} elements"))
        }
        _ => None,
    }
}
