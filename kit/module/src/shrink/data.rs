//! Removes unreferenced data, and zeros.
//!
//! Data that only a removed function used is still there: messages, tables of numbers, and vtables,
//! which keep functions alive. If the module has relocations, everything that cannot be reached is
//! replaced: data by zeros, functions by one that traps. No address changes. Memory is zero at
//! first, so long runs of zeros are removed from the module's data.

use std::collections::{BTreeMap, BTreeSet};

use walrus::ir::{Value, Visitor, dfs_in_order};
use walrus::{
    ConstExpr, DataId, DataKind, ExportItem, FunctionId, FunctionKind, GlobalKind, MemoryId, Module,
};

use super::function_table::{self, DirectCalls};
use super::references::{References, RelocationTarget};

/// The overhead of a data segment in bytes: its kind, its address, and its length.
const SEGMENT_OVERHEAD: usize = 8;

/// The functions and data of a module that the linker wrote.
pub struct LinkedModule {
    references: References,
    /// The functions, in the order of the indexes that the linker gave them.
    functions: Vec<FunctionId>,
}

/// The functions and data that can be reached.
#[derive(Default)]
struct Reached {
    functions: BTreeSet<FunctionId>,
    data_symbols: BTreeSet<u32>,
}

impl LinkedModule {
    /// Reads the references in a module. `module` is the decoded form of `bytes`. `None` if the
    /// references are not known or not complete: code outside the module may write its memory or
    /// call the functions in its table.
    pub fn read(bytes: &[u8], module: &Module) -> Option<Self> {
        let is_open = module.tables.iter().any(|table| table.import.is_some())
            || module
                .exports
                .iter()
                .any(|export| matches!(export.item, ExportItem::Table(_)));
        if is_open || module.memories.iter().any(|memory| memory.import.is_some()) {
            return None;
        }
        Some(Self {
            references: References::read(bytes)?,
            functions: module.funcs.iter().map(|function| function.id()).collect(),
        })
    }

    /// Replaces what cannot be reached. Returns the number of replaced functions and data symbols.
    pub fn clear(&self, module: &mut Module) -> usize {
        let reached = self.reach(module);
        // Functions that the linker did not write are traps that replaced others.
        let known: BTreeSet<FunctionId> = self.functions.iter().copied().collect();
        let removed: BTreeSet<FunctionId> = function_table::functions(module)
            .into_values()
            .filter(|function| known.contains(function) && !reached.functions.contains(function))
            .collect();
        if !removed.is_empty() {
            function_table::replace_by_trap(module, &removed);
        }
        let mut cleared = removed.len();
        let segments: Vec<DataId> = module.data.iter().map(|data| data.id()).collect();
        for id in segments {
            let data = module.data.get_mut(id);
            let Some(start) = start_address(&data.kind) else {
                continue;
            };
            let Ok(length) = u32::try_from(data.value.len()) else {
                continue;
            };
            let data_symbols = self
                .references
                .data_symbols
                .range(start..start.saturating_add(length));
            for (address, data_symbol) in data_symbols {
                let offset = (address - start) as usize;
                let end = offset + data_symbol.length as usize;
                let is_reached = reached.data_symbols.contains(address);
                if let Some(bytes) = data.value.get_mut(offset..end).filter(|_| !is_reached)
                    && bytes.iter().any(|byte| *byte != 0)
                {
                    bytes.fill(0);
                    cleared += 1;
                }
            }
        }
        cleared
    }

    fn reach(&self, module: &Module) -> Reached {
        let indexes: BTreeMap<FunctionId, u32> = self.functions.iter().copied().zip(0..).collect();
        let present: BTreeSet<FunctionId> =
            module.funcs.iter().map(|function| function.id()).collect();
        let mut reached = Reached::default();
        let mut functions: Vec<FunctionId> = module.start.into_iter().collect();
        let mut targets = self.references.roots.clone();
        for export in module.exports.iter() {
            match export.item {
                ExportItem::Function(function) => functions.push(function),
                // The value of the global is the address of an exported variable.
                ExportItem::Global(global) => {
                    if let GlobalKind::Local(ConstExpr::Value(Value::I32(address))) =
                        module.globals.get(global).kind
                    {
                        targets.push(RelocationTarget::Data(address.cast_unsigned()));
                    }
                }
                _ => {}
            }
        }
        loop {
            if let Some(function) = functions.pop() {
                if !present.contains(&function) || !reached.functions.insert(function) {
                    continue;
                }
                // Calls that the linker added have no relocations.
                if let FunctionKind::Local(local) = &module.funcs.get(function).kind {
                    let mut direct = DirectCalls::default();
                    dfs_in_order(&mut direct, local, local.entry_block());
                    functions.extend(direct.0);
                }
                let index = indexes.get(&function);
                let referred = index.and_then(|index| self.references.functions.get(index));
                targets.extend(referred.into_iter().flatten());
            } else if let Some(target) = targets.pop() {
                match target {
                    RelocationTarget::Function(index) => {
                        functions.extend(self.functions.get(index as usize));
                    }
                    RelocationTarget::Data(address) => {
                        if let Some((start, data_symbol)) = self.references.data_symbol_at(address)
                            && reached.data_symbols.insert(start)
                        {
                            targets.extend(&data_symbol.targets);
                        }
                    }
                }
            } else {
                return reached;
            }
        }
    }
}

