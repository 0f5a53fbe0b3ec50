//! Facts of a WebAssembly module: what it speaks, offers, asks for, and needs.
//!
//! The language that it was written in makes no difference.

use std::fmt;

use anyhow::{Result, bail, ensure};
use wasmparser::types::{EntityType, Types};
use wasmparser::{CompositeInnerType, Encoding, MemoryType, Parser, Payload, ValType};

use crate::proposals::{self, Proposal};

/// The longest module that is read, in bytes. An extension of megabytes is a large one already.
pub const MAX_LENGTH: u64 = 32 * 1024 * 1024;

/// What a module's ABI marker begins with, among its exports.
const ABI_PREFIX: &str = "proxy_abi_version_";

/// What every module begins with.
pub const MAGIC: &[u8] = b"\0asm";

/// A valid module's facts.
#[derive(Debug)]
pub struct Module {
    /// The size in bytes.
    pub size: usize,
    /// The ABI versions whose markers it exports, for example `0.2.1`.
    pub abi: Vec<String>,
    /// What it asks its host for, in order.
    pub imports: Vec<Import>,
    /// What it offers its host, in order.
    pub exports: Vec<Export>,
    /// The proposals, beyond the first version of WebAssembly, that it can't do without. Oldest
    /// first.
    pub proposals: Vec<&'static Proposal>,
}

/// One import.
#[derive(Debug)]
pub struct Import {
    /// The name of the module that is to offer it, for example `env`.
    pub module: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub item: Item,
}

/// One export.
#[derive(Debug)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub item: Item,
}

/// What an import or an export is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A function.
    Function(Signature),
    /// A linear memory.
    Memory(Memory),
    /// A table, a global or a tag.
    Other(&'static str),
}

/// A function's parameters and results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its parameters.
    pub parameters: Vec<ValType>,
    /// Its results.
    pub results: Vec<ValType>,
}

/// A linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What it has when the module starts, in bytes.
    pub initial: u64,
    /// What it can grow to, in bytes; `None` without a bound of its own.
    pub maximum: Option<u64>,
}

impl Module {
    /// Reads a module's facts, and so checks that it is valid.
    ///
    /// # Errors
    ///
    /// When it is longer than [`MAX_LENGTH`], when it is no module, or when no proxy's WebAssembly
    /// engine takes it: what is wrong, at which byte.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        ensure!(
            bytes.len() as u64 <= MAX_LENGTH,
            "{} bytes, and modules of more than {MAX_LENGTH} are not read",
            bytes.len()
        );
        ensure!(
            bytes.starts_with(MAGIC),
            "it does not begin as WebAssembly does"
        );
        if is_component(bytes) {
            bail!("it is a component, and proxies load core modules");
        }
        let (types, proposals) = proposals::validate(bytes)?;
        let types_ref = types.as_ref();
        let imports: Vec<_> = types_ref
            .core_imports()
            .into_iter()
            .flatten()
            .map(|(module, name, entity)| Import {
                module: module.to_owned(),
                name: name.to_owned(),
                item: item(&types, entity),
            })
            .collect();
        let exports: Vec<_> = types_ref
            .core_exports()
            .into_iter()
            .flatten()
            .map(|(name, entity)| Export {
                name: name.to_owned(),
                item: item(&types, entity),
            })
            .collect();
        let abi = exports
            .iter()
            .filter_map(|export| export.name.strip_prefix(ABI_PREFIX))
            .map(|version| version.replace('_', "."))
            .collect();
        Ok(Self {
            size: bytes.len(),
            abi,
            imports,
            exports,
            proposals,
        })
    }

    /// The export of this name.
    pub fn export(&self, name: &str) -> Option<&Item> {
        self.exports
            .iter()
            .find(|export| export.name == name)
            .map(|export| &export.item)
    }

    /// The callbacks that it exports: what a proxy calls when something happens.
    pub fn callbacks(&self) -> impl Iterator<Item = &str> {
        self.exports
            .iter()
            .map(|export| export.name.as_str())
            .filter(|name| name.starts_with("proxy_on_"))
    }

    /// The memory that it exports under the name that proxies look for.
    pub fn memory(&self) -> Option<Memory> {
        match self.export("memory") {
            Some(Item::Memory(memory)) => Some(*memory),
            _ => None,
        }
    }
}

fn is_component(bytes: &[u8]) -> bool {
    matches!(
        Parser::new(0).parse_all(bytes).next(),
        Some(Ok(Payload::Version {
            encoding: Encoding::Component,
            ..
        }))
    )
}

fn item(types: &Types, entity: EntityType) -> Item {
    match entity {
        EntityType::Func(id) | EntityType::FuncExact(id) => {
            match &types.as_ref()[id].composite_type.inner {
                CompositeInnerType::Func(function) => Item::Function(Signature {
                    parameters: function.params().to_vec(),
                    results: function.results().to_vec(),
                }),
                _ => Item::Other("no function"),
            }
        }
        EntityType::Memory(memory) => Item::Memory(Memory::new(memory)),
        EntityType::Table(_) => Item::Other("table"),
        EntityType::Global(_) => Item::Other("global"),
        EntityType::Tag(_) => Item::Other("tag"),
    }
}

impl Memory {
    fn new(memory: MemoryType) -> Self {
        let bytes = |pages: u64| {
            let page_size_log2 = memory.page_size_log2.unwrap_or(16).min(16);
            pages.saturating_mul(1 << page_size_log2)
        };
        Self {
            initial: bytes(memory.initial),
            maximum: memory.maximum.map(bytes),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Function(signature) => write!(formatter, "{signature}"),
            Self::Memory(_) => formatter.write_str("a memory"),
            Self::Other(kind) => write!(formatter, "a {kind}"),
        }
    }
}

/// As the text format has it: `(i32, i64) -> i32`.
impl fmt::Display for Signature {
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
mod tests;
