//! A module's exports and imports, checked as Envoy checks them (ABI: "Integration").

use proxy_wasm_abi::{
    AbiVersion, CALLBACKS, Function, Signature, ValueType, host_function, is_looked_up,
};
use wasmi::{ExternType, FuncType, Module, ValType};

use crate::error::Error;

/// The ABI version of a module, by the marker that it exports.
pub(crate) fn abi_version(module: &Module) -> Result<AbiVersion, Error> {
    let markers = module.exports().map(|export| export.name());
    match markers.filter_map(AbiVersion::from_marker).max() {
        Some(AbiVersion::V0_1_0) => Err(Error::Load(
            "its ABI version is 0.1.0, and the embedded proxy supports 0.2.0 and 0.2.1; \
             build it with a newer SDK"
                .to_owned(),
        )),
        Some(version) => Ok(version),
        None => Err(Error::Load(format!(
            "it exports no {}; build it with a Proxy-Wasm SDK",
            AbiVersion::V0_2_1.marker()
        ))),
    }
}

/// The callbacks that Envoy looks for in a module of this version.
pub(crate) fn callbacks(
    module: &Module,
    version: AbiVersion,
) -> impl Iterator<Item = &'static Function> {
    CALLBACKS.iter().filter(move |callback| {
        callback.is_in(version)
            && is_looked_up(callback.name, |name| module.get_export(name).is_some())
    })
}

/// Checks that a module exports a memory, an allocator, and callbacks with the right signatures.
pub(crate) fn check_exports(module: &Module, version: AbiVersion) -> Result<(), Error> {
    let has = |name: &str| module.get_export(name).is_some();
    if !matches!(module.get_export("memory"), Some(ExternType::Memory(_))) {
        return Err(Error::Load("it exports no memory".to_owned()));
    }
    if !has("proxy_on_memory_allocate") && !has("malloc") {
        return Err(Error::Load(
            "it exports neither proxy_on_memory_allocate nor malloc".to_owned(),
        ));
    }
    for callback in callbacks(module, version) {
        let Some(export) = module.get_export(callback.name) else {
            continue;
        };
        let matches = export
            .func()
            .is_some_and(|function| has_signature(function, &callback.signature));
        if !matches {
            return Err(Error::Load(format!(
                "it exports {} with another type than the ABI's function {}",
                callback.name, callback.signature
            )));
        }
    }
    Ok(())
}

/// Checks that the ABI has all that a module imports, with the same signatures, and that this host
/// offers it.
pub(crate) fn check_imports(
    module: &Module,
    version: AbiVersion,
    is_offered: impl Fn(&str, &str) -> bool,
) -> Result<(), Error> {
    let problems: Vec<_> = module
        .imports()
        .filter_map(|import| {
            let (module, name) = (import.module(), import.name());
            let problem = match host_function(module, name, version) {
                None => "which no proxy offers".to_owned(),
                Some(function) => {
                    let signature = &function.signature;
                    let import = import.ty().func();
                    if !import.is_some_and(|import| has_signature(import, signature)) {
                        format!("which is {signature} in the ABI")
                    } else if !is_offered(module, name) {
                        "which the embedded proxy does not offer".to_owned()
                    } else {
                        return None;
                    }
                }
            };
            Some(format!("{module}.{name}, {problem}"))
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Load(format!("it imports {}", problems.join("; "))))
    }
}

/// Whether a function has a signature of the ABI.
fn has_signature(function: &FuncType, signature: &Signature) -> bool {
    let types = |types: &[ValType]| types.iter().map(value_type).collect::<Option<Vec<_>>>();
    match (types(function.params()), types(function.results())) {
        (Some(parameters), Some(results)) => signature.matches(&parameters, &results),
        _ => false,
    }
}

/// A type as the ABI names it. It has no others.
fn value_type(value_type: &ValType) -> Option<ValueType> {
    match value_type {
        ValType::I32 => Some(ValueType::I32),
        ValType::I64 => Some(ValueType::I64),
        _ => None,
    }
}
