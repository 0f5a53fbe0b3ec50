//! The imports: host calls and WASI functions.

use std::collections::BTreeMap;

use proxy_wasm_abi::{
    AbiVersion, EnvoyVersion, Function, HOST_MODULE, WASI_MODULES, host_function,
};
use proxy_wasm_module::{Import, Item};

use super::checked_module::{BUILD_FOR_CURRENT_ABI, CheckedModule, has_signature};
use crate::report::excerpt;

/// The maximum number of names in one finding.
const MAX_LISTED: usize = 3;

pub fn check(checked: &mut CheckedModule) {
    let version = checked.version;
    let imports = checked.module.imports.iter();
    checked.errors(
        "imports",
        imports.filter_map(|import| import_error(import, version)),
    );
    check_newer(checked);
}

/// The problem with an import, and its remedy. Envoy may create memories and tables.
fn import_error(import: &Import, version: AbiVersion) -> Option<(String, &'static str)> {
    let offered = offered(import, version);
    if offered.is_some_and(|function| has_signature(&import.item, function))
        || matches!(import.item, Item::Memory(_) | Item::Table(_))
    {
        return None;
    }
    let full = format!("{}.{}", import.module, import.name);
    Some(if let Some(function) = offered {
        (
            format!(
                "it imports {full} as {}, but proxies offer it as {}",
                import.item, function.signature
            ),
            if import.module == HOST_MODULE {
                BUILD_FOR_CURRENT_ABI
            } else {
                "remove the code that calls it, or compile it for WASI preview 1"
            },
        )
    } else if let Some(versions) = other_versions(import) {
        (
            format!("it imports {full}, which proxies offer only to ABI {versions}"),
            BUILD_FOR_CURRENT_ABI,
        )
    } else {
        (
            format!("it imports {}, which no proxy offers", excerpt(&full)),
            advice(&import.module, &import.name),
        )
    })
}

/// Reports imports that the Envoy in a reader's newest release does not offer yet.
fn check_newer(checked: &mut CheckedModule) {
    let mut newer: BTreeMap<EnvoyVersion, Vec<String>> = BTreeMap::new();
    for import in &checked.module.imports {
        if let Some(function) = offered(import, checked.version)
            && has_signature(&import.item, function)
        {
            let name = format!("{}.{}", import.module, import.name);
            newer.entry(function.since).or_default().push(name);
        }
    }
    for (since, mut names) in newer {
        names.dedup();
        let more = match names.len().saturating_sub(MAX_LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        names.truncate(MAX_LISTED);
        let problem = format!(
            "it imports {}{more}, which Envoy offers since {since}",
            names.join(", ")
        );
        let remedy = "to run it there, remove the code that calls it, or use an older \
                      compiler or SDK";
        checked.needs(since, false, problem, remedy);
    }
}

/// The function that a proxy offers as an import.
pub fn offered(import: &Import, version: AbiVersion) -> Option<&'static Function> {
    host_function(&import.module, &import.name, version)
}

/// The ABI versions that have a function of this name, if there are any.
fn other_versions(import: &Import) -> Option<String> {
    let versions: Vec<_> = AbiVersion::ALL
        .iter()
        .filter(|version| offered(import, **version).is_some())
        .map(ToString::to_string)
        .collect();
    (!versions.is_empty()).then(|| versions.join(" and "))
}

/// The remedy for an import that no proxy offers, by its usual cause.
fn advice(module: &str, name: &str) -> &'static str {
    if module == HOST_MODULE && name == "abort" {
        "compile AssemblyScript with --use abort=abort_proc_exit"
    } else if WASI_MODULES.contains(&module) {
        "remove the code that calls it: a proxy offers only a part of WASI preview 1"
    } else if module.starts_with("__wbindgen") || module == "wbg" {
        "remove the crate for browsers (wasm-bindgen); cargo tree -i wasm-bindgen shows what \
             depends on it"
    } else if module.starts_with("wasi:") {
        "compile for WASI preview 1 or without WASI: proxies do not support later versions"
    } else {
        "remove the call, or link the library that defines it"
    }
}
