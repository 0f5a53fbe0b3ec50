//! Wraps the functions of a module.

use std::collections::BTreeMap;
use std::ops::Range;

use wasm_encoder::{Encode, Function, Instruction, MemArg, MemArgTarget, ValType};
use wasmparser::{BinaryReaderError, FuncType, Parser, Payload, TypeRef};

use crate::error::Error;

/// The names under which the wrappers' memory and counter are exported.
pub(super) const MEMORY: &str = "proxy-wasm-test:backtrace";
pub(super) const DEPTH: &str = "proxy-wasm-test:depth";

/// The size of the wrappers' memory, in bytes. It is that of V8's stack, in whole pages.
pub(crate) const SIZE: usize = PAGES as usize * 65536;
const PAGES: u32 = 15;

/// The frame size, in bytes, of a function that has at most one parameter or local. V8 inlines such
/// functions into one another, and all other functions have larger frames.
const SMALLEST_FRAME: u32 = 12;

/// How deep calls may nest.
pub(crate) const MAX_DEPTH: usize = SIZE / SMALLEST_FRAME as usize;

/// Bytes of a function's index, which is at the beginning of its frame.
pub(super) const INDEX: usize = 4;

/// The sections of a module by their numbers in the binary format. The wrappers change some of them.
type RawSections = BTreeMap<u8, Vec<u8>>;

const FUNCTION: u8 = 3;
const MEMORY_SECTION: u8 = 5;
const GLOBAL: u8 = 6;
const EXPORT: u8 = 7;
const CODE: u8 = 10;

/// The order of sections in a module; data count comes between elements and code.
const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/// The sizes of the frames of a module's functions.
#[derive(Clone, Debug, Default)]
pub(crate) struct FrameSizes {
    imported_functions: u32,
    sizes: Vec<u32>,
}

impl FrameSizes {
    pub(super) fn of(&self, function: u32) -> Option<usize> {
        let defined = function.checked_sub(self.imported_functions)?;
        let size = self.sizes.get(usize::try_from(defined).ok()?)?;
        usize::try_from(*size).ok()
    }
}

/// The parts of a valid module that are needed to wrap its functions.
#[derive(Default)]
struct ModuleParts {
    sections: RawSections,
    types: Vec<FuncType>,
    functions: Vec<u32>,
    /// The number of each function's locals.
    locals: Vec<u32>,
    imported_functions: u32,
    memories: u32,
    globals: u32,
}

/// Wraps the functions of a valid module.
pub(crate) fn wrap(module: &[u8]) -> Result<(Vec<u8>, FrameSizes), Error> {
    let contents = read(module).map_err(|error| Error::Load(error.to_string()))?;
    Ok(write(contents))
}

/// The approximate frame size of a function in V8: eight bytes for each parameter and local.
fn frame_size(parameters: u32, locals: u32) -> u32 {
    let values = parameters.saturating_add(locals).saturating_sub(1);
    SMALLEST_FRAME.saturating_add(values.saturating_mul(8))
}

fn read(module: &[u8]) -> Result<ModuleParts, BinaryReaderError> {
    let mut contents = ModuleParts::default();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            Payload::TypeSection(types) => {
                let types = types.clone().into_iter_err_on_gc_types();
                contents.types = types.collect::<Result<_, _>>()?;
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) => contents.imported_functions += 1,
                        TypeRef::Memory(_) => contents.memories += 1,
                        TypeRef::Global(_) => contents.globals += 1,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                contents.functions = functions.clone().into_iter().collect::<Result<_, _>>()?;
            }
            Payload::CodeSectionEntry(body) => {
                let locals = body.get_locals_reader()?.into_iter();
                let count = locals
                    .map(|group| group.map(|(count, _)| count))
                    .sum::<Result<_, _>>()?;
                contents.locals.push(count);
            }
            Payload::MemorySection(memories) => contents.memories += memories.count(),
            Payload::GlobalSection(globals) => contents.globals += globals.count(),
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && id != 0
            && let Some(bytes) = slice(module, range)
        {
            contents.sections.insert(id, bytes.to_vec());
        }
    }
    Ok(contents)
}

