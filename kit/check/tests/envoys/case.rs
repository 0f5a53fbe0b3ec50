//! A module that an Envoy loads or does not load.

use proxy_wasm_abi::EnvoyVersion;

/// A module.
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// Its bytes.
    pub module: Vec<u8>,
    /// Whether it crashes an Envoy. It then gets one of its own.
    pub crashes: bool,
    /// The release that began to reject it. The check does not tell: it says whether the newest
    /// release loads the module.
    pub rejected_since: Option<EnvoyVersion>,
}

/// The marker of ABI 0.2.1.
pub const MARKER: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;

/// A memory, as proxies find it.
pub const MEMORY: &str = r#"(memory (export "memory") 1)"#;

/// An allocator.
pub const ALLOCATOR: &str = r#"(func (export "malloc") (param i32) (result i32) i32.const 0)"#;

/// A host call.
pub const LOG: &str = r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))"#;

/// A start function with a host call.
pub const CALL_LOG: &str = r#"(func (export "_initialize")
    (drop (call $log (i32.const 2) (i32.const 0) (i32.const 1))))"#;

impl Case {
    /// A module in the text format, by its fields.
    pub fn new(name: impl Into<String>, fields: &[&str]) -> Self {
        let name = name.into();
        let text = format!("(module {})", fields.join("\n"));
        match wat::parse_str(&text) {
            Ok(module) => Self::binary(name, module),
            Err(error) => panic!("{name}: {error}"),
        }
    }

    /// A module that every Envoy loads, and one thing more. Its name is this text.
    pub fn with(fields: &str) -> Self {
        let (imports, fields) = if fields.starts_with("(import") {
            (fields, "")
        } else {
            ("", fields)
        };
        let name = [imports, fields].concat();
        Self::new(name, &[imports, MEMORY, MARKER, ALLOCATOR, fields])
    }

    /// The bytes of a module.
    pub fn binary(name: impl Into<String>, module: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            module,
            crashes: false,
            rejected_since: None,
        }
    }

    /// The same module, which crashes an Envoy if this is so.
    pub fn crashing(self, crashes: bool) -> Self {
        Self { crashes, ..self }
    }
}
