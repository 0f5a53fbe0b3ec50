//! The module that ships: what it asks of a proxy.
#![cfg(not(target_family = "wasm"))]

use extension_kit::shrink::measure;
use extension_kit::testing::extension;
use wasmparser::{ExternalKind, Parser, Payload, Validator, WasmFeatures};

/// The names of the module's exports and imports.
fn names() -> (Vec<String>, Vec<String>) {
    let module = extension();
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module.bytes()) {
        match payload.expect("a module") {
            Payload::ExportSection(section) => {
                let section = section.into_iter().map(|export| export.expect("an export"));
                let functions = section.filter(|export| export.kind == ExternalKind::Func);
                exports.extend(functions.map(|export| export.name.to_owned()));
            }
            Payload::ImportSection(section) => {
                let section = section.into_iter().map(|import| import.expect("an import"));
                imports.extend(section.map(|import| format!("{}.{}", import.module, import.name)));
            }
            _ => {}
        }
    }
    exports.sort();
    imports.sort();
    (exports, imports)
}

#[test]
fn it_exports_what_it_implements_alone() {
    let (exports, _) = names();
    let callbacks: Vec<_> = exports
        .iter()
        .filter(|name| name.starts_with("proxy_on_"))
        .collect();
    assert_eq!(
        callbacks,
        [
            "proxy_on_configure",
            "proxy_on_context_create",
            "proxy_on_delete",
            "proxy_on_response_headers",
        ]
    );
}

#[test]
fn it_imports_what_it_calls_alone() {
    let (_, imports) = names();
    assert_eq!(
        imports,
        [
            "env.proxy_add_header_map_value",
            "env.proxy_get_buffer_bytes",
            "env.proxy_log",
        ]
    );
}

#[test]
fn its_memory_starts_with_two_pages() {
    assert_eq!(measure(extension().bytes()).expect("a module").pages, 2);
}

#[test]
fn it_needs_no_more_than_the_proxies_of_maistra_2_1_have() {
    // V8 8.9, of Envoy 1.17.
    let features = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::FLOATS;
    let mut validator = Validator::new_with_features(features);
    if let Err(error) = validator.validate_all(extension().bytes()) {
        panic!("{error}");
    }
}
