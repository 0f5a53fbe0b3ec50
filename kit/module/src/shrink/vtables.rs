//! Removes methods that are never called through a trait object.
//!
//! A trait object's vtable has a slot for each method of the trait. It is in the module's data, and
//! each slot holds an index into the module's function table. A call through a trait object reads
//! the slot at a fixed offset from the start of the vtable, and calls the function with a fixed
//! signature. So a function can be called only if a call has its signature, and if that call's
//! offset, added to an address in the module, is a slot with the function.
//!
//! If there is no such call of a method that only extensions call, a function that traps replaces
//! the method in the table. Then the method is removed, with the host call that it makes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use walrus::ir::{Instr, InstrSeq, LoadKind, Value, Visitor, dfs_in_order};
use walrus::{
    ConstExpr, DataKind, ExportItem, FunctionId, FunctionKind, LocalFunction, LocalId, Module,
    TypeId,
};

use super::function_table::{DirectCalls, Functions, functions, replace_by_trap};
use super::sdk;

/// The aligned words of a module's data, by address.
type Words = BTreeMap<u32, u32>;

/// The length of a vtable's header: drop, size, alignment.
const HEADER_LENGTH: u32 = 12;

/// The sources of the values of a function's local variables that can be function indexes. Rust
/// does not calculate with function indexes: it loads them as words, copies them, or has them as
/// constants.
#[derive(Default)]
struct Variables {
    sources: BTreeMap<LocalId, Vec<IndexSource>>,
}

/// The source of a function index.
#[derive(Clone, Copy)]
enum IndexSource {
    /// A word that is loaded at this offset from an address.
    Load(u32),
    /// A constant.
    Constant(u32),
    /// Another variable.
    Copy(LocalId),
    /// An argument, or anything else.
    Unknown,
}

impl IndexSource {
    /// The source of the result of the instruction before this position. `None` if it is not a
    /// function index.
    fn before(sequence: &InstrSeq, position: usize) -> Option<Self> {
        let position = position.checked_sub(1)?;
        match sequence
            .instrs
            .get(position)
            .map(|(instruction, _)| instruction)
        {
            Some(Instr::Load(load)) => match load.kind {
                LoadKind::I32 { .. } => Some(match u32::try_from(load.arg.offset) {
                    Ok(offset) => Self::Load(offset),
                    Err(_) => Self::Unknown,
                }),
                _ => None,
            },
            Some(Instr::Const(constant)) => match constant.value {
                Value::I32(number) => Some(Self::Constant(number.cast_unsigned())),
                _ => None,
            },
            Some(Instr::LocalTee(_)) => Self::before(sequence, position),
            Some(Instr::LocalGet(get)) => match last_set(sequence, position, get.local) {
                Some(set) => Self::before(sequence, set),
                None => Some(Self::Copy(get.local)),
            },
            Some(Instr::Binop(_) | Instr::Unop(_)) => None,
            _ => Some(Self::Unknown),
        }
    }
}

/// The last position before `end` at which a variable is set, if no block or loop is between them.
fn last_set(sequence: &InstrSeq, end: usize, variable: LocalId) -> Option<usize> {
    let line = sequence.instrs.iter().enumerate().take(end).rev();
    line.map_while(|(position, (instruction, _))| match instruction {
        Instr::Block(_)
        | Instr::Loop(_)
        | Instr::IfElse(_)
        | Instr::TryTable(_)
        | Instr::Try(_) => None,
        instruction => Some((position, instruction)),
    })
    .find(|(_, instruction)| match instruction {
        Instr::LocalSet(set) => set.local == variable,
        Instr::LocalTee(tee) => tee.local == variable,
        _ => false,
    })
    .map(|(position, _)| position)
}

impl Variables {
    fn of(function: &LocalFunction, called_by_proxy: bool) -> Self {
        let mut variables = Self::default();
        // A proxy passes numbers; another function may pass function indexes.
        if !called_by_proxy {
            let parameters = function.args.iter();
            variables.sources = parameters
                .map(|id| (*id, vec![IndexSource::Unknown]))
                .collect();
        }
        dfs_in_order(&mut variables, function, function.entry_block());
        variables
    }

