//! Backtraces, which the interpreter does not give.
//!
//! A module is loaded with a wrapper around each of its functions. The wrapper notes the
//! function's index in a memory of its own while the function runs; after a trap, that memory holds
//! the functions that had not returned. Function indexes stay as they are: a wrapper takes the
//! place of its function, and the function moves to the end.
//!
//! Wrappers cost fuel, which is not the module's. What one costs depends on its signature alone. It
//! is measured once, and each wrapper adds it to a counter, so that it can be taken off again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasm_encoder::{Encode, Function, Instruction, MemArg, MemArgTarget, ValType};
use wasmi::{Engine, Global, Instance, Linker, Memory, Store, Val};
use wasmparser::{BinaryReaderError, FuncType, KnownCustom, Name, Parser, Payload, TypeRef};

use super::error::{Error, Frame};
use crate::strip::slice;

/// The names under which the wrappers' memory and counters are exported.
const MEMORY: &str = "extension-kit:backtrace";
const DEPTH: &str = "extension-kit:depth";
const OVERHEAD: &str = "extension-kit:overhead";

/// Bytes that a running function takes in the wrappers' memory.
const ENTRY: i32 = 4;

/// How deep calls may nest: as many as fit into one page of the wrappers' memory.
pub(super) const DEEPEST: usize = 65536 / ENTRY as usize;

/// The sections of a module that the wrappers change, by the number that the binary format gives
/// them, and all others as they are.
type Sections = BTreeMap<u8, Vec<u8>>;

const FUNCTION: u8 = 3;
const MEMORY_SECTION: u8 = 5;
const GLOBAL: u8 = 6;
const EXPORT: u8 = 7;
const CODE: u8 = 10;

/// The order of sections in a module; data count comes between elements and code.
const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/// The names of a module's functions, by index.
pub(super) type Names = HashMap<u32, String>;

/// What an instance of a wrapped module is asked for.
pub(super) struct Backtrace {
    memory: Memory,
    depth: Global,
    overhead: Global,
}

impl Backtrace {
    pub(super) fn of<T>(instance: &Instance, store: &Store<T>) -> Option<Self> {
        Some(Self {
            memory: instance.get_memory(store, MEMORY)?,
            depth: instance.get_global(store, DEPTH)?,
            overhead: instance.get_global(store, OVERHEAD)?,
        })
    }

    /// The fuel that wrappers have used since the module was loaded.
    pub(super) fn overhead<T>(&self, store: &Store<T>) -> u64 {
        match self.overhead.get(store) {
            Val::I64(fuel) => fuel.cast_unsigned(),
            _ => 0,
        }
    }

    /// The functions that have not returned, the innermost first.
    pub(super) fn frames<T>(&self, store: &Store<T>, names: &Names) -> Vec<Frame> {
        let depth = match self.depth.get(store) {
            Val::I32(depth) => usize::try_from(depth).unwrap_or_default(),
            _ => 0,
        };
        let noted = self.memory.data(store).get(..depth).unwrap_or_default();
        noted
            .chunks_exact(ENTRY as usize)
            .rev()
            .filter_map(|entry| Some(u32::from_le_bytes(*entry.first_chunk()?)))
            .map(|function| Frame {
                function,
                name: names.get(&function).cloned(),
            })
            .collect()
    }
}

/// Reads the names of a module's functions from its name section. None where there is none.
pub(super) fn names(module: &[u8]) -> Names {
    let mut names = Names::new();
    let sections = Parser::new(0).parse_all(module).map_while(Result::ok);
    for section in sections {
        let Payload::CustomSection(custom) = section else {
            continue;
        };
        let KnownCustom::Name(subsections) = custom.as_known() else {
            continue;
        };
        for subsection in subsections.into_iter().map_while(Result::ok) {
            if let Name::Function(functions) = subsection {
                let functions = functions.into_iter().map_while(Result::ok);
                names.extend(functions.map(|naming| (naming.index, naming.name.to_owned())));
            }
        }
    }
    names
}

/// What is needed of a valid module to wrap its functions.
#[derive(Default)]
struct Contents {
    sections: Sections,
    types: Vec<FuncType>,
    functions: Vec<u32>,
    imported_functions: u32,
    memories: u32,
    globals: u32,
}

/// Wraps the functions of a valid module.
pub(super) fn wrap(module: &[u8], engine: &Engine) -> Result<Vec<u8>, Error> {
    let contents = read(module).map_err(|error| Error::Load(error.to_string()))?;
    let mut costs = HashMap::new();
    for index in BTreeSet::from_iter(&contents.functions) {
        let signature = contents.types.get(*index as usize);
        let signature =
            signature.ok_or_else(|| Error::Load("a function has no type".to_owned()))?;
        costs.insert(*index, cost(engine, signature)?);
    }
    Ok(write(contents, &costs))
}

