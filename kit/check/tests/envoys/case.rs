//! A module for testing which Envoy releases load it.

use proxy_wasm_abi::EnvoyVersion;

/// A module.
pub struct ModuleCase {
    /// A description of what it tests.
    pub name: String,
    /// Its bytes.
    pub module: Vec<u8>,
    /// Whether it crashes Envoy. It then gets an Envoy of its own.
    pub crashes: bool,
    /// The first release that rejects it. The check does not predict this: it says whether the
    /// newest release loads the module.
    pub rejected_since: Option<EnvoyVersion>,
}

/// The marker of ABI 0.2.1.
pub const MARKER: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;

/// A memory with the name that proxies look for.
pub const MEMORY: &str = r#"(memory (export "memory") 1)"#;

/// An allocator.
pub const ALLOCATOR: &str = r#"(func (export "malloc") (param i32) (result i32) i32.const 0)"#;

/// A host call.
pub const LOG: &str = r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))"#;

/// A start function with a host call.
pub const CALL_LOG: &str = r#"(func (export "_initialize")
    (drop (call $log (i32.const 2) (i32.const 0) (i32.const 1))))"#;

impl ModuleCase {
    /// A module in the text format, from its fields.
    pub fn new(name: impl Into<String>, fields: &[&str]) -> Self {
        let name = name.into();
        let text = format!("(module {})", fields.join("\n"));
        match wat::parse_str(&text) {
            Ok(module) => Self::binary(name, module),
            Err(error) => panic!("{name}: {error}"),
        }
    }

    /// A module that every Envoy loads, with these fields added. The fields are its name.
    pub fn with(fields: &str) -> Self {
        let (imports, fields) = if fields.starts_with("(import") {
            (fields, "")
        } else {
            ("", fields)
        };
        let name = [imports, fields].concat();
        Self::new(name, &[imports, MEMORY, MARKER, ALLOCATOR, fields])
    }

    /// A module in the binary format.
    pub fn binary(name: impl Into<String>, module: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            module,
            crashes: false,
            rejected_since: None,
        }
    }

    /// Sets whether the module crashes Envoy.
    pub fn crashing(self, crashes: bool) -> Self {
        Self { crashes, ..self }
    }
}
