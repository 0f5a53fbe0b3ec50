//! Methods that no trait object is ever asked for.
//!
//! A trait object's table has a slot for each method of the trait. A table lies in the module's
//! data: function after function, as indexes into the module's one table of functions. A call
//! through a trait object reads a slot at a fixed offset from the start of the table, and calls
//! with a fixed signature. So a function can be called only if some call has its signature, and an
//! offset that leads from an address that the module knows to a slot that holds the function.
//!
//! Where that shows no way to a method that the SDK merely offers to extensions, its slot is
//! filled with a function that traps, and the method goes, with the host call that it makes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rustc_demangle::demangle;
use walrus::ir::{Instr, InstrSeq, LoadKind, Value, Visitor, dfs_in_order};
use walrus::{
    ConstExpr, DataKind, ElementItems, ElementKind, ExportItem, FunctionBuilder, FunctionId,
    FunctionKind, LocalFunction, LocalId, Module, TypeId,
};

use super::callbacks::is_offered;

/// The aligned words of a module's data, by address.
type Words = BTreeMap<u32, u32>;

/// A module's table of functions, by index.
pub(super) type Functions = BTreeMap<u32, FunctionId>;

/// The bytes of a trait object's table before its first method: drop, size, alignment.
const HEAD: u32 = 12;

/// Where a function's variables get their values, as far as these can be indexes of functions. Rust
/// does not calculate with such indexes: they are loaded as words, copied, or constant.
#[derive(Default)]
struct Variables {
    sources: BTreeMap<LocalId, Vec<Source>>,
}

/// Where an index of a function comes from.
#[derive(Clone, Copy)]
enum Source {
    /// A word that is loaded at this offset from some address.
    Load(u32),
    /// A number in the code.
    Constant(u32),
    /// Another variable.
    Copy(LocalId),
    /// A caller, or what is not followed any further.
    Elsewhere,
}

impl Source {
    /// Where the result of the instruction before this place comes from. `None` when it is no index
    /// of a function.
    fn before(sequence: &InstrSeq, place: usize) -> Option<Self> {
        let place = place.checked_sub(1)?;
        match sequence
            .instrs
            .get(place)
            .map(|(instruction, _)| instruction)
        {
            Some(Instr::Load(load)) => match load.kind {
                LoadKind::I32 { .. } => Some(match u32::try_from(load.arg.offset) {
                    Ok(offset) => Self::Load(offset),
                    Err(_) => Self::Elsewhere,
                }),
                _ => None,
            },
            Some(Instr::Const(constant)) => match constant.value {
                Value::I32(number) => Some(Self::Constant(number.cast_unsigned())),
                _ => None,
            },
            Some(Instr::LocalTee(_)) => Self::before(sequence, place),
            Some(Instr::LocalGet(get)) => match last_set(sequence, place, get.local) {
                Some(set) => Self::before(sequence, set),
                None => Some(Self::Copy(get.local)),
            },
            Some(Instr::Binop(_) | Instr::Unop(_)) => None,
            _ => Some(Self::Elsewhere),
        }
    }
}

/// The place before `end` where a variable is set for the last time, if that is in a straight line.
fn last_set(sequence: &InstrSeq, end: usize, variable: LocalId) -> Option<usize> {
    let line = sequence.instrs.iter().enumerate().take(end).rev();
    line.map_while(|(place, (instruction, _))| match instruction {
        Instr::Block(_)
        | Instr::Loop(_)
        | Instr::IfElse(_)
        | Instr::TryTable(_)
        | Instr::Try(_) => None,
        instruction => Some((place, instruction)),
    })
    .find(|(_, instruction)| match instruction {
        Instr::LocalSet(set) => set.local == variable,
        Instr::LocalTee(tee) => tee.local == variable,
        _ => false,
    })
    .map(|(place, _)| place)
}

impl Variables {
    fn of(function: &LocalFunction, called_by_proxy: bool) -> Self {
        let mut variables = Self::default();
        // A proxy hands over numbers; another function may hand over anything.
        if !called_by_proxy {
            let parameters = function.args.iter();
            variables.sources = parameters
                .map(|id| (*id, vec![Source::Elsewhere]))
                .collect();
        }
        dfs_in_order(&mut variables, function, function.entry_block());
        variables
    }

