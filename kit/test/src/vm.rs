//! The WebAssembly VM: loading a module, and calling it.

use std::collections::HashMap;

use wasmi::errors::ErrorKind;
use wasmi::{CompilationMode, Config, Engine, Func, Memory, Store, TrapCode, Val};

use crate::backtrace::{self, Backtrace, Names};
use crate::error::{Error, Frame, Limit, Trap};
use crate::host::Host;
use crate::module::Module;
use crate::offer::Offer;
use crate::options::Options;
use crate::{host_calls, interface, wasi};

/// A VM with one instance of a module.
pub(crate) struct Vm {
    store: Store<Host>,
    callbacks: HashMap<&'static str, Func>,
    memory: Memory,
    backtrace: Option<Backtrace>,
    names: Names,
    has_ended: bool,
}

impl Vm {
    /// Loads a module as Envoy does: checks its marker, exports and imports, and calls `_initialize`
    /// and `main`, or `_start` (ABI: "Integration").
    pub(crate) fn load(module: &Module, options: Options) -> Result<Self, Error> {
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .compilation_mode(CompilationMode::Eager)
            .set_max_recursion_depth(backtrace::MAX_DEPTH);
        let engine = Engine::new(&config);
        let bytes = module.binary()?;
        wasmi::Module::validate(&engine, &bytes).map_err(load_error)?;
        let names = backtrace::names(module.symbols.as_deref().unwrap_or(&bytes));
        let wrapped = backtrace::wrap(&bytes)?;
        let module = wasmi::Module::new(&engine, &wrapped).map_err(load_error)?;
        let version = interface::abi_version(&module)?;
        interface::check_exports(&module, version)?;

        let mut offer = Offer::new(&engine, version);
        host_calls::offer(&mut offer).map_err(load_error)?;
        wasi::offer(&mut offer).map_err(load_error)?;
        interface::check_imports(&module, version, |module, name| offer.has(module, name))?;

        let mut store = Store::new(&engine, Host::new(options));
        store.limiter(|host| &mut host.limits);
        refuel(&mut store)?;
        store.data_mut().is_instantiating = true;
        let instance = offer
            .linker()
            .instantiate_and_start(&mut store, &module)
            .map_err(|error| start_error(&mut store, error))?;
        store.data_mut().is_instantiating = false;
        store.data_mut().is_starting = true;
        let memory = instance
            .get_memory(&store, "memory")
            .ok_or_else(|| Error::Load("it exports no memory".to_owned()))?;
        let callbacks = interface::callbacks(&module, version)
            .filter_map(|callback| {
                let function = instance.get_func(&store, callback.name)?;
                Some((callback.name, function))
            })
            .collect();
        let backtrace = Backtrace::of(&instance, &store);
        let mut vm = Self {
            store,
            callbacks,
            memory,
            backtrace,
            names,
            has_ended: false,
        };
        // `_start` is looked up only without `_initialize`, and `main` only with it.
        for name in ["_initialize", "_start", "main"] {
            if let Some(function) = vm.callbacks.get(name).copied() {
                vm.run(name, function, &[0, 0])?;
            }
        }
        vm.host_mut().is_starting = false;
        Ok(vm)
    }

    pub(crate) fn host(&self) -> &Host {
        self.store.data()
    }

    pub(crate) fn host_mut(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// Gives the next step of a test its fuel.
    pub(crate) fn refuel(&mut self) -> Result<(), Error> {
        refuel(&mut self.store)
    }

    /// The size of the module's memory, in pages of 64 KiB.
    pub(crate) fn memory_pages(&self) -> u64 {
        self.memory.size(&self.store)
    }

    /// Calls a callback for a context. `None` if the module does not export it.
    pub(crate) fn call(
        &mut self,
        callback: &'static str,
        context: u32,
        arguments: &[u32],
    ) -> Result<Option<u32>, Error> {
        if self.has_ended {
            return Err(Error::VmTerminated);
        }
        let Some(func) = self.callbacks.get(callback).copied() else {
            return Ok(None);
        };
        let host = self.host_mut();
        host.current = context;
        host.effective = None;
        host.callback_log.clear();
        let before = self.fuel();
        self.host_mut().host_fuel = 0;
        let mut all = vec![context];
        all.extend_from_slice(arguments);
        let result = self.run(callback, func, &all)?;
        let left = self.fuel() + self.host().host_fuel;
        let used = before.saturating_sub(left);
        let host = self.host_mut();
        host.effective = None;
        if let Some(stream) = host.streams.get_mut(&context) {
            stream.fuel += used;
        }
        Ok(Some(result))
    }

    fn fuel(&self) -> u64 {
        self.store.get_fuel().unwrap_or_default()
    }

    /// Runs a function with as many of the arguments as it has parameters. Returns 0 if it has no
    /// result.
    fn run(&mut self, name: &str, func: Func, arguments: &[u32]) -> Result<u32, Error> {
        let signature = func.ty(&self.store);
        let arguments: Vec<_> = arguments
            .iter()
            .take(signature.params().len())
            .map(|argument| Val::I32(argument.cast_signed()))
            .collect();
        let mut results = vec![Val::I32(0); signature.results().len()];
        match func.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => match results.first() {
                Some(Val::I32(result)) => Ok(result.cast_unsigned()),
                _ => Ok(0),
            },
            Err(error) => {
                self.has_ended = true;
                let frames = match &self.backtrace {
                    Some(backtrace) => backtrace.frames(&self.store, &self.names),
                    None => Vec::new(),
                };
                Err(trap(self.host_mut(), name, &error, frames))
            }
        }
    }
}

fn refuel(store: &mut Store<Host>) -> Result<(), Error> {
    let fuel = store.data().options.fuel_limit;
    store.set_fuel(fuel).map_err(load_error)
}

/// A trap in the start section, or another reason why there is no instance.
fn start_error(store: &mut Store<Host>, error: wasmi::Error) -> Error {
    match error.kind() {
        ErrorKind::TrapCode(_) | ErrorKind::Message(_) => {
            trap(store.data_mut(), "start section", &error, Vec::new())
        }
        _ => load_error(error),
    }
}

fn trap(host: &mut Host, callback: &str, error: &wasmi::Error, backtrace: Vec<Frame>) -> Error {
    let limit = match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => Some(Limit::Fuel),
        Some(TrapCode::StackOverflow) => Some(Limit::CallDepth),
        _ => host.limits.has_refused_memory.then_some(Limit::Memory),
    };
    Error::Trap(Trap {
        callback: callback.to_owned(),
        reason: error.to_string(),
        backtrace,
        log: std::mem::take(&mut host.callback_log),
        limit,
    })
}

fn load_error(error: wasmi::Error) -> Error {
    Error::Load(error.to_string())
}