/// The module with its wrappers.
fn write(contents: ModuleParts) -> (Vec<u8>, FrameSizes) {
    let ModuleParts {
        mut sections,
        types,
        functions,
        locals,
        imported_functions,
        memories,
        globals,
    } = contents;
    let count = u32::try_from(functions.len()).unwrap_or(u32::MAX);
    let mut sizes = Vec::new();
    let wrappers = functions.iter().zip(locals).zip(0..);
    let wrappers = wrappers.map(|((index, locals), function)| {
        let parameters = types.get(*index as usize).map_or(0, |t| t.params().len());
        let parameters = u32::try_from(parameters).unwrap_or(u32::MAX);
        let frame = frame_size(parameters, locals);
        sizes.push(frame);
        let wrapper = wrapper(&Wrapper {
            parameters,
            frame,
            function: imported_functions + function,
            wrapped: imported_functions + count + function,
            memory: memories,
            depth: globals,
        });
        encoded(|bytes| wrapper.encode(bytes))
    });
    let wrappers: Vec<_> = wrappers.collect();
    let again: Vec<_> = functions
        .iter()
        .map(|index| encoded(|bytes| index.encode(bytes)))
        .collect();

    // Memory without a maximum, and a 32-bit counter that can change and begins at zero.
    let memory = encoded(|bytes| {
        bytes.push(0x00);
        PAGES.encode(bytes);
    });
    let depth = encoded(|bytes| {
        ValType::I32.encode(bytes);
        bytes.push(0x01);
        Instruction::I32Const(0).encode(bytes);
        Instruction::End.encode(bytes);
    });
    let exports = [(MEMORY, 0x02, memories), (DEPTH, 0x03, globals)].map(|(name, kind, index)| {
        encoded(|bytes| {
            name.encode(bytes);
            bytes.push(kind);
            index.encode(bytes);
        })
    });
    append(&mut sections, FUNCTION, &again, false);
    append(&mut sections, MEMORY_SECTION, &[memory], false);
    append(&mut sections, GLOBAL, &[depth], false);
    append(&mut sections, EXPORT, &exports, false);
    append(&mut sections, CODE, &wrappers, true);

    let mut module = wasm_encoder::Module::HEADER.to_vec();
    for id in ORDER {
        if let Some(content) = sections.get(&id) {
            module.push(id);
            content.as_slice().encode(&mut module);
        }
    }
    let sizes = FrameSizes {
        imported_functions,
        sizes,
    };
    (module, sizes)
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}

/// Adds entries to a section, which is a number of entries and the entries.
fn append(sections: &mut RawSections, id: u8, entries: &[Vec<u8>], in_front: bool) {
    if entries.is_empty() {
        return;
    }
    let old = sections.entry(id).or_insert_with(|| vec![0]);
    let length = old.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let (count, rest) = old.split_at(length.min(old.len()));
    let count = count
        .iter()
        .rev()
        .fold(0u32, |count, byte| count << 7 | u32::from(byte & 0x7f));
    let mut new = Vec::new();
    (count + u32::try_from(entries.len()).unwrap_or_default()).encode(&mut new);
    if in_front {
        new.extend(entries.concat());
        new.extend(rest);
    } else {
        new.extend(rest);
        new.extend(entries.concat());
    }
    *old = new;
}

/// The indexes and numbers of a wrapper.
struct Wrapper {
    parameters: u32,
    frame: u32,
    function: u32,
    wrapped: u32,
    memory: u32,
    depth: u32,
}

/// A function that records the index of another one, and calls it.
fn wrapper(wrapper: &Wrapper) -> Function {
    let place = MemArg {
        offset: 0,
        align: 2,
        target: MemArgTarget::Memory(wrapper.memory),
        ordering: None,
    };
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.global_get(wrapper.depth)
        .i32_const(wrapper.function.cast_signed())
        .i32_store(place);
    code.global_get(wrapper.depth)
        .i32_const(wrapper.frame.cast_signed())
        .i32_add()
        .global_set(wrapper.depth);
    for parameter in 0..wrapper.parameters {
        code.local_get(parameter);
    }
    code.call(wrapper.wrapped);
    code.global_get(wrapper.depth)
        .i32_const(wrapper.frame.cast_signed())
        .i32_sub()
        .global_set(wrapper.depth);
    code.end();
    function
}

/// The part of a module at a range that the reader reports.
fn slice(module: &[u8], range: Range<u64>) -> Option<&[u8]> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    module.get(start..end)
}
