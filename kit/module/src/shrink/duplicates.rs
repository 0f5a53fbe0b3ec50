//! Merges functions that are identical, byte for byte.
//!
//! Compilers emit many of them, for example a generic method whose code is the same for several
//! types.

use std::collections::HashMap;

use walrus::ir::{VisitorMut, dfs_pre_order_mut};
use walrus::{ElementItems, ExportItem, FunctionId, Module, TypeId};
use wasmparser::{Parser, Payload};

use super::codec::{decode, encode};
use crate::error::Error;
use crate::sections::slice;

/// Replaces each function by the first identical one, until no more functions are removed: the
/// callers of merged functions may have become identical.
pub fn merge(mut module: Module) -> Result<Module, Error> {
    loop {
        let bytes = encode(module);
        module = decode(&bytes)?;
        let duplicates = duplicates(&module, &bytes)?;
        if duplicates.is_empty() {
            return Ok(module);
        }
        let before = module.funcs.iter().count();
        replace(&mut module, duplicates);
        walrus::passes::gc::run(&mut module);
        if module.funcs.iter().count() == before {
            return Ok(module);
        }
    }
}

/// The functions that are identical to an earlier one, with the first such function.
fn duplicates(module: &Module, bytes: &[u8]) -> Result<HashMap<FunctionId, FunctionId>, Error> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(Error::rewrite)?;
        if let Payload::CodeSectionEntry(body) = payload {
            bodies.push(slice(bytes, body.range()).unwrap_or_default());
        }
    }
    let mut first: HashMap<(TypeId, &[u8]), FunctionId> = HashMap::new();
    let mut duplicates = HashMap::new();
    // The functions of a module that has just been decoded are in the order of their bodies.
    for ((id, function), body) in module.funcs.iter_local().zip(bodies) {
        let original = *first.entry((function.ty(), body)).or_insert(id);
        if original != id {
            duplicates.insert(id, original);
        }
    }
    Ok(duplicates)
}

/// Replaces functions where they are called or referred to, except in constant expressions.
struct Replace(HashMap<FunctionId, FunctionId>);

impl VisitorMut for Replace {
    fn visit_function_id_mut(&mut self, function: &mut FunctionId) {
        if let Some(original) = self.0.get(function) {
            *function = *original;
        }
    }
}

fn replace(module: &mut Module, duplicates: HashMap<FunctionId, FunctionId>) {
    let mut replace = Replace(duplicates);
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
    if let Some(function) = &mut module.start {
        replace.visit_function_id_mut(function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_of_identical_functions_replaces_the_others() {
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
        )
        .expect("valid");
        let merged = merge(decode(&module).expect("valid")).expect("merged");
        assert_eq!(merged.funcs.iter().count(), 3);
        let function = |name: &str| merged.exports.get_func(name).expect(name);
        assert_eq!(function("a"), function("b"));
    }

    #[test]
    fn start_function_is_replaced() {
        let module = wat::parse_str(r#"(module (func (export "a")) (func $start) (start $start))"#);
        let merged = merge(decode(&module.expect("valid")).expect("valid")).expect("merged");
        assert_eq!(merged.funcs.iter().count(), 1);
        assert_eq!(merged.start, merged.exports.get_func("a").ok());
    }

    #[test]
    fn duplicate_in_a_constant_expression_is_kept() {
        let module = wat::parse_str(
            r#"(module
              (func (export "a"))
              (func $b)
              (global (export "b") funcref (ref.func $b)))"#,
        );
        let merged = merge(decode(&module.expect("valid")).expect("valid")).expect("merged");
        assert_eq!(merged.funcs.iter().count(), 2);
    }
}
