//! The WebAssembly proposals, and the first Envoy release whose engine has each.

use proxy_wasm_abi::EnvoyVersion;
use wasmparser::WasmFeatures;

/// A proposal: an extension of the first version of WebAssembly.
#[derive(Debug)]
#[non_exhaustive]
pub struct Proposal {
    /// The name of its specification.
    pub name: &'static str,
    /// The version of V8 that enabled it by default.
    pub v8: &'static str,
    /// The oldest Envoy release that loads a module that needs it.
    pub since: EnvoyVersion,
    pub(crate) features: WasmFeatures,
}

/// V8 8.8 in 1.17.0 and 1.17.1, and 9.0 in later patch releases. Envoy 1.18 has V8 9.0.
const ENVOY_1_17: EnvoyVersion = EnvoyVersion::OLDEST;
/// V8 9.2. Envoy 1.20 has the same.
const ENVOY_1_19: EnvoyVersion = EnvoyVersion::new(1, 19);
/// V8 9.8. Envoy 1.22 has V8 10.0, 1.23 has 10.4, and 1.24 to 1.34 have 10.7.
const ENVOY_1_21: EnvoyVersion = EnvoyVersion::new(1, 21);
/// V8 13.8. Envoy 1.36 and 1.37 have the same; releases since 1.38 have V8 14.6.
const ENVOY_1_35: EnvoyVersion = EnvoyVersion::new(1, 35);

/// The proposals that the V8 of some Envoy release enables, oldest first.
pub static PROPOSALS: [Proposal; 17] = {
    use WasmFeatures as F;
    [
        proposal("mutable-globals", "7.4", ENVOY_1_17, F::MUTABLE_GLOBAL),
        proposal("sign-extension", "7.4", ENVOY_1_17, F::SIGN_EXTENSION),
        proposal(
            "saturating-float-to-int",
            "7.5",
            ENVOY_1_17,
            F::SATURATING_FLOAT_TO_INT,
        ),
        proposal("bulk-memory", "7.5", ENVOY_1_17, F::BULK_MEMORY),
        proposal("multi-value", "8.6", ENVOY_1_17, F::MULTI_VALUE),
        proposal("simd", "9.1", ENVOY_1_19, F::SIMD),
        proposal("threads", "9.1", ENVOY_1_19, F::THREADS),
        proposal("legacy-exceptions", "9.5", ENVOY_1_21, F::LEGACY_EXCEPTIONS),
        proposal(
            "reference-types",
            "9.6",
            ENVOY_1_21,
            F::REFERENCE_TYPES.union(F::CALL_INDIRECT_OVERLONG),
        ),
        proposal("tail-calls", "11.2", ENVOY_1_35, F::TAIL_CALL),
        proposal("extended-constants", "11.4", ENVOY_1_35, F::EXTENDED_CONST),
        proposal("relaxed-simd", "11.4", ENVOY_1_35, F::RELAXED_SIMD),
        proposal(
            "function-references",
            "11.9",
            ENVOY_1_35,
            F::FUNCTION_REFERENCES,
        ),
        proposal("gc", "11.9", ENVOY_1_35, F::GC),
        proposal("multi-memory", "12.0", ENVOY_1_35, F::MULTI_MEMORY),
        proposal("memory64", "13.3", ENVOY_1_35, F::MEMORY64),
        proposal("exceptions", "13.7", ENVOY_1_35, F::EXCEPTIONS),
    ]
};

const fn proposal(
    name: &'static str,
    v8: &'static str,
    since: EnvoyVersion,
    features: WasmFeatures,
) -> Proposal {
    Proposal {
        name,
        v8,
        since,
        features,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_sorted_by_version() {
        let version = |text: &str| -> Vec<u32> {
            text.split('.')
                .map(|part| part.parse().expect(text))
                .collect()
        };
        for pair in PROPOSALS.windows(2) {
            assert!(version(pair[0].v8) <= version(pair[1].v8), "{pair:?}");
            assert!(pair[0].since <= pair[1].since, "{pair:?}");
        }
    }
}
