//! Offering functions to a module.

use std::collections::HashSet;

use proxy_wasm_abi::{AbiVersion, host_function};
use wasmi::{Engine, Extern, IntoFunc, Linker, Module};

use crate::host::Host;

/// The functions, memories and tables that a module imports and the host has.
pub(crate) struct Offer {
    linker: Linker<Host>,
    version: AbiVersion,
    /// The module and name of each import.
    imports: HashSet<(String, String)>,
    /// Those of the imported functions that the host has.
    functions: HashSet<(String, String)>,
}

impl Offer {
    /// Offers nothing yet to a module of this ABI version.
    pub(crate) fn new(engine: &Engine, module: &Module, version: AbiVersion) -> Self {
        let imports = module.imports();
        Self {
            linker: Linker::new(engine),
            version,
            imports: imports
                .map(|import| (import.module().to_owned(), import.name().to_owned()))
                .collect(),
            functions: HashSet::new(),
        }
    }

    /// Offers a function if the module imports it and its ABI version has it.
    pub(crate) fn function<Parameters, Results>(
        &mut self,
        module: &str,
        name: &str,
        function: impl IntoFunc<Host, Parameters, Results>,
    ) -> Result<(), wasmi::Error> {
        let import = (module.to_owned(), name.to_owned());
        if self.imports.contains(&import) && host_function(module, name, self.version).is_some() {
            self.linker.func_wrap(module, name, function)?;
            self.functions.insert(import);
        }
        Ok(())
    }

    /// Provides a memory or a table under the name by which the module imports it.
    pub(crate) fn provide(
        &mut self,
        module: &str,
        name: &str,
        item: impl Into<Extern>,
    ) -> Result<(), wasmi::Error> {
        self.linker.define(module, name, item)?;
        Ok(())
    }

    /// Whether the host has this function that the module imports.
    pub(crate) fn has(&self, module: &str, name: &str) -> bool {
        self.functions
            .contains(&(module.to_owned(), name.to_owned()))
    }

    /// The linker that has all of them.
    pub(crate) fn linker(&self) -> &Linker<Host> {
        &self.linker
    }
}
