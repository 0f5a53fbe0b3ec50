//! What the template's module needs from a proxy.

use proxy_wasm_abi::EnvoyVersion;
use proxy_wasm_e2e::extension;
use proxy_wasm_module::{ModuleInfo, measure};

fn facts() -> ModuleInfo {
    ModuleInfo::read(extension().bytes()).expect("a module")
}

#[test]
fn exports_only_implemented_callbacks() {
    let facts = facts();
    let exports = facts.exports.iter().map(|export| export.name.as_str());
    let mut callbacks: Vec<_> = exports
        .filter(|name| name.starts_with("proxy_on_"))
        .collect();
    callbacks.sort_unstable();
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
fn imports_only_used_host_calls() {
    let facts = facts();
    let mut imports: Vec<_> = facts.imports.iter().map(|import| &import.name).collect();
    imports.sort_unstable();
    assert_eq!(
        imports,
        [
            "proxy_add_header_map_value",
            "proxy_get_buffer_bytes",
            "proxy_log",
        ]
    );
}

#[test]
fn memory_starts_with_two_pages() {
    assert_eq!(measure(extension().bytes()).expect("a module").pages, 2);
}

#[test]
fn module_loads_in_maistra_2_1() {
    for proposal in facts().proposals {
        assert_eq!(proposal.since, EnvoyVersion::OLDEST, "{}", proposal.name);
    }
}
