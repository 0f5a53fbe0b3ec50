//! A module that is ready for the interpreter. Making it takes most of the time that loading takes, so
//! that a module is compiled once for all its VMs.

use std::fmt;

use proxy_wasm_abi::AbiVersion;
use wasmi::{CompilationMode, Config, Engine};

use crate::backtrace::{self, FrameSizes, Names};
use crate::binary::{HostMemory, Sections};
use crate::error::Error;
use crate::interface;
use crate::validation::validate;

/// The size of the interpreter's stack, in bytes. It is so large that the limit of the wrappers is
/// reached first.
const STACK: usize = 16 << 20;

/// A module that has been validated and compiled.
pub(crate) struct Compiled {
    pub(crate) engine: Engine,
    pub(crate) module: wasmi::Module,
    pub(crate) version: AbiVersion,
    pub(crate) host_memory: HostMemory,
    pub(crate) names: Names,
    pub(crate) frame_sizes: FrameSizes,
}

impl Compiled {
    /// Validates and compiles a module. `symbols` may be the same module with names of functions.
    pub(crate) fn new(bytes: &[u8], symbols: Option<&[u8]>) -> Result<Self, Error> {
        let validated = validate(bytes)?;
        let sections = Sections::read(bytes).map_err(|error| Error::Load(error.to_string()))?;
        let version = sections.abi_version()?;
        sections.check_names()?;
        sections.check_imports()?;
        let engine = Engine::new(&configuration());
        // A wrapper would turn a tail call into an ordinary one.
        let (module, frame_sizes) = if validated.uses_tail_calls {
            (wasmi::Module::new(&engine, bytes), FrameSizes::default())
        } else {
            let (wrapped, frame_sizes) = backtrace::wrap(bytes)?;
            (wasmi::Module::new(&engine, &wrapped), frame_sizes)
        };
        let module = module.map_err(|error| Error::Unsupported(error.to_string()))?;
        interface::check_exports(&module, version)?;
        Ok(Self {
            engine,
            module,
            version,
            host_memory: sections.host_memory(),
            names: backtrace::names(symbols.unwrap_or(bytes)),
            frame_sizes,
        })
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Compiled")
    }
}

/// The interpreter's configuration. Its other defaults are the proposals of V8 in Envoy.
fn configuration() -> Config {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(CompilationMode::Eager)
        // A function and its wrapper.
        .set_max_recursion_depth(2 * backtrace::MAX_DEPTH)
        .set_max_stack_height(STACK);
    config
}