    /// The sources of a value. A copy has the sources of the variable that it copies.
    fn origins(&self, source: Option<IndexSource>) -> Vec<IndexSource> {
        let mut seen = BTreeSet::new();
        let mut origins = Vec::new();
        let mut open: Vec<IndexSource> = source.into_iter().collect();
        while let Some(source) = open.pop() {
            match source {
                IndexSource::Copy(variable) => {
                    if seen.insert(variable) {
                        open.extend(self.sources.get(&variable).into_iter().flatten());
                    }
                }
                _ => origins.push(source),
            }
        }
        origins
    }
}

impl<'instr> Visitor<'instr> for Variables {
    fn start_instr_seq(&mut self, sequence: &'instr InstrSeq) {
        for (position, (instruction, _)) in sequence.instrs.iter().enumerate() {
            let variable = match instruction {
                Instr::LocalSet(set) => set.local,
                Instr::LocalTee(tee) => tee.local,
                _ => continue,
            };
            let sources = self.sources.entry(variable).or_default();
            sources.extend(IndexSource::before(sequence, position));
        }
    }
}

/// The calls through the module's function table, and the addresses in its code and data.
#[derive(Default)]
struct Calls {
    variables: Variables,
    /// Whether the function belongs to the standard library, which does not call methods of the
    /// SDK's traits.
    in_standard_library: bool,
    /// The offsets from which called functions are read, by signature.
    offsets: BTreeMap<TypeId, BTreeSet<u32>>,
    /// The signatures of calls whose function has an unknown source.
    unknown: BTreeSet<TypeId>,
    /// The functions whose index is a constant in the code.
    constant: BTreeSet<u32>,
    /// The functions that are exported, called directly, or referred to.
    direct: BTreeSet<FunctionId>,
    /// All numbers that may be addresses.
    numbers: HashSet<u32>,
}

impl<'instr> Visitor<'instr> for Calls {
    fn start_instr_seq(&mut self, sequence: &'instr InstrSeq) {
        for (position, (instruction, _)) in sequence.instrs.iter().enumerate() {
            match instruction {
                Instr::CallIndirect(call) => {
                    self.call(call.ty, IndexSource::before(sequence, position))
                }
                Instr::ReturnCallIndirect(call) => {
                    self.call(call.ty, IndexSource::before(sequence, position));
                }
                Instr::Const(constant) => {
                    if let Value::I32(number) = constant.value {
                        self.numbers.insert(number.cast_unsigned());
                    }
                }
                _ => {}
            }
        }
    }
}

impl Calls {
    fn call(&mut self, signature: TypeId, function: Option<IndexSource>) {
        if self.in_standard_library {
            return;
        }
        for origin in self.variables.origins(function) {
            match origin {
                IndexSource::Load(offset) => {
                    self.offsets.entry(signature).or_default().insert(offset);
                }
                IndexSource::Constant(index) => drop(self.constant.insert(index)),
                IndexSource::Copy(_) | IndexSource::Unknown => drop(self.unknown.insert(signature)),
            }
        }
    }
}

/// Whether a function of this demangled name, and every type in the name, belongs to the standard
/// library: a generic function may have been compiled for a type of the extension.
fn is_standard(name: &str) -> bool {
    let is_path_character = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '.';
    let paths = name
        .split(|c: char| !is_path_character(c))
        .filter(|path| !path.is_empty() && !path.starts_with("::"));
    let mut names_standard_library = false;
    for path in paths {
        match path.split_once("::") {
            Some(("core" | "alloc" | "std", _)) => names_standard_library = true,
            // A primitive type or a word; parameters such as T begin with a capital letter.
            None if path.starts_with(|c: char| c.is_lowercase()) => {}
            _ => return false,
        }
    }
    names_standard_library
}

