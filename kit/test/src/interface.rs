//! A module's exports and imports, checked as Envoy checks them (ABI: "Integration").

use proxy_wasm_abi::{
    AbiVersion, CALLBACKS, Function, HOST_MODULE, Signature, ValueType, host_function, is_looked_up,
};
use wasmi::{ExternType, FuncType, Module, ValType};

use crate::error::Error;

/// The function that a module exports under this name. Envoy ignores other exports.
fn function(module: &Module, name: &str) -> Option<FuncType> {
    module.get_export(name)?.func().cloned()
}

/// The callbacks that Envoy finds in a module of this version, with the types that they have there.
pub(crate) fn callbacks(
    module: &Module,
    version: AbiVersion,
) -> impl Iterator<Item = (&'static Function, FuncType)> {
    CALLBACKS
        .iter()
        .filter(move |callback| {
            callback.is_in(version)
                && is_looked_up(callback.name, |name| function(module, name).is_some())
        })
        .filter_map(|callback| Some((callback, function(module, callback.name)?)))
}

/// Checks that a module exports an allocator, and callbacks with the right signatures. Envoy checks
/// these even if it never calls them.
pub(crate) fn check_exports(module: &Module, version: AbiVersion) -> Result<(), Error> {
    for (callback, function) in callbacks(module, version) {
        if !has_signature(&function, &callback.signature) {
            return Err(Error::Load(format!(
                "it exports {} with the wrong type: ABI {version} defines {}",
                callback.name, callback.signature
            )));
        }
    }
    if ALLOCATORS
        .iter()
        .all(|name| function(module, name).is_none())
    {
        return Err(Error::Load(format!(
            "it exports neither {}",
            ALLOCATORS.join(" nor ")
        )));
    }
    Ok(())
}

/// The allocators. If a module exports both, `malloc` is called.
pub(crate) const ALLOCATORS: [&str; 2] = ["malloc", "proxy_on_memory_allocate"];

/// Checks that the ABI has all that a module imports, with the same signatures, and that this host
/// offers it. A memory and a table of any name are imported from the host as well.
pub(crate) fn check_imports(
    module: &Module,
    version: AbiVersion,
    is_offered: impl Fn(&str, &str) -> bool,
) -> Result<(), Error> {
    let mut not_offered = Vec::new();
    let problems: Vec<_> = module
        .imports()
        .filter_map(|import| {
            let (module, name) = (import.module(), import.name());
            let function = match import.ty() {
                ExternType::Func(function) => function,
                ExternType::Memory(_) | ExternType::Table(_) => return None,
                ExternType::Global(_) => {
                    return Some(format!("the global {module}.{name}, which no proxy offers"));
                }
            };
            let problem = match host_function(module, name, version) {
                None => unknown(module, name),
                Some(known) if !has_signature(function, &known.signature) => {
                    format!("which is {} in the ABI", known.signature)
                }
                Some(_) => {
                    if !is_offered(module, name) {
                        not_offered.push(format!("{module}.{name}"));
                    }
                    return None;
                }
            };
            Some(format!("{module}.{name}, {problem}"))
        })
        .collect();
    if !problems.is_empty() {
        return Err(Error::Load(format!("it imports {}", problems.join("; "))));
    }
    if !not_offered.is_empty() {
        return Err(Error::Unsupported(format!(
            "it imports {}, which Envoy offers and the embedded proxy does not",
            not_offered.join(" and ")
        )));
    }
    Ok(())
}

/// Why a proxy does not offer a function to a module.
fn unknown(module: &str, name: &str) -> String {
    let versions: Vec<_> = AbiVersion::ALL
        .iter()
        .filter(|version| module == HOST_MODULE && host_function(module, name, **version).is_some())
        .map(ToString::to_string)
        .collect();
    if versions.is_empty() {
        "which no proxy offers".to_owned()
    } else {
        format!("which proxies offer to ABI {} only", versions.join(" and "))
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

/// A type as the ABI names it. `None` if the ABI does not have it.
fn value_type(value_type: &ValType) -> Option<ValueType> {
    match value_type {
        ValType::I32 => Some(ValueType::I32),
        ValType::I64 => Some(ValueType::I64),
        _ => None,
    }
}
