//! The WebAssembly VM: loading a module, and calling it.

use std::collections::HashMap;

use wasmi::{
    CompilationMode, Config, Engine, ExternType, Func, Linker, Memory, Store, Val, ValType,
};

use super::backtrace::{self, Backtrace, Names};
use super::context::Host;
use super::error::{Error, Trap};
use super::module::Module;
use super::options::Options;
use super::{host_calls, wasi};

/// The callbacks that this host calls: how many numbers they take, and whether they return one
/// (ABI: "Callbacks exposed by the Wasm module").
const CALLBACKS: [(&str, usize, bool); 16] = [
    ("proxy_on_context_create", 2, false),
    ("proxy_on_vm_start", 2, true),
    ("proxy_on_configure", 2, true),
    ("proxy_on_tick", 1, false),
    ("proxy_on_request_headers", 3, true),
    ("proxy_on_request_body", 3, true),
    ("proxy_on_request_trailers", 2, true),
    ("proxy_on_response_headers", 3, true),
    ("proxy_on_response_body", 3, true),
    ("proxy_on_response_trailers", 2, true),
    ("proxy_on_http_call_response", 5, false),
    ("proxy_on_queue_ready", 2, false),
    ("proxy_on_done", 1, true),
    ("proxy_on_log", 1, false),
    ("proxy_on_delete", 1, false),
    ("proxy_on_memory_allocate", 1, true),
];

/// What a module exports to be called at its start (ABI: "Integration").
const STARTS: [(&str, usize, bool); 3] = [
    ("_initialize", 0, false),
    ("_start", 0, false),
    ("main", 2, true),
];

/// A module as it runs.
pub(super) struct Vm {
    store: Store<Host>,
    callbacks: HashMap<&'static str, Func>,
    memory: Memory,
    backtrace: Option<Backtrace>,
    names: Names,
    has_ended: bool,
}

impl Vm {
    /// Loads a module as Envoy does: the ABI's marker, the exports and imports, then
    /// `_initialize` and `main`, or `_start` (ABI: "Integration").
    pub(super) fn load(module: &Module, options: Options) -> Result<Self, Error> {
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .compilation_mode(CompilationMode::Eager)
            .set_max_recursion_depth(backtrace::DEEPEST);
        let engine = Engine::new(&config);
        let bytes = module.binary()?;
        wasmi::Module::validate(&engine, &bytes).map_err(load_error)?;
        let names = backtrace::names(module.symbols.as_deref().unwrap_or(&bytes));
        let wrapped = backtrace::wrap(&bytes)?;
        let module = wasmi::Module::new(&engine, &wrapped).map_err(load_error)?;
        let has_log_level = check_exports(&module)?;

        let mut linker = Linker::new(&engine);
        host_calls::offer(&mut linker, has_log_level).map_err(load_error)?;
        wasi::offer(&mut linker).map_err(load_error)?;
        let mut store = Store::new(&engine, Host::new(options));
        // A name can be defined once: where a second definition is taken, there was no first.
        let mut offered = linker.clone();
        let nothing = Func::wrap(&mut store, || {});
        let unknown: Vec<_> = module
            .imports()
            .filter(|import| {
                let second = offered.define(import.module(), import.name(), nothing);
                second.is_ok()
            })
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect();
        if !unknown.is_empty() {
            return Err(Error::Load(format!(
                "no proxy offers what it imports: {}",
                unknown.join(", ")
            )));
        }

        store.limiter(|host| &mut host.limits);
        refuel(&mut store)?;
        store.data_mut().starting = true;
        let instance = linker
            .instantiate_and_start(&mut store, &module)
            .map_err(load_error)?;
        let memory = instance
            .get_memory(&store, "memory")
            .ok_or_else(|| Error::Load("it exports no memory".to_owned()))?;
        let callbacks = CALLBACKS
            .into_iter()
            .filter_map(|(name, ..)| Some((name, instance.get_func(&store, name)?)))
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
        let start = |name| instance.get_func(&vm.store, name).map(|func| (name, func));
        let starts = match start("_initialize") {
            Some(initialize) => [Some(initialize), start("main")],
            None => [start("_start"), None],
        };
        for (name, func) in starts.into_iter().flatten() {
            vm.run(name, func, &[0, 0])?;
        }
        vm.host_mut().starting = false;
        Ok(vm)
    }

    pub(super) fn host(&self) -> &Host {
        self.store.data()
    }

    pub(super) fn host_mut(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// Gives the next step of a test its fuel.
    pub(super) fn refuel(&mut self) -> Result<(), Error> {
        refuel(&mut self.store)
    }

    /// The size of the module's memory, in pages of 64 KiB.
    pub(super) fn memory_pages(&self) -> u64 {
        self.memory.size(&self.store)
    }

    /// Calls a callback for a context. `None` when the module does not export it.
    pub(super) fn call(
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

    /// Runs a function with as many of the arguments as it takes. Without a result, it is 0.
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
                Err(Error::Trap(Trap {
                    callback: name.to_owned(),
                    reason: error.to_string(),
                    backtrace: match &self.backtrace {
                        Some(backtrace) => backtrace.frames(&self.store, &self.names),
                        None => Vec::new(),
                    },
                    log: std::mem::take(&mut self.host_mut().callback_log),
                }))
            }
        }
    }
}

fn refuel(store: &mut Store<Host>) -> Result<(), Error> {
    let fuel = store.data().options.fuel_limit;
    store.set_fuel(fuel).map_err(load_error)
}

fn load_error(error: wasmi::Error) -> Error {
    Error::Load(error.to_string())
}

/// Checks what the module exports. Whether its ABI has `proxy_get_log_level`.
fn check_exports(module: &wasmi::Module) -> Result<bool, Error> {
    let has = |name: &str| module.get_export(name).is_some();
    let has_log_level = has("proxy_abi_version_0_2_1");
    if !has_log_level && !has("proxy_abi_version_0_2_0") {
        return Err(Error::Load(if has("proxy_abi_version_0_1_0") {
            "it speaks the ABI 0.1.0; this proxy speaks 0.2.0 and 0.2.1: build it with a newer SDK"
                .to_owned()
        } else {
            "it exports no proxy_abi_version_0_2_1: build it with a Proxy-Wasm SDK".to_owned()
        }));
    }
    if !matches!(module.get_export("memory"), Some(ExternType::Memory(_))) {
        return Err(Error::Load("it exports no memory".to_owned()));
    }
    if !has("proxy_on_memory_allocate") && !has("malloc") {
        return Err(Error::Load(
            "it exports neither proxy_on_memory_allocate nor malloc".to_owned(),
        ));
    }
    let malloc = ("malloc", 1, true);
    let starts = STARTS.into_iter().chain([malloc]);
    for (name, parameters, returns) in CALLBACKS.into_iter().chain(starts) {
        let Some(export) = module.get_export(name) else {
            continue;
        };
        let numbers = |count| [ValType::I32].repeat(count);
        let fits = export.func().is_some_and(|signature| {
            signature.params() == numbers(parameters)
                && signature.results() == numbers(returns.into())
        });
        if !fits {
            return Err(Error::Load(format!(
                "its {name} is not the function that the ABI names: {parameters} numbers of 32 bits, {} result",
                u8::from(returns)
            )));
        }
    }
    Ok(has_log_level)
}