/// Replaces methods that cannot be called. Returns their number.
pub fn clear(module: &mut Module) -> usize {
    let mut direct = DirectCalls::default();
    for (_, function) in module.funcs.iter_local() {
        dfs_in_order(&mut direct, function, function.entry_block());
    }
    let DirectCalls(direct) = direct;
    let exported: BTreeSet<_> = module
        .exports
        .iter()
        .filter_map(|export| match export.item {
            ExportItem::Function(function) => Some(function),
            _ => None,
        })
        .collect();
    let mut calls = Calls::default();
    for (id, function) in module.funcs.iter_local() {
        let name = module.funcs.get(id).name.as_deref().unwrap_or_default();
        calls.in_standard_library = is_standard(&sdk::demangled(name));
        let called_by_proxy = exported.contains(&id) && !direct.contains(&id);
        calls.variables = Variables::of(function, called_by_proxy);
        dfs_in_order(&mut calls, function, function.entry_block());
    }
    let words = words(module);
    calls.numbers.extend(words.values());
    let functions = functions(module);
    calls.direct = direct;
    calls.direct.extend(exported);

    let unreachable: BTreeSet<FunctionId> = functions
        .iter()
        .filter(|(index, function)| {
            let function = module.funcs.get(**function);
            let name = function.name.as_deref().map(sdk::demangled);
            let is_method = name.is_some_and(|name| sdk::is_only_for_extensions(&name))
                && matches!(function.kind, FunctionKind::Local(_));
            is_method
                && !can_be_called(
                    &calls,
                    &words,
                    &functions,
                    **index,
                    function.ty(),
                    function.id(),
                )
        })
        .map(|(_, function)| *function)
        .collect();
    if !unreachable.is_empty() {
        replace_by_trap(module, &unreachable);
    }
    unreachable.len()
}

fn can_be_called(
    calls: &Calls,
    words: &Words,
    functions: &Functions,
    index: u32,
    signature: TypeId,
    function: FunctionId,
) -> bool {
    if calls.direct.contains(&function)
        || calls.constant.contains(&index)
        || calls.unknown.contains(&signature)
    {
        return true;
    }
    let offsets = calls.offsets.get(&signature).into_iter().flatten();
    let addresses = words.iter().filter(|(_, word)| **word == index);
    let addresses: Vec<_> = addresses.map(|(address, _)| *address).collect();
    offsets
        .flat_map(|offset| {
            addresses
                .iter()
                .map(move |address| (address.wrapping_sub(*offset), *address))
        })
        .any(|(start, address)| {
            calls.numbers.contains(&start) && is_slot(words, functions, start, address)
        })
}

/// Whether there can be a vtable that begins at `start` and has a slot at `address`. A vtable
/// begins with a header: the function that drops the object, or 0, and the object's size and
/// alignment. Also true if `address` is within the header: what begins at `start` is then another
/// structure, which may hold a function there.
fn is_slot(words: &Words, functions: &Functions, start: u32, address: u32) -> bool {
    let word = |offset: u32| words.get(&start.wrapping_add(offset)).copied();
    let is_function = |word: Option<u32>| word.is_some_and(|word| functions.contains_key(&word));
    let length = address.wrapping_sub(start);
    if length < HEADER_LENGTH {
        return true;
    }
    (word(0) == Some(0) || is_function(word(0)))
        && word(8).is_some_and(u32::is_power_of_two)
        && (HEADER_LENGTH..length)
            .step_by(4)
            .all(|offset| is_function(word(offset)))
}

/// The aligned words of the module's data, by address.
fn words(module: &Module) -> Words {
    let mut words = Words::new();
    for data in module.data.iter() {
        let DataKind::Active {
            offset: ConstExpr::Value(Value::I32(offset)),
            ..
        } = data.kind
        else {
            continue;
        };
        let start = offset.cast_unsigned();
        let Some(first) = start.checked_next_multiple_of(4) else {
            continue;
        };
        let lead = (first - start) as usize;
        let aligned = data.value.get(lead..).unwrap_or_default();
        let values = aligned.chunks_exact(4).filter_map(<[u8]>::first_chunk);
        words.extend(
            (first..=u32::MAX)
                .step_by(4)
                .zip(values.map(|word| u32::from_le_bytes(*word))),
        );
    }
    words
}

#[cfg(test)]
mod tests {
    use super::is_standard;

    #[test]
    fn functions_of_the_standard_library_are_recognized() {
        for name in [
            "<std::panic::PanicHookInfo as core::fmt::Display>::fmt",
            "<str as core::fmt::Debug>::fmt",
            "<core::fmt::builders::DebugStruct>::field",
            "core::fmt::write",
        ] {
            assert!(is_standard(name), "{name}");
        }
        for name in [
            "",
            "proxy_on_configure",
            "<&T as core::fmt::Debug>::fmt",
            "<alloc::vec::Vec<T,A> as core::fmt::Debug>::fmt",
            "<example::Filter as core::fmt::Debug>::fmt",
            "core::ptr::drop_in_place<example::Filter>",
        ] {
            assert!(!is_standard(name), "{name}");
        }
    }
}
