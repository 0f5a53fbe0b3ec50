//! Functions that are the same, byte for byte: one of each does.
//!
//! Compilers leave many: a method of a generic type that comes out the same for several types.

use std::collections::HashMap;

use anyhow::Result;
use walrus::ir::{VisitorMut, dfs_pre_order_mut};
use walrus::{ElementItems, ExportItem, FunctionId, Module, TypeId};
use wasmparser::{Parser, Payload};

use super::{emit, parse};
use crate::strip::slice;

/// Replaces each function by the first that is the same, until none is.
pub(super) fn merge(mut module: Module) -> Result<Module> {
    loop {
        let bytes = emit(module);
        module = parse(&bytes)?;
        let same = duplicates(&module, &bytes)?;
        if same.is_empty() {
            return Ok(module);
        }
        replace(&mut module, same);
        walrus::passes::gc::run(&mut module);
    }
}

/// Functions, and for each the first that is the same.
fn duplicates(module: &Module, bytes: &[u8]) -> Result<HashMap<FunctionId, FunctionId>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CodeSectionEntry(body) = payload? {
            bodies.push(slice(bytes, body.range()).unwrap_or_default());
        }
    }
    let mut first: HashMap<(TypeId, &[u8]), FunctionId> = HashMap::new();
    let mut same = HashMap::new();
    // A module that has just been read has its functions in the order of their bodies.
    for ((id, function), body) in module.funcs.iter_local().zip(bodies) {
        let original = *first.entry((function.ty(), body)).or_insert(id);
        if original != id {
            same.insert(id, original);
        }
    }
    Ok(same)
}

/// Replaces functions wherever they are called or referred to.
struct Replace(HashMap<FunctionId, FunctionId>);

impl VisitorMut for Replace {
    fn visit_function_id_mut(&mut self, function: &mut FunctionId) {
        if let Some(original) = self.0.get(function) {
            *function = *original;
        }
    }
}

fn replace(module: &mut Module, same: HashMap<FunctionId, FunctionId>) {
    let mut replace = Replace(same);
    for (_, function) in module.funcs.iter_local_mut() {
        let start = function.entry_block();
        dfs_pre_order_mut(&mut replace, function, start);
    }
    for element in module.elements.iter_mut() {
        if let ElementItems::Functions(functions) = &mut element.items {
            for function in functions {
                replace.visit_function_id_mut(function);
            }
        }
    }
    for export in module.exports.iter_mut() {
        if let ExportItem::Function(function) = &mut export.item {
            replace.visit_function_id_mut(function);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_stays_and_all_ways_lead_to_it() -> Result<()> {
        let module = wat::parse_str(
            r#"(module
              (table (export "table") 2 funcref)
              (elem (i32.const 0) $second $third)
              (func $first (result i32) (i32.const 7))
              (func $second (result i32) (i32.const 7))
              (func $third (result i32) (i32.const 8))
              (func $caller (result i32) (call $second))
              (func $same_caller (result i32) (call $first))
              (export "a" (func $caller))
              (export "b" (func $same_caller)))"#,
        )?;
        let merged = merge(parse(&module)?)?;
        assert_eq!(merged.funcs.iter().count(), 3);
        let function = |name: &str| merged.exports.get_func(name);
        assert_eq!(function("a")?, function("b")?);
        Ok(())
    }
}
