//! What a module imports and exports: functions, memories, tables, globals and tags.

use std::fmt;

use proxy_wasm_abi::ValueType;
use wasmparser::types::{EntityType, Types};
use wasmparser::{CompositeInnerType, MemoryType, ValType};

/// The kind of an import or export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A function.
    Function(Signature),
    /// A linear memory.
    Memory(Memory),
    /// A table.
    Table,
    /// A global variable.
    Global,
    /// A tag of exceptions.
    Tag,
}

/// The parameters and results of a function in a module.
///
/// Its text is that of the WebAssembly text format: `(i32, i64) -> i32`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    parameters: Vec<ValType>,
    results: Vec<ValType>,
}

/// The size of a linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Its size when the module starts, in bytes.
    pub initial: u64,
    /// The size to which it can grow, in bytes. `None` if the module sets no limit.
    pub maximum: Option<u64>,
}

impl Item {
    pub(crate) fn new(types: &Types, entity: EntityType) -> Self {
        match entity {
            EntityType::Func(id) | EntityType::FuncExact(id) => {
                match &types.as_ref()[id].composite_type.inner {
                    CompositeInnerType::Func(function) => Self::Function(Signature {
                        parameters: function.params().to_vec(),
                        results: function.results().to_vec(),
                    }),
                    // In a valid module, the type of a function is a function type.
                    _ => Self::Function(Signature::default()),
                }
            }
            EntityType::Memory(memory) => Self::Memory(Memory::new(memory)),
            EntityType::Table(_) => Self::Table,
            EntityType::Global(_) => Self::Global,
            EntityType::Tag(_) => Self::Tag,
        }
    }
}

impl Signature {
    /// Whether this is the signature of a function of the ABI.
    ///
    /// A proxy rejects a module whose import or callback has another one.
    pub fn matches(&self, expected: &proxy_wasm_abi::Signature) -> bool {
        match (abi_types(&self.parameters), abi_types(&self.results)) {
            (Some(parameters), Some(results)) => expected.matches(&parameters, &results),
            _ => false,
        }
    }
}

/// `None` if one of the types is not a type of the ABI.
fn abi_types(types: &[ValType]) -> Option<Vec<ValueType>> {
    types
        .iter()
        .map(|value_type| match value_type {
            ValType::I32 => Some(ValueType::I32),
            ValType::I64 => Some(ValueType::I64),
            _ => None,
        })
        .collect()
}

impl Memory {
    fn new(memory: MemoryType) -> Self {
        let bytes = |pages: u64| {
            let page_size_log2 = memory.page_size_log2.unwrap_or(16).min(16);
            pages.saturating_mul(1 << page_size_log2)
        };
        Self {
            initial: bytes(memory.initial),
            maximum: memory.maximum.map(bytes),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Function(signature) => write!(formatter, "{signature}"),
            Self::Memory(_) => formatter.write_str("a memory"),
            Self::Table => formatter.write_str("a table"),
            Self::Global => formatter.write_str("a global"),
            Self::Tag => formatter.write_str("a tag"),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let list = |types: &[ValType]| {
            let names: Vec<_> = types.iter().map(ToString::to_string).collect();
            names.join(", ")
        };
        write!(formatter, "({})", list(&self.parameters))?;
        if !self.results.is_empty() {
            write!(formatter, " -> {}", list(&self.results))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proxy_wasm_abi::{AbiVersion, host_function};

    use super::*;

    #[test]
    fn only_the_same_types_match() {
        use ValType::{F64, I32, I64};
        let function = host_function("env", "proxy_increment_metric", AbiVersion::V0_2_1);
        let expected = &function.expect("a host call").signature;
        let matches = |parameters: &[ValType], results: &[ValType]| {
            let signature = Signature {
                parameters: parameters.to_vec(),
                results: results.to_vec(),
            };
            signature.matches(expected)
        };
        assert!(matches(&[I32, I64], &[I32]));
        assert!(!matches(&[I32, I32], &[I32]));
        assert!(!matches(&[I32, F64], &[I32]));
        assert!(!matches(&[I32, I64], &[]));
        assert!(!matches(&[I32, I64], &[ValType::FUNCREF]));
    }
}
