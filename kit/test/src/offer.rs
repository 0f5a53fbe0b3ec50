//! Offering functions to a module.

use std::collections::HashSet;

use proxy_wasm_abi::{AbiVersion, host_function};
use wasmi::{Engine, IntoFunc, Linker};

use crate::host::Host;

/// The functions that a module of one ABI version may import.
pub(crate) struct Offer {
    linker: Linker<Host>,
    version: AbiVersion,
    /// The module and name of each, which the linker does not tell.
    names: HashSet<(String, String)>,
}

impl Offer {
    /// Offers nothing.
    pub(crate) fn new(engine: &Engine, version: AbiVersion) -> Self {
        let linker = Linker::new(engine);
        Self {
            linker,
            version,
            names: HashSet::new(),
        }
    }

    /// Offers a function if the ABI version has one of this name.
    pub(crate) fn function<Parameters, Results>(
        &mut self,
        module: &str,
        name: &str,
        function: impl IntoFunc<Host, Parameters, Results>,
    ) -> Result<(), wasmi::Error> {
        if host_function(module, name, self.version).is_some() {
            self.linker.func_wrap(module, name, function)?;
            self.names.insert((module.to_owned(), name.to_owned()));
        }
        Ok(())
    }

    /// Whether a module can import this function.
    pub(crate) fn has(&self, module: &str, name: &str) -> bool {
        self.names.contains(&(module.to_owned(), name.to_owned()))
    }

    /// The linker that has the functions.
    pub(crate) fn linker(&self) -> &Linker<Host> {
        &self.linker
    }
}
