//! The kinds of imports and exports: functions, memories, tables, globals and tags.

use std::fmt;

use proxy_wasm_abi::ValueType;
use wasmparser::types::{EntityType, Types};
use wasmparser::{AbstractHeapType, CompositeInnerType, HeapType, ValType};

use crate::memory::{Memory, Table};

/// The kind of an import or export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A function.
    Function(FunctionType),
    /// A linear memory.
    Memory(Memory),
    /// A table.
    Table(Table),
    /// A global variable.
    Global(Global),
    /// An exception tag.
    Tag,
}

/// The parameters and results of a function in a module.
///
/// It is displayed like a [`Signature`](proxy_wasm_abi::Signature): `(i32, i64) -> i32`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionType {
    parameters: Vec<ValType>,
    results: Vec<ValType>,
}

/// A global variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Global {
    content: ValType,
}

impl Item {
    pub(crate) fn new(types: &Types, entity: EntityType) -> Self {
        match entity {
            EntityType::Func(id) | EntityType::FuncExact(id) => {
                match &types.as_ref()[id].composite_type.inner {
                    CompositeInnerType::Func(function) => Self::Function(FunctionType {
                        parameters: function.params().to_vec(),
                        results: function.results().to_vec(),
                    }),
                    // In a valid module, the type of a function is a function type.
                    _ => Self::Function(FunctionType::default()),
                }
            }
            EntityType::Memory(memory) => Self::Memory(Memory::new(memory)),
            EntityType::Table(table) => Self::Table(Table::new(table)),
            EntityType::Global(global) => Self::Global(Global {
                content: global.content_type,
            }),
            EntityType::Tag(_) => Self::Tag,
        }
    }

    /// The first type in a function, table or global that V8's C++ API does not support, for
    /// example `v128`. It supports numbers, `funcref` and `externref`.
    ///
    /// Envoy uses this API and crashes when it loads a module that exports such a type.
    pub fn type_unknown_to_v8(&self) -> Option<String> {
        let types: Vec<ValType> = match self {
            Self::Function(it) => [&it.parameters[..], &it.results].concat(),
            Self::Table(table) => vec![ValType::Ref(table.element)],
            Self::Global(global) => vec![global.content],
            Self::Memory(_) | Self::Tag => Vec::new(),
        };
        types
            .into_iter()
            .find(|value_type| !is_known_to_v8(*value_type))
            .map(|value_type| value_type.to_string())
    }
}

fn is_known_to_v8(value_type: ValType) -> bool {
    match value_type {
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => true,
        ValType::V128 => false,
        ValType::Ref(reference) => matches!(
            reference.heap_type(),
            HeapType::Abstract {
                shared: false,
                ty: AbstractHeapType::Func | AbstractHeapType::Extern,
            }
        ),
    }
}

impl FunctionType {
    /// Whether this is the signature of an ABI function.
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

impl fmt::Display for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Function(signature) => write!(formatter, "{signature}"),
            Self::Memory(_) => formatter.write_str("a memory"),
            Self::Table(_) => formatter.write_str("a table"),
            Self::Global(_) => formatter.write_str("a global"),
            Self::Tag => formatter.write_str("a tag"),
        }
    }
}

impl fmt::Display for FunctionType {
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
    fn function_type_matches_only_the_same_types() {
        use ValType::{F64, I32, I64};
        let function = host_function("env", "proxy_increment_metric", AbiVersion::V0_2_1);
        let expected = &function.expect("a host call").signature;
        let matches = |parameters: &[ValType], results: &[ValType]| {
            let signature = FunctionType {
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

    #[test]
    fn v8_supports_numbers_funcref_and_externref() {
        let unknown = |content| Item::Global(Global { content }).type_unknown_to_v8();
        for known in [ValType::F64, ValType::FUNCREF, ValType::EXTERNREF] {
            assert_eq!(unknown(known), None);
        }
        assert_eq!(unknown(ValType::V128).as_deref(), Some("v128"));
        let function = Item::Function(FunctionType {
            parameters: vec![ValType::I32],
            results: vec![ValType::Ref(wasmparser::RefType::ANYREF)],
        });
        assert_eq!(function.type_unknown_to_v8().as_deref(), Some("anyref"));
    }
}
