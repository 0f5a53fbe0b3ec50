//! Reads a module: what it imports, exports and needs.

use proxy_wasm_abi::AbiVersion;
use wasmparser::types::EntityType;
use wasmparser::{Encoding, Parser, Payload};

use crate::error::Error;
use crate::item::Item;
use crate::limits::MAX_LENGTH;
use crate::memory::{Memory, Table};
use crate::names;
use crate::proposals::Proposal;
use crate::validation::validate;

/// The bytes with which every module begins.
pub const MAGIC: &[u8] = b"\0asm";

/// What a valid module imports, exports and needs.
#[derive(Debug)]
#[non_exhaustive]
pub struct ModuleInfo {
    /// Its size in bytes.
    pub size: usize,
    /// The ABI versions whose markers it exports, for example `0.2.1`. They may be unknown.
    pub abi: Vec<String>,
    /// Its imports, in order.
    pub imports: Vec<Import>,
    /// Its exports, in order.
    pub exports: Vec<Export>,
    /// Its memories, imported ones first.
    pub memories: Vec<Memory>,
    /// Its tables, imported ones first.
    pub tables: Vec<Table>,
    /// Whether Envoy can read the function names in its name section, or it has no such section. If
    /// this is false, Envoy rejects the module.
    pub names_are_readable: bool,
    /// The WebAssembly proposals that it needs, oldest first.
    pub proposals: Vec<&'static Proposal>,
}

/// An import.
#[derive(Debug)]
#[non_exhaustive]
pub struct Import {
    /// The name of the module that it is imported from, for example `env`.
    pub module: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub item: Item,
}

/// An export.
#[derive(Debug)]
#[non_exhaustive]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub item: Item,
}

impl ModuleInfo {
    /// Validates and reads a module.
    ///
    /// # Errors
    ///
    /// If the bytes are longer than [`MAX_LENGTH`], are not a valid core module, or need a proposal
    /// that no proxy's WebAssembly engine supports.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let length = bytes.len() as u64;
        if length > MAX_LENGTH {
            return Err(Error::TooLong { length });
        }
        if !bytes.starts_with(MAGIC) {
            return Err(Error::NotWebAssembly);
        }
        if is_component(bytes) {
            return Err(Error::Component);
        }
        let (types, proposals) = validate(bytes)?;
        let types_ref = types.as_ref();
        let item = |entity: EntityType| Item::new(&types, entity);
        let imports = types_ref
            .core_imports()
            .into_iter()
            .flatten()
            .map(|(module, name, entity)| Import {
                module: module.to_owned(),
                name: name.to_owned(),
                item: item(entity),
            })
            .collect();
        let exports: Vec<_> = types_ref
            .core_exports()
            .into_iter()
            .flatten()
            .map(|(name, entity)| Export {
                name: name.to_owned(),
                item: item(entity),
            })
            .collect();
        let abi = exports
            .iter()
            .filter_map(|export| export.name.strip_prefix(AbiVersion::MARKER_PREFIX))
            .map(|version| version.replace('_', "."))
            .collect();
        Ok(Self {
            size: bytes.len(),
            abi,
            imports,
            exports,
            memories: (0..types_ref.memory_count())
                .map(|index| Memory::new(types_ref.memory_at(index)))
                .collect(),
            tables: (0..types_ref.table_count())
                .map(|index| Table::new(types_ref.table_at(index)))
                .collect(),
            names_are_readable: names::are_readable(bytes),
            proposals,
        })
    }

    /// The ABI version with which Envoy runs the module: that of the first marker that Envoy knows,
    /// in the order of the exports. Exports that are not functions do not count.
    pub fn abi_version(&self) -> Option<AbiVersion> {
        self.exports
            .iter()
            .filter(|export| export.is_function())
            .find_map(|export| AbiVersion::from_marker(&export.name))
    }

    /// The export of this name.
    pub fn export(&self, name: &str) -> Option<&Item> {
        self.exports
            .iter()
            .find(|export| export.name == name)
            .map(|export| &export.item)
    }

    /// Whether it exports a function of this name. Proxies ignore other exports, except memories.
    pub fn has_function(&self, name: &str) -> bool {
        self.exports
            .iter()
            .any(|export| export.name == name && export.is_function())
    }

    /// The names of the callbacks that it exports.
    pub fn callbacks(&self) -> impl Iterator<Item = &str> {
        self.exports
            .iter()
            .filter(|export| export.is_function())
            .map(|export| export.name.as_str())
            .filter(|name| name.starts_with("proxy_on_"))
    }

    /// The memory that it exports as `memory`. Only V8, Envoy's engine, accepts other names.
    pub fn memory(&self) -> Option<Memory> {
        match self.export("memory") {
            Some(Item::Memory(memory)) => Some(*memory),
            _ => None,
        }
    }

    /// The memory through which Envoy passes data: the last exported one, whatever its name, or
    /// else the imported one.
    pub fn memory_in_envoy(&self) -> Option<Memory> {
        let exports = self.exports.iter().rev().map(|export| &export.item);
        let imports = self.imports.iter().map(|import| &import.item);
        exports.chain(imports).find_map(|item| match item {
            Item::Memory(memory) => Some(*memory),
            _ => None,
        })
    }
}

impl Export {
    /// Whether it is a function.
    pub fn is_function(&self) -> bool {
        matches!(self.item, Item::Function(_))
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

#[cfg(test)]
mod tests;
