//! The module's function table.

use std::collections::{BTreeMap, BTreeSet};

use walrus::ir::{Value, Visitor};
use walrus::{ConstExpr, ElementItems, ElementKind, FunctionBuilder, FunctionId, Module};

/// The functions in the table, by index.
pub type Functions = BTreeMap<u32, FunctionId>;

pub fn functions(module: &Module) -> Functions {
    let mut functions = Functions::new();
    for element in module.elements.iter() {
        let (
            ElementKind::Active {
                offset: ConstExpr::Value(Value::I32(offset)),
                ..
            },
            ElementItems::Functions(items),
        ) = (&element.kind, &element.items)
        else {
            continue;
        };
        functions.extend((offset.cast_unsigned()..=u32::MAX).zip(items.iter().copied()));
    }
    functions
}

/// Replaces functions in the table by one that traps. The indexes of the others do not change.
pub fn replace_by_trap(module: &mut Module, removed: &BTreeSet<FunctionId>) {
    let mut builder = FunctionBuilder::new(&mut module.types, &[], &[]);
    builder.name("unreachable_method".to_owned());
    builder.func_body().unreachable();
    let trap = builder.finish(Vec::new(), &mut module.funcs);
    for element in module.elements.iter_mut() {
        if let ElementItems::Functions(functions) = &mut element.items {
            for function in functions {
                if removed.contains(function) {
                    *function = trap;
                }
            }
        }
    }
}

/// The functions that code calls directly or whose references it takes.
#[derive(Default)]
pub struct DirectCalls(pub BTreeSet<FunctionId>);

impl Visitor<'_> for DirectCalls {
    fn visit_function_id(&mut self, function: &FunctionId) {
        self.0.insert(*function);
    }
}