fn read(module: &[u8]) -> Result<Contents, BinaryReaderError> {
    let mut contents = Contents::default();
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
fn write(contents: Contents, costs: &HashMap<u32, u64>) -> Vec<u8> {
    let Contents {
        mut sections,
        types,
        functions,
        imported_functions,
        memories,
        globals,
    } = contents;
    let count = u32::try_from(functions.len()).unwrap_or(u32::MAX);
    let wrappers = functions.iter().zip(0..).map(|(index, function)| {
        let parameters = types.get(*index as usize).map_or(0, |t| t.params().len());
        let wrapper = wrapper(&Wrapper {
            parameters: u32::try_from(parameters).unwrap_or(u32::MAX),
            function: imported_functions + function,
            wrapped: imported_functions + count + function,
            memory: memories,
            depth: globals,
            overhead: globals + 1,
            cost: costs.get(index).copied().unwrap_or_default(),
        });
        encoded(|bytes| wrapper.encode(bytes))
    });
    let wrappers: Vec<_> = wrappers.collect();
    let again: Vec<_> = functions
        .iter()
        .map(|index| encoded(|bytes| index.encode(bytes)))
        .collect();

    // One page of memory; a 32-bit and a 64-bit counter that can change and begin at zero.
    let memory = vec![0x00, 0x01];
    let counters = [ValType::I32, ValType::I64].map(|kind| {
        let zero = match kind {
            ValType::I64 => Instruction::I64Const(0),
            _ => Instruction::I32Const(0),
        };
        encoded(|bytes| {
            kind.encode(bytes);
            bytes.push(0x01);
            zero.encode(bytes);
            Instruction::End.encode(bytes);
        })
    });
    let exports = [
        (MEMORY, 0x02, memories),
        (DEPTH, 0x03, globals),
        (OVERHEAD, 0x03, globals + 1),
    ]
    .map(|(name, kind, index)| {
        encoded(|bytes| {
            name.encode(bytes);
            bytes.push(kind);
            index.encode(bytes);
        })
    });
    append(&mut sections, FUNCTION, &again, false);
    append(&mut sections, MEMORY_SECTION, &[memory], false);
    append(&mut sections, GLOBAL, &counters, false);
    append(&mut sections, EXPORT, &exports, false);
    append(&mut sections, CODE, &wrappers, true);

    let mut module = wasm_encoder::Module::HEADER.to_vec();
    for id in ORDER {
        if let Some(content) = sections.get(&id) {
            module.push(id);
            content.as_slice().encode(&mut module);
        }
    }
    module
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}

/// Adds entries to a section, which is a number of entries and the entries.
fn append(sections: &mut Sections, id: u8, entries: &[Vec<u8>], in_front: bool) {
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
    function: u32,
    wrapped: u32,
    memory: u32,
    depth: u32,
    overhead: u32,
    cost: u64,
}

/// A function that notes that another one runs, and calls it.
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
        .i32_const(ENTRY)
        .i32_add()
        .global_set(wrapper.depth);
    code.global_get(wrapper.overhead)
        .i64_const(wrapper.cost.cast_signed())
        .i64_add()
        .global_set(wrapper.overhead);
    for parameter in 0..wrapper.parameters {
        code.local_get(parameter);
    }
    code.call(wrapper.wrapped);
    code.global_get(wrapper.depth)
        .i32_const(ENTRY)
        .i32_sub()
        .global_set(wrapper.depth);
    code.end();
    function
}

/// Measures the fuel that a wrapper costs: calls a function of this signature with and without one.
fn cost(engine: &Engine, signature: &FuncType) -> Result<u64, Error> {
    let numbers = |types: &[wasmparser::ValType]| -> Option<String> {
        let names = types.iter().map(|kind| match kind {
            wasmparser::ValType::I32 => Some("i32"),
            wasmparser::ValType::I64 => Some("i64"),
            wasmparser::ValType::F32 => Some("f32"),
            wasmparser::ValType::F64 => Some("f64"),
            _ => None,
        });
        names
            .collect::<Option<Vec<_>>>()
            .map(|names| names.join(" "))
    };
    let (Some(parameters), Some(results)) =
        (numbers(signature.params()), numbers(signature.results()))
    else {
        // Vectors and references do not pass between a proxy and a module; inside, they are rare.
        return Ok(0);
    };
    let constants = |types: &str| -> String {
        let constants = types
            .split_whitespace()
            .map(|kind| format!("({kind}.const 0)"));
        constants.collect()
    };
    let drops = "drop ".repeat(signature.results().len());
    let text = format!(
        r#"(module (memory 1)
          (func $function (param {parameters}) (result {results}) {})
          (func (export "run") {} call $function {drops}))"#,
        constants(&results),
        constants(&parameters),
    );
    let plain = wat(&text)?;
    let contents = read(&plain).map_err(|error| Error::Load(error.to_string()))?;
    let wrapped = write(contents, &HashMap::new());
    // In the wrapped module `run` has a wrapper as well, which takes no parameters: for that
    // signature the difference is two wrappers, and for all others one and that one.
    let difference = used(engine, &wrapped)?.saturating_sub(used(engine, &plain)?);
    if parameters.is_empty() && results.is_empty() {
        return Ok(difference / 2);
    }
    let empty = FuncType::new([], []);
    Ok(difference.saturating_sub(cost(engine, &empty)?))
}

fn wat(text: &str) -> Result<Vec<u8>, Error> {
    wat::parse_str(text).map_err(|error| Error::Load(error.to_string()))
}

/// The fuel that the function `run` of a module uses.
fn used(engine: &Engine, module: &[u8]) -> Result<u64, Error> {
    const FUEL: u64 = 1_000_000;
    let measure = || -> Result<u64, wasmi::Error> {
        let module = wasmi::Module::new(engine, module)?;
        let mut store = Store::new(engine, ());
        store.set_fuel(FUEL)?;
        let instance = Linker::new(engine).instantiate_and_start(&mut store, &module)?;
        let before = store.get_fuel()?;
        let run = instance.get_typed_func::<(), ()>(&store, "run")?;
        run.call(&mut store, ())?;
        Ok(before - store.get_fuel()?)
    };
    measure().map_err(|error| Error::Load(error.to_string()))
}