    /// Where a value comes from in the end: no copies.
    fn origins(&self, source: Option<Source>) -> Vec<Source> {
        let mut seen = BTreeSet::new();
        let mut origins = Vec::new();
        let mut open: Vec<Source> = source.into_iter().collect();
        while let Some(source) = open.pop() {
            match source {
                Source::Copy(variable) => {
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
        for (place, (instruction, _)) in sequence.instrs.iter().enumerate() {
            let variable = match instruction {
                Instr::LocalSet(set) => set.local,
                Instr::LocalTee(tee) => tee.local,
                _ => continue,
            };
            let sources = self.sources.entry(variable).or_default();
            sources.extend(Source::before(sequence, place));
        }
    }
}

/// The functions that are called, or referred to, by their names.
#[derive(Default)]
pub(super) struct Direct(pub(super) BTreeSet<FunctionId>);

impl Visitor<'_> for Direct {
    fn visit_function_id(&mut self, function: &FunctionId) {
        self.0.insert(*function);
    }
}

/// The calls through the module's table of functions, and the addresses that it knows.
#[derive(Default)]
struct Calls {
    variables: Variables,
    /// The standard library knows no trait of the SDK, and calls none of its methods.
    in_standard_library: bool,
    /// Signatures, and the offsets from which their functions are read.
    offsets: BTreeMap<TypeId, BTreeSet<u32>>,
    /// Signatures with calls of which it does not show where the function comes from.
    anywhere: BTreeSet<TypeId>,
    /// Functions that are called by an index in the code.
    constant: BTreeSet<u32>,
    /// Functions that are called directly or referred to.
    direct: BTreeSet<FunctionId>,
    numbers: HashSet<u32>,
}

impl<'instr> Visitor<'instr> for Calls {
    fn start_instr_seq(&mut self, sequence: &'instr InstrSeq) {
        for (place, (instruction, _)) in sequence.instrs.iter().enumerate() {
            match instruction {
                Instr::CallIndirect(call) => self.call(call.ty, Source::before(sequence, place)),
                Instr::ReturnCallIndirect(call) => {
                    self.call(call.ty, Source::before(sequence, place));
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
    fn call(&mut self, signature: TypeId, function: Option<Source>) {
        if self.in_standard_library {
            return;
        }
        for origin in self.variables.origins(function) {
            match origin {
                Source::Load(offset) => {
                    self.offsets.entry(signature).or_default().insert(offset);
                }
                Source::Constant(index) => drop(self.constant.insert(index)),
                Source::Copy(_) | Source::Elsewhere => drop(self.anywhere.insert(signature)),
            }
        }
    }
}

/// Whether a function of this name belongs to the standard library with all that is in it: one that
/// is generic may have been compiled with a type of the extension.
fn is_standard(name: &str) -> bool {
    let is_path_character = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '.';
    let paths = name
        .split(|c: char| !is_path_character(c))
        .filter(|path| !path.is_empty() && !path.starts_with("::"));
    let mut names_it = false;
    for path in paths {
        match path.split_once("::") {
            Some(("core" | "alloc" | "std", _)) => names_it = true,
            // A primitive type or a word; parameters such as T begin with a capital letter.
            None if path.starts_with(|c: char| c.is_lowercase()) => {}
            _ => return false,
        }
    }
    names_it
}

/// Clears the slots of methods that nothing can call, and says how many functions they held.
pub(super) fn clear(module: &mut Module) -> usize {
    let mut direct = Direct::default();
    for (_, function) in module.funcs.iter_local() {
        dfs_in_order(&mut direct, function, function.entry_block());
    }
    let Direct(direct) = direct;
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
        calls.in_standard_library = is_standard(&format!("{:#}", demangle(name)));
        let called_by_proxy = exported.contains(&id) && !direct.contains(&id);
        calls.variables = Variables::of(function, called_by_proxy);
        dfs_in_order(&mut calls, function, function.entry_block());
    }
    let words = words(module);
    calls.numbers.extend(words.values());
    let functions = table(module);
    calls.direct = direct;
    calls.direct.extend(exported);

    let unreachable: BTreeSet<FunctionId> = functions
        .iter()
        .filter(|(index, function)| {
            let function = module.funcs.get(**function);
            let is_method = function.name.as_deref().is_some_and(is_offered)
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
        replace(module, &unreachable);
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
        || calls.anywhere.contains(&signature)
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

/// Whether a trait object's table can lie at an address and reach as far as another. It begins with
/// the function that drops the object, or 0, and the object's size and alignment. Nearer than that,
/// it is not a table but some structure that holds a function.
fn is_slot(words: &Words, functions: &Functions, start: u32, address: u32) -> bool {
    let word = |offset: u32| words.get(&start.wrapping_add(offset)).copied();
    let is_function = |word: Option<u32>| word.is_some_and(|word| functions.contains_key(&word));
    let length = address.wrapping_sub(start);
    if length < HEAD {
        return true;
    }
    (word(0) == Some(0) || is_function(word(0)))
        && word(8).is_some_and(u32::is_power_of_two)
        && (HEAD..length)
            .step_by(4)
            .all(|offset| is_function(word(offset)))
}

/// The module's table of functions, by index.
pub(super) fn table(module: &Module) -> Functions {
    let mut table = Functions::new();
    for element in module.elements.iter() {
        let (
            ElementKind::Active {
                offset: ConstExpr::Value(Value::I32(offset)),
                ..
            },
            ElementItems::Functions(functions),
        ) = (&element.kind, &element.items)
        else {
            continue;
        };
        table.extend((offset.cast_unsigned()..).zip(functions.iter().copied()));
    }
    table
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
        let lead = start.next_multiple_of(4) - start;
        let aligned = data.value.get(lead as usize..).unwrap_or_default();
        let values = aligned.chunks_exact(4).filter_map(<[u8]>::first_chunk);
        words.extend(
            (start + lead..)
                .step_by(4)
                .zip(values.map(|word| u32::from_le_bytes(*word))),
        );
    }
    words
}

/// Puts a function that traps in the place of others, in the table.
pub(super) fn replace(module: &mut Module, gone: &BTreeSet<FunctionId>) {
    let mut builder = FunctionBuilder::new(&mut module.types, &[], &[]);
    builder.name("unreachable_method".to_owned());
    builder.func_body().unreachable();
    let trap = builder.finish(Vec::new(), &mut module.funcs);
    for element in module.elements.iter_mut() {
        if let ElementItems::Functions(functions) = &mut element.items {
            for function in functions {
                if gone.contains(function) {
                    *function = trap;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_standard;

    #[test]
    fn functions_of_the_standard_library_are_told_by_their_names() {
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
