//! The WebAssembly VM: loading a module, and calling it.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmi::errors::{ErrorKind, InstantiationError, MemoryError};
use wasmi::{Func, Instance, Memory, Store, TrapCode, Val};

use crate::backtrace::Backtrace;
use crate::binary::HostMemory;
use crate::compiled::Compiled;
use crate::error::{Error, Limit, Trap};
use crate::host::Host;
use crate::imports::Imports;
use crate::limits::Limits;
use crate::module::Module;
use crate::options::Options;
use crate::phase::ExecutionPhase;
use crate::{host_calls, interface, wasi};

/// A VM with one instance of a module.
pub(crate) struct Vm {
    store: Store<Host>,
    callbacks: BTreeMap<&'static str, Func>,
    memory: Option<Memory>,
    backtrace: Option<Backtrace>,
    compiled: Arc<Compiled>,
    has_ended: bool,
}

impl Vm {
    /// Loads a module as Envoy does: checks its marker, exports and imports, and calls `_initialize`
    /// and `main`, or `_start` (ABI: "Integration").
    pub(crate) fn load(module: &Module, options: Options) -> Result<Self, Error> {
        let compiled = module.compile()?;
        let (engine, module, version) = (&compiled.engine, &compiled.module, compiled.version);
        let mut imports = Imports::new(engine, module, version);
        host_calls::define_imports(&mut imports).map_err(load_error)?;
        wasi::define_imports(&mut imports).map_err(load_error)?;
        interface::check_imports(module, version, |module, name| imports.has(module, name))?;

        let mut store = Store::new(engine, Host::new(options, version));
        store.limiter(|host| &mut host.limits);
        refuel(&mut store)?;
        let imported = imports
            .provide_memory_and_table(&mut store, module)
            .map_err(instantiation_error)?;
        let instance = imports
            .linker()
            .instantiate_and_start(&mut store, module)
            .map_err(|error| start_error(&mut store, error))?;
        let memory = match &compiled.host_memory {
            HostMemory::Exported(name) => instance.get_memory(&store, name),
            HostMemory::Imported => imported,
            HostMemory::None => None,
        };
        let callbacks = interface::callbacks(module, version)
            .filter_map(|(callback, _)| {
                let function = instance.get_func(&store, callback.name)?;
                Some((callback.name, function))
            })
            .collect();
        let backtrace = Backtrace::of(&instance, &store, compiled.frame_sizes.clone());
        let mut vm = Self {
            store,
            callbacks,
            memory,
            backtrace,
            compiled: Arc::clone(&compiled),
            has_ended: false,
        };
        vm.prepare_host(&instance)?;
        vm.start()?;
        Ok(vm)
    }

    /// Gives the host the memory and the allocator that host calls use, and sets the limit of the
    /// memory.
    fn prepare_host(&mut self, instance: &Instance) -> Result<(), Error> {
        let limit = self.host().options.memory_limit;
        let size = self
            .memory
            .map_or(0, |memory| memory.data_size(&self.store));
        if size > limit {
            return Err(Error::Unsupported(format!(
                "its memory starts with {size} bytes, and the limit is {limit} (Options::memory_limit)"
            )));
        }
        let allocator = interface::ALLOCATORS
            .into_iter()
            .filter_map(|name| instance.get_func(&self.store, name))
            .find_map(|function| function.typed(&self.store).ok());
        let memory = self.memory;
        let host = self.host_mut();
        host.limits = Limits::new(limit);
        host.memory = memory;
        host.allocator = allocator;
        Ok(())
    }

