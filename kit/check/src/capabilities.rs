//! The capabilities of a module: Envoy's `capability_restriction_config`.

use proxy_wasm_abi::{AbiVersion, HOST_MODULE, callback, host_function, is_looked_up};
use proxy_wasm_module::ModuleInfo;

/// Envoy restricts host calls and callbacks with this prefix, and WASI functions. It always allows
/// the start functions, `malloc`, and functions that are not in the specification.
const PREFIX: &str = "proxy_";

/// The allocator. Envoy always allows it, like `malloc`.
const ALLOCATOR: &str = "proxy_on_memory_allocate";

/// Envoy looks for this callback, but never calls it.
const NEVER_CALLED: &str = "proxy_validate_configuration";

/// The capabilities that a module needs: imports, then callbacks, both in the order of the module.
pub fn of(module: &ModuleInfo, version: AbiVersion) -> Vec<&'static str> {
    let imports = module.imports.iter().filter_map(|import| {
        let name = host_function(&import.module, &import.name, version)?.name;
        (import.module != HOST_MODULE || name.starts_with(PREFIX)).then_some(name)
    });
    let has = |name: &str| module.has_function(name);
    let callbacks = module.exports.iter().filter_map(|export| {
        let name = callback(&export.name, version)?.name;
        let is_called = export.is_function()
            && name.starts_with(PREFIX)
            && ![ALLOCATOR, NEVER_CALLED].contains(&name)
            && is_looked_up(name, has);
        is_called.then_some(name)
    });
    let mut names = Vec::new();
    for name in imports.chain(callbacks) {
        // WASI has two module names, with the same functions.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The Envoy configuration that allows only these capabilities, in YAML, for Envoy 1.40 and for
/// older releases.
///
/// `None` without capabilities: in Envoy, an empty list allows everything.
pub fn restriction(capabilities: &[&str]) -> Option<String> {
    if capabilities.is_empty() {
        return None;
    }
    let list = |indentation: &str| -> String {
        capabilities
            .iter()
            .map(|name| format!("{indentation}{name}: {{}}\n"))
            .collect()
    };
    Some(format!(
        "# Envoy 1.40 and later:\n\
         vm_config:\n  capability_restriction_config:\n    allowed_capabilities:\n{}\n\
         # Envoy 1.39 and older, beside vm_config:\n\
         capability_restriction_config:\n  allowed_capabilities:\n{}",
        list("      "),
        list("    ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(marker: &str, text: &str) -> Vec<&'static str> {
        let text = format!("(module {text} (func (export \"proxy_abi_version_{marker}\")))");
        let module = ModuleInfo::read(&wat::parse_str(&text).expect(&text)).expect(&text);
        of(&module, module.abi_version().expect(marker))
    }

    #[test]
    fn host_calls_wasi_functions_and_callbacks_are_capabilities() {
        let text = r#"
            (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
            (import "env" "pthread_equal" (func (param i32 i32) (result i32)))
            (import "env" "abort" (func))
            (import "wasi_unstable" "proc_exit" (func (param i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (func (export "_initialize"))
            (func (export "malloc") (param i32) (result i32) i32.const 0)
            (func (export "proxy_on_tick") (param i32))
            (func (export "proxy_validate_configuration") (param i32 i32) (result i32) i32.const 0)
            (func (export "proxy_on_unknown"))"#;
        assert_eq!(
            capabilities("0_2_1", text),
            ["proxy_log", "proc_exit", "proxy_on_tick"]
        );
    }

    #[test]
    fn allocator_is_always_allowed() {
        let text = r#"
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)"#;
        assert_eq!(capabilities("0_2_0", text), [""; 0]);
        assert_eq!(restriction(&[]), None);
    }

    #[test]
    fn capabilities_are_those_of_the_abi_version() {
        let text = r#"(import "env" "proxy_continue_request" (func (result i32)))
            (func (export "proxy_on_foreign_function") (param i32 i32 i32))"#;
        assert_eq!(capabilities("0_1_0", text), ["proxy_continue_request"]);
        assert_eq!(capabilities("0_2_1", text), ["proxy_on_foreign_function"]);
    }

    #[test]
    fn restriction_can_be_pasted() {
        assert_eq!(
            restriction(&["proxy_log"]).as_deref(),
            Some(
                "# Envoy 1.40 and later:\n\
                 vm_config:\n\
                 \x20 capability_restriction_config:\n\
                 \x20   allowed_capabilities:\n\
                 \x20     proxy_log: {}\n\
                 \n\
                 # Envoy 1.39 and older, beside vm_config:\n\
                 capability_restriction_config:\n\
                 \x20 allowed_capabilities:\n\
                 \x20   proxy_log: {}\n"
            )
        );
    }
}
