//! The imports of a module that the host provides.

use std::collections::HashSet;

use proxy_wasm_abi::{AbiVersion, host_function};
use wasmi::{
    Engine, Extern, ExternType, IntoFunc, Linker, Memory, Module, Nullable, Ref, RefType, Store,
    Table,
};

use crate::host::Host;

/// The functions, memories and tables that a module imports and the host has.
pub(crate) struct Imports {
    linker: Linker<Host>,
    version: AbiVersion,
    /// The module and name of each import of the module.
    required: HashSet<(String, String)>,
    /// The functions among them that the host has.
    functions: HashSet<(String, String)>,
}

impl Imports {
    /// Provides nothing yet to a module of this ABI version.
    pub(crate) fn new(engine: &Engine, module: &Module, version: AbiVersion) -> Self {
        let imports = module.imports();
        Self {
            linker: Linker::new(engine),
            version,
            required: imports
                .map(|import| (import.module().to_owned(), import.name().to_owned()))
                .collect(),
            functions: HashSet::new(),
        }
    }

    /// Provides a function if the module imports it and its ABI version has it.
    pub(crate) fn function<Parameters, Results>(
        &mut self,
        module: &str,
        name: &str,
        function: impl IntoFunc<Host, Parameters, Results>,
    ) -> Result<(), wasmi::Error> {
        let import = (module.to_owned(), name.to_owned());
        if self.required.contains(&import) && host_function(module, name, self.version).is_some() {
            self.linker.func_wrap(module, name, function)?;
            self.functions.insert(import);
        }
        Ok(())
    }

    /// Makes the memory and the table that the module imports, under any name. Returns the memory.
    pub(crate) fn provide_memory_and_table(
        &mut self,
        store: &mut Store<Host>,
        module: &Module,
    ) -> Result<Option<Memory>, wasmi::Error> {
        let mut imported = None;
        for import in module.imports() {
            let item: Extern = match import.ty() {
                ExternType::Memory(memory) => {
                    let memory = Memory::new(&mut *store, *memory)?;
                    imported = Some(memory);
                    memory.into()
                }
                ExternType::Table(table) => {
                    let null = match table.element() {
                        RefType::Func => Ref::Func(Nullable::Null),
                        RefType::Extern => Ref::Extern(Nullable::Null),
                    };
                    Table::new(&mut *store, *table, null)?.into()
                }
                ExternType::Func(_) | ExternType::Global(_) => continue,
            };
            self.linker.define(import.module(), import.name(), item)?;
        }
        Ok(imported)
    }

    /// Whether the host has this function that the module imports.
    pub(crate) fn has(&self, module: &str, name: &str) -> bool {
        self.functions
            .contains(&(module.to_owned(), name.to_owned()))
    }

    /// The linker, which has all of them.
    pub(crate) fn linker(&self) -> &Linker<Host> {
        &self.linker
    }
}
