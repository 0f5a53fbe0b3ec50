//! Validates a module, and names the proposals that the interpreter does not have.

use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

use crate::error::Error;

/// The proposals that the V8 of Envoy 1.40 has and the interpreter does not.
const MISSING: [(&str, WasmFeatures); 5] = [
    ("threads", WasmFeatures::THREADS),
    ("legacy-exceptions", WasmFeatures::LEGACY_EXCEPTIONS),
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("function-references", WasmFeatures::FUNCTION_REFERENCES),
    ("gc", WasmFeatures::GC),
];

/// The proposals that both have, besides tail calls.
const COMMON: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::GC_TYPES) // the types of reference-types
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::MEMORY64);

/// The features of a valid module that affect how it is loaded.
pub(crate) struct Validated {
    pub(crate) uses_tail_calls: bool,
}

/// Validates a module.
pub(crate) fn validate(module: &[u8]) -> Result<Validated, Error> {
    let with_tail_calls = COMMON.union(WasmFeatures::TAIL_CALL);
    for (features, uses_tail_calls) in [(COMMON, false), (with_tail_calls, true)] {
        if is_valid(module, features).is_ok() {
            return Ok(Validated { uses_tail_calls });
        }
    }
    Err(problem(module, with_tail_calls))
}

/// Why the interpreter does not load a module.
fn problem(module: &[u8], interpreter: WasmFeatures) -> Error {
    let v8 = MISSING
        .iter()
        .fold(interpreter, |features, (_, missing)| features | *missing);
    if let Err(error) = is_valid(module, v8) {
        return Error::Load(match is_valid(module, WasmFeatures::all()) {
            Ok(()) => format!("it needs a WebAssembly proposal that Envoy does not have: {error}"),
            Err(error) => error.to_string(),
        });
    }
    let needed: Vec<_> = MISSING
        .iter()
        .filter(|(_, missing)| is_valid(module, v8.difference(*missing)).is_err())
        .map(|(name, _)| *name)
        .collect();
    let plural = if needed.len() > 1 { "s" } else { "" };
    Error::Unsupported(format!(
        "it needs the WebAssembly proposal{plural} {}, which Envoy has and the interpreter of the \
         embedded proxy does not; test it in a real Envoy",
        needed.join(" and ")
    ))
}

fn is_valid(module: &[u8], features: WasmFeatures) -> Result<(), BinaryReaderError> {
    Validator::new_with_features(features)
        .validate_all(module)
        .map(drop)
}
