//! Modules written by hand. They append headers that are constants, and do nothing else, so that
//! they show the cost of the calls between Envoy and a module.

use std::fmt::Write;

use anyhow::{Context, Result};
use proxy_wasm_abi::AbiVersion;
use proxy_wasm_module::ModuleInfo;

/// The callback that appends the headers.
const APPENDING: &str = "proxy_on_response_headers";

/// Callbacks that return true if all is well.
const RETURNING_TRUE: [&str; 3] = ["proxy_on_vm_start", "proxy_on_configure", "proxy_on_done"];

/// The start of the memory that the proxy allocates. Its content is never read.
const FREE_MEMORY: u32 = 65536;

/// A module with one callback, which makes one host call for each header.
///
/// # Errors
///
/// If the module cannot be assembled.
pub fn one_callback(headers: &[(String, String)]) -> Result<Vec<u8>> {
    assemble(headers, "")
}

/// The same with all callbacks of another module, each of which returns at once.
///
/// # Errors
///
/// If the other is not a module.
pub fn same_callbacks(module: &[u8], headers: &[(String, String)]) -> Result<Vec<u8>> {
    let mut callbacks = String::new();
    for name in ModuleInfo::read(module)?.callbacks() {
        let Some(callback) = proxy_wasm_abi::callback(name, AbiVersion::V0_2_1) else {
            continue;
        };
        if [APPENDING, "proxy_on_memory_allocate"].contains(&name) {
            continue;
        }
        let parameters = callback.signature.parameters.iter();
        let parameters: String = parameters
            .map(|parameter| format!(" {}", parameter.value_type))
            .collect();
        let result = if callback.signature.result.is_some() {
            let value = i32::from(RETURNING_TRUE.contains(&name));
            format!("(result i32) i32.const {value}")
        } else {
            String::new()
        };
        writeln!(
            callbacks,
            "(func (export \"{name}\") (param{parameters}) {result})"
        )?;
    }
    assemble(headers, &callbacks)
}

fn assemble(headers: &[(String, String)], callbacks: &str) -> Result<Vec<u8>> {
    let mut data = String::new();
    let mut calls = String::new();
    let mut place = |text: &str| {
        let start = data.len();
        data.push_str(text);
        (start, text.len())
    };
    for (name, value) in headers {
        let ((name, name_length), (value, value_length)) = (place(name), place(value));
        // 2 is the map of the response's headers.
        writeln!(
            calls,
            "(drop (call $add (i32.const 2) (i32.const {name}) (i32.const {name_length}) \
             (i32.const {value}) (i32.const {value_length})))"
        )?;
    }
    let text = format!(
        "(module
           (import \"env\" \"proxy_add_header_map_value\"
             (func $add (param i32 i32 i32 i32 i32) (result i32)))
           (memory (export \"memory\") 2)
           (data (i32.const 0) \"{data}\")
           (func (export \"proxy_abi_version_0_2_1\"))
           (func (export \"proxy_on_memory_allocate\") (param i32) (result i32)
             i32.const {FREE_MEMORY})
           (func (export \"{APPENDING}\") (param i32 i32 i32) (result i32)
             {calls} i32.const 0)
           {callbacks})"
    );
    wat::parse_str(text).context("cannot assemble a module written by hand")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Workload;

    fn callbacks(module: &[u8]) -> Result<Vec<String>> {
        let module = ModuleInfo::read(module)?;
        Ok(module.callbacks().map(str::to_owned).collect())
    }

    #[test]
    fn smallest_module_exports_one_callback_and_imports_one_host_call() -> Result<()> {
        let module = one_callback(&Workload::new(100, None).headers)?;
        assert_eq!(callbacks(&module)?, ["proxy_on_memory_allocate", APPENDING]);
        assert_eq!(ModuleInfo::read(&module)?.imports.len(), 1);
        Ok(())
    }

    #[test]
    fn callbacks_of_another_module_are_added() -> Result<()> {
        let other = wat::parse_str(
            "(module (func (export \"proxy_on_done\") (param i32) (result i32) i32.const 0)
                     (func (export \"proxy_on_delete\") (param i32)))",
        )?;
        let module = same_callbacks(&other, &Workload::new(1, None).headers)?;
        let callbacks = callbacks(&module)?;
        assert_eq!(callbacks.len(), 4);
        assert_eq!(callbacks[2..], ["proxy_on_done", "proxy_on_delete"]);
        Ok(())
    }
}