/// The address of a segment in memory, if it is constant.
fn start_address(kind: &DataKind) -> Option<u32> {
    match kind {
        DataKind::Active {
            offset: ConstExpr::Value(Value::I32(start)),
            ..
        } => Some(start.cast_unsigned()),
        _ => None,
    }
}

/// Whether code refers to data segments.
#[derive(Default)]
struct Segments {
    are_referred_to: bool,
}

impl Visitor<'_> for Segments {
    fn visit_data_id(&mut self, _: &DataId) {
        self.are_referred_to = true;
    }
}

/// Removes zeros from the data if the memory is zero without them: the module defines the memory,
/// and no segment overlaps another.
pub fn remove_zeros(module: &mut Module) {
    let mut memories = module.memories.iter();
    let (Some(memory), None) = (memories.next(), memories.next()) else {
        return;
    };
    if memory.import.is_some() {
        return;
    }
    let memory = memory.id();
    drop(memories);
    let mut segments = Segments::default();
    for (_, function) in module.funcs.iter_local() {
        dfs_in_order(&mut segments, function, function.entry_block());
    }
    let mut places = Vec::new();
    for data in module.data.iter() {
        let Some(start) = start_address(&data.kind) else {
            return;
        };
        places.push((u64::from(start), data.value.len() as u64));
    }
    places.sort_unstable();
    let overlap = places
        .windows(2)
        .any(|pair| matches!(pair, [(start, length), (next, _)] if start + length > *next));
    if segments.are_referred_to || overlap {
        return;
    }
    let whole: Vec<DataId> = module.data.iter().map(|data| data.id()).collect();
    for id in whole {
        split(module, memory, id);
    }
}

fn split(module: &mut Module, memory: MemoryId, id: DataId) {
    let data = module.data.get(id);
    let Some(start) = start_address(&data.kind) else {
        return;
    };
    let parts: Vec<(u32, Vec<u8>)> = parts(&data.value)
        .filter_map(|(offset, part)| {
            Some((start.checked_add(offset.try_into().ok()?)?, part.to_vec()))
        })
        .collect();
    module.data.delete(id);
    module.memories.get_mut(memory).data_segments.remove(&id);
    for (start, part) in parts {
        let kind = DataKind::Active {
            memory,
            offset: ConstExpr::Value(Value::I32(start.cast_signed())),
        };
        let part = module.data.add(kind, part);
        module.memories.get_mut(memory).data_segments.insert(part);
    }
}

/// The parts of data between runs of zeros that are longer than the overhead of a segment, with
/// their offsets.
fn parts(data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut place = 0;
    std::iter::from_fn(move || {
        let rest = data.get(place..)?;
        let begin = place + rest.iter().position(|byte| *byte != 0)?;
        let mut end = begin;
        for (offset, byte) in data.iter().enumerate().skip(begin) {
            if *byte != 0 {
                end = offset + 1;
            } else if offset - end >= SEGMENT_OVERHEAD {
                break;
            }
        }
        place = end;
        Some((begin, data.get(begin..end)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_runs_of_zeros_are_removed() {
        let mut data = vec![0; 30];
        data.extend([1, 0, 0, 2]);
        data.extend([0; SEGMENT_OVERHEAD]);
        data.push(3);
        data.extend([0; SEGMENT_OVERHEAD + 1]);
        data.extend([4, 0]);
        let parts: Vec<_> = parts(&data).collect();
        let second = data.len() - 2;
        assert_eq!(
            parts,
            [(30, &data[30..43]), (second, &data[second..=second])]
        );
        assert_eq!(super::parts(&[0; 100]).count(), 0);
        assert_eq!(super::parts(&[]).count(), 0);
    }
}