    /// Calls `_initialize` and then `main`, or `__main_void` if there is no `main`. Without
    /// `_initialize`, it calls `_start`.
    fn start(&mut self) -> Result<(), Error> {
        self.host_mut().phase = ExecutionPhase::Starting;
        let has_main = self.callbacks.contains_key("main");
        for name in ["_initialize", "_start", "main", "__main_void"] {
            if name == "__main_void" && has_main {
                continue;
            }
            if let Some(function) = self.callbacks.get(name).copied() {
                self.run(name, function, &[Val::I32(0), Val::I32(0)])?;
            }
        }
        self.host_mut().phase = ExecutionPhase::Running;
        Ok(())
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
        self.memory.map_or(0, |memory| memory.size(&self.store))
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
        let mut values = Vec::with_capacity(1 + arguments.len());
        values.push(Val::I32(context.cast_signed()));
        for argument in arguments {
            values.push(Val::I32(argument.cast_signed()));
        }
        let result = self.run(callback, func, &values)?;
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
    fn run(&mut self, name: &str, func: Func, arguments: &[Val]) -> Result<u32, Error> {
        let signature = func.ty(&self.store);
        let arguments = &arguments[..arguments.len().min(signature.params().len())];
        let mut results = vec![Val::I32(0); signature.results().len()];
        self.host_mut().exit_code = None;
        match func.call(&mut self.store, arguments, &mut results) {
            Ok(()) => match results.first() {
                Some(Val::I32(result)) => Ok(result.cast_unsigned()),
                _ => Ok(0),
            },
            Err(error) => Err(Error::Trap(self.trap(name, &error))),
        }
    }

    /// Terminates the VM, and returns the trap.
    fn trap(&mut self, callback: &str, error: &wasmi::Error) -> Trap {
        self.has_ended = true;
        let mut reason = error.to_string();
        let mut limit = reached_limit(self.host(), error);
        let mut backtrace = Vec::new();
        if let Some(stack) = &self.backtrace {
            if error.as_trap_code() == Some(TrapCode::MemoryOutOfBounds)
                && stack.is_full(&self.store)
            {
                reason = TrapCode::StackOverflow.to_string();
                limit = Some(Limit::CallDepth);
            }
            backtrace = stack.frames(&self.store, &self.compiled.names);
        }
        if let Some(code) = self.host().exit_code {
            reason.push_str(&format!(
                " after proc_exit({code}), which does not end the module in Envoy, but returns"
            ));
        }
        Trap {
            callback: callback.to_owned(),
            reason,
            backtrace,
            log: std::mem::take(&mut self.host_mut().callback_log),
            limit,
        }
    }
}

/// The limit that a trap is due to, or may be due to.
fn reached_limit(host: &Host, error: &wasmi::Error) -> Option<Limit> {
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => Some(Limit::Fuel),
        Some(TrapCode::StackOverflow) => Some(Limit::CallDepth),
        _ => host.limits.has_denied_growth.then_some(Limit::Memory),
    }
}

fn refuel(store: &mut Store<Host>) -> Result<(), Error> {
    let fuel = store.data().options.fuel_limit;
    store.set_fuel(fuel).map_err(load_error)
}

/// A trap of the start section, or another reason why there is no instance.
fn start_error(store: &mut Store<Host>, error: wasmi::Error) -> Error {
    if !matches!(error.kind(), ErrorKind::TrapCode(_)) {
        return instantiation_error(error);
    }
    let host = store.data_mut();
    Error::Trap(Trap {
        callback: "start section".to_owned(),
        reason: error.to_string(),
        backtrace: Vec::new(),
        log: std::mem::take(&mut host.callback_log),
        limit: reached_limit(host, &error),
    })
}

/// Why a module has no instance.
fn instantiation_error(error: wasmi::Error) -> Error {
    Error::Load(match error.kind() {
        ErrorKind::Memory(MemoryError::OutOfBoundsAccess) => {
            "a data segment does not fit into its memory".to_owned()
        }
        ErrorKind::Memory(MemoryError::ResourceLimiterDeniedAllocation)
        | ErrorKind::Instantiation(InstantiationError::FailedToInstantiateMemory(_)) => {
            "the initial size of a memory is above the limit Options::memory_limit, which is 1 GiB \
             by default, as in Envoy"
                .to_owned()
        }
        ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) => {
            "an element segment does not fit into its table".to_owned()
        }
        ErrorKind::Instantiation(InstantiationError::FailedToInstantiateTable(_)) => {
            "the initial size of a table is above the limit of 10,000,000 elements".to_owned()
        }
        // The error of a host function.
        ErrorKind::Message(message) => message.to_string(),
        _ => return load_error(error),
    })
}

/// The error for a valid module that the interpreter does not load.
fn load_error(error: wasmi::Error) -> Error {
    Error::Unsupported(error.to_string())
}
