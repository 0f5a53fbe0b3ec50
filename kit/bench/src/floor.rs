//! Modules written by hand, which show what crossing into a module costs when nothing is in it.

use std::fmt::Write;

use anyhow::{Context, Result};
use wasmparser::ValType;

use crate::module::{Item, Module};

/// The callback in which the headers are appended.
const APPENDING: &str = "proxy_on_response_headers";

/// Callbacks that answer whether all is well.
const ANSWERING_YES: [&str; 3] = ["proxy_on_vm_start", "proxy_on_configure", "proxy_on_done"];

/// Where memory that the proxy asks for begins. What is in it is never read.
const FREE_MEMORY: u32 = 65536;

/// A module with one callback, which makes one host call for each header and nothing else.
///
/// # Errors
///
/// When the module does not come out.
pub fn smallest(headers: &[(String, String)]) -> Result<Vec<u8>> {
    assemble(headers, "")
}

/// The same with every callback of another module, each of which returns at once.
///
/// # Errors
///
/// When the other is no module.
pub fn with_callbacks_of(module: &[u8], headers: &[(String, String)]) -> Result<Vec<u8>> {
    let mut callbacks = String::new();
    for export in Module::read(module)?.exports {
        let Item::Function(signature) = &export.item else {
            continue;
        };
        if !export.name.starts_with("proxy_on_")
            || [APPENDING, "proxy_on_memory_allocate"].contains(&export.name.as_str())
        {
            continue;
        }
        let parameters: String = signature
            .parameters
            .iter()
            .map(|t| format!(" {t}"))
            .collect();
        let results = match signature.results.as_slice() {
            [ValType::I32] => {
                let answer = i32::from(ANSWERING_YES.contains(&export.name.as_str()));
                format!("(result i32) i32.const {answer}")
            }
            _ => String::new(),
        };
        writeln!(
            callbacks,
            "(func (export \"{}\") (param{parameters}) {results})",
            export.name
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
        // 2 stands for the response's headers.
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
    wat::parse_str(text).context("a module by hand does not come out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::subject::Workload;

    #[test]
    fn a_module_by_hand_has_the_callbacks_that_it_is_told() -> Result<()> {
        let headers = Workload::new(100, None).headers;
        let smallest = smallest(&headers)?;
        let facts = Module::read(&smallest)?;
        let callbacks = |module: &Module| {
            let names = module.exports.iter().map(|export| export.name.clone());
            names.filter(|name| name.starts_with("proxy_on_")).count()
        };
        assert_eq!(callbacks(&facts), 2);
        assert_eq!(facts.imports.len(), 1);

        let other = wat::parse_str(
            "(module (func (export \"proxy_on_done\") (param i32) (result i32) i32.const 0)
                     (func (export \"proxy_on_delete\") (param i32)))",
        )?;
        let more = with_callbacks_of(&other, &headers)?;
        assert_eq!(callbacks(&Module::read(&more)?), 4);
        Ok(())
    }
}
