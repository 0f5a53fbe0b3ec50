//! Backtraces, which the interpreter does not have.
//!
//! A module is loaded with a wrapper around each of its functions. While the function runs, the wrapper
//! keeps the function's index in a separate memory; after a trap, that memory holds
//! the functions that had not returned. Function indexes stay as they are: a wrapper takes the
//! place of its function, and the function moves to the end.
//!
//! A wrapper costs fuel. It adds a fixed amount to each call, the same on every machine.
//!
//! The memory of the wrappers has the size of V8's stack, and each function takes as much of it as
//! its frame takes there, approximately. So recursion is about as deep as in Envoy.

use std::collections::HashMap;

use wasmi::{Global, Instance, Memory, Store, Val};
use wasmparser::{KnownCustom, Name, Parser, Payload};

use crate::error::Frame;

mod wrap;

pub(crate) use wrap::{FrameSizes, MAX_DEPTH, SIZE, wrap};

use wrap::{DEPTH, INDEX, MEMORY};

/// The names of a module's functions, by index.
pub(crate) type Names = HashMap<u32, String>;

/// The backtrace of an instance of a wrapped module.
pub(crate) struct Backtrace {
    memory: Memory,
    depth: Global,
    sizes: FrameSizes,
}

impl Backtrace {
    pub(crate) fn of<T>(instance: &Instance, store: &Store<T>, sizes: FrameSizes) -> Option<Self> {
        Some(Self {
            memory: instance.get_memory(store, MEMORY)?,
            depth: instance.get_global(store, DEPTH)?,
            sizes,
        })
    }

    /// How much of the stack is in use, in bytes.
    fn depth<T>(&self, store: &Store<T>) -> usize {
        match self.depth.get(store) {
            Val::I32(depth) => usize::try_from(depth).unwrap_or_default(),
            _ => 0,
        }
    }

    /// Whether there is no room for another function.
    pub(crate) fn is_full<T>(&self, store: &Store<T>) -> bool {
        self.depth(store) + INDEX > SIZE
    }

    /// The functions that have not returned, the innermost first.
    pub(crate) fn frames<T>(&self, store: &Store<T>, names: &Names) -> Vec<Frame> {
        let memory = self.memory.data(store);
        let depth = self.depth(store);
        let mut frames = Vec::new();
        let mut address = 0;
        while address < depth {
            let index = memory.get(address..).and_then(<[u8]>::first_chunk);
            let Some(function) = index.copied().map(u32::from_le_bytes) else {
                break;
            };
            frames.push(Frame {
                function,
                name: names.get(&function).cloned(),
            });
            let Some(size) = self.sizes.of(function) else {
                break;
            };
            address += size;
        }
        frames.reverse();
        frames
    }
}

/// Reads the names of a module's functions from its name section. Empty if it has none.
pub(crate) fn names(module: &[u8]) -> Names {
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
