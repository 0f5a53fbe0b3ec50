//! What Envoy finds in a module's sections: the marker, the memory of host calls, and the names of
//! functions.

use proxy_wasm_abi::AbiVersion;
use wasmparser::{BinaryReader, BinaryReaderError, ExternalKind, Import, Parser, Payload, TypeRef};

use crate::error::Error;

/// Where the memory is that host calls read and write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostMemory {
    /// The export of this name.
    Exported(String),
    /// The one that the module imports, which the host creates.
    Imported,
    /// There is none. The module can make no host call.
    None,
}

/// The sections of a module, as far as Envoy reads them.
#[derive(Default)]
pub(crate) struct Sections<'a> {
    /// In the order of the section.
    exports: Vec<(&'a str, ExternalKind)>,
    imports: Vec<Import<'a>>,
    names: Option<&'a [u8]>,
}

impl<'a> Sections<'a> {
    /// Reads the sections of a valid module.
    pub(crate) fn read(module: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut sections = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        sections.exports.push((export.name, export.kind));
                    }
                }
                Payload::ImportSection(imports) => {
                    sections.imports = imports.into_imports().collect::<Result<_, _>>()?;
                }
                Payload::CustomSection(custom) if custom.name() == "name" => {
                    sections.names.get_or_insert(custom.data());
                }
                _ => {}
            }
        }
        Ok(sections)
    }

    /// The ABI version of the first known marker, in the order of the exports. A marker is a function of
    /// any type.
    pub(crate) fn abi_version(&self) -> Result<AbiVersion, Error> {
        self.exports
            .iter()
            .filter(|(_, kind)| *kind == ExternalKind::Func)
            .find_map(|(name, _)| AbiVersion::from_marker(name))
            .ok_or_else(|| {
                Error::Load(format!(
                    "it exports no function {}; build it with a Proxy-Wasm SDK",
                    AbiVersion::V0_2_1.marker()
                ))
            })
    }

    /// The memory of host calls: the last one that is exported, whatever its name, or the imported
    /// one.
    pub(crate) fn host_memory(&self) -> HostMemory {
        let mut exports = self.exports.iter();
        let exported = exports.rfind(|(_, kind)| *kind == ExternalKind::Memory);
        match exported {
            Some((name, _)) => HostMemory::Exported((*name).to_owned()),
            None if self.imports.iter().any(|import| is_memory(import.ty)) => HostMemory::Imported,
            None => HostMemory::None,
        }
    }

    /// Checks that a module imports no memories and tables that Envoy cannot give it.
    pub(crate) fn check_imports(&self) -> Result<(), Error> {
        for (is_kind, name) in [
            (is_memory as fn(TypeRef) -> bool, "memories"),
            (is_table, "tables"),
        ] {
            let mut imports = self.imports.iter().filter(|import| is_kind(import.ty));
            if let (Some(_), Some(_)) = (imports.next(), imports.next()) {
                return Err(Error::Load(format!(
                    "it imports several {name}, and Envoy crashes when it loads such a module; \
                     import at most one"
                )));
            }
        }
        match self.imports.iter().find(|import| is_64(import.ty)) {
            None => Ok(()),
            Some(import) => Err(Error::Load(format!(
                "it imports {}.{} with 64-bit addresses, which Envoy does not provide; define it in \
                 the module",
                import.module, import.name
            ))),
        }
    }

    /// Checks the name section as Envoy does, which reads it for its backtraces.
    pub(crate) fn check_names(&self) -> Result<(), Error> {
        match self.names.map(are_names_complete) {
            None | Some(Ok(true)) => Ok(()),
            Some(Ok(false) | Err(_)) => Err(Error::Load(
                "its name section is corrupt, and Envoy rejects such a module; strip the section"
                    .to_owned(),
            )),
        }
    }
}

fn is_memory(import: TypeRef) -> bool {
    matches!(import, TypeRef::Memory(_))
}

fn is_table(import: TypeRef) -> bool {
    matches!(import, TypeRef::Table(_))
}

fn is_64(import: TypeRef) -> bool {
    match import {
        TypeRef::Memory(memory) => memory.memory64,
        TypeRef::Table(table) => table.table64,
        _ => false,
    }
}

/// Whether the names of functions fill their subsection.
fn are_names_complete(section: &[u8]) -> Result<bool, BinaryReaderError> {
    const FUNCTIONS: u8 = 1;
    let mut section = BinaryReader::new(section, 0);
    while !section.eof() {
        let subsection = section.read_u8()?;
        let mut names = section.read_reader()?;
        if subsection != FUNCTIONS {
            continue;
        }
        for _ in 0..names.read_var_u32()? {
            names.read_var_u32()?;
            names.read_reader()?;
        }
        if !names.eof() {
            return Ok(false);
        }
    }
    Ok(true)
}
