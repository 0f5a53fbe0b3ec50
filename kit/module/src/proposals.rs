//! Which extensions of WebAssembly a module needs, and so the oldest proxy that loads it.
//!
//! Envoy runs modules in V8. Its version, and with it the set of proposals, came with Envoy's
//! dependency updates: 8.9 in Envoy 1.17 and 1.18, 9.2 in 1.19 and 1.20, 9.5 and later only after
//! 1.20 was out, 10.7 from 1.25, 13.8 from 1.35.

use anyhow::{Result, bail};
use wasmparser::types::Types;
use wasmparser::{Validator, WasmFeatures};

/// An extension of WebAssembly's first version.
#[derive(Debug)]
pub struct Proposal {
    /// The name that its specification has.
    pub name: &'static str,
    /// The version of V8 that turned it on by default.
    pub v8: &'static str,
    /// The oldest proxy that loads a module which needs it.
    pub oldest: Proxy,
    features: WasmFeatures,
}

/// A generation of Envoy, by what its V8 takes. Older ones are less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proxy {
    /// V8 8.9.
    Envoy1_17,
    /// V8 9.2.
    Envoy1_19,
    /// V8 9.5 or later.
    AfterEnvoy1_20,
    /// V8 13.8.
    Envoy1_35,
}

impl Proxy {
    /// The oldest versions of this generation.
    pub fn since(self) -> &'static str {
        match self {
            Self::Envoy1_17 => "Envoy 1.17, Istio 1.9, Maistra 2.1",
            Self::Envoy1_19 => "Envoy 1.19, Istio 1.11, Maistra 2.2",
            Self::AfterEnvoy1_20 => "Envoy 1.21, Istio 1.13, Maistra 2.3",
            Self::Envoy1_35 => "Envoy 1.35, no release of Maistra",
        }
    }

    /// The proxies that refuse what needs this generation; `None` for the oldest.
    pub fn refusing(self) -> Option<&'static str> {
        match self {
            Self::Envoy1_17 => None,
            Self::Envoy1_19 => Some("Maistra 2.1 (Envoy 1.18 and older)"),
            Self::AfterEnvoy1_20 => Some("Maistra 2.1 and 2.2 (Envoy 1.20 and older)"),
            Self::Envoy1_35 => Some("every release of Maistra (Envoy 1.34 and older)"),
        }
    }
}

const fn proposal(
    name: &'static str,
    v8: &'static str,
    oldest: Proxy,
    features: WasmFeatures,
) -> Proposal {
    Proposal {
        name,
        v8,
        oldest,
        features,
    }
}

/// Every proposal that a proxy's V8 has turned on, oldest first.
pub static PROPOSALS: [Proposal; 17] = {
    use Proxy::{AfterEnvoy1_20, Envoy1_17, Envoy1_19, Envoy1_35};
    use WasmFeatures as F;
    [
        proposal("mutable-globals", "7.4", Envoy1_17, F::MUTABLE_GLOBAL),
        proposal("sign-extension", "7.4", Envoy1_17, F::SIGN_EXTENSION),
        proposal("threads", "7.4", Envoy1_17, F::THREADS),
        proposal(
            "saturating-float-to-int",
            "7.5",
            Envoy1_17,
            F::SATURATING_FLOAT_TO_INT,
        ),
        proposal("bulk-memory", "7.5", Envoy1_17, F::BULK_MEMORY),
        proposal("multi-value", "8.5", Envoy1_17, F::MULTI_VALUE),
        proposal("simd", "9.1", Envoy1_19, F::SIMD),
        proposal(
            "legacy-exceptions",
            "9.5",
            AfterEnvoy1_20,
            F::LEGACY_EXCEPTIONS,
        ),
        proposal(
            "reference-types",
            "9.6",
            AfterEnvoy1_20,
            F::REFERENCE_TYPES.union(F::CALL_INDIRECT_OVERLONG),
        ),
        proposal("tail-calls", "11.2", Envoy1_35, F::TAIL_CALL),
        proposal("extended-constants", "11.4", Envoy1_35, F::EXTENDED_CONST),
        proposal("relaxed-simd", "11.4", Envoy1_35, F::RELAXED_SIMD),
        proposal(
            "function-references",
            "11.9",
            Envoy1_35,
            F::FUNCTION_REFERENCES,
        ),
        proposal("gc", "11.9", Envoy1_35, F::GC),
        proposal("multi-memory", "12.0", Envoy1_35, F::MULTI_MEMORY),
        proposal("memory64", "13.3", Envoy1_35, F::MEMORY64),
        proposal("exceptions", "13.7", Envoy1_35, F::EXCEPTIONS),
    ]
};

/// Validates a module, and finds what it can't do without: proposals are switched off, from the
/// newest on, and stay off if the module is still valid.
pub(super) fn validate(bytes: &[u8]) -> Result<(Types, Vec<&'static Proposal>)> {
    // Neither is a proposal: floating point was there from the start, and the other only lets the
    // types of proposals stand that are on themselves.
    let mut features = WasmFeatures::FLOATS.union(WasmFeatures::GC_TYPES);
    for proposal in &PROPOSALS {
        features.insert(proposal.features);
    }
    let types = match validated(bytes, features) {
        Ok(types) => types,
        Err(error) => match validated(bytes, WasmFeatures::all()) {
            Ok(_) => bail!("it needs a proposal that no proxy has: {error}"),
            Err(error) => bail!("it is not valid WebAssembly: {error}"),
        },
    };
    let mut needed = Vec::new();
    narrow(bytes, &mut features, &PROPOSALS, &mut needed);
    needed.reverse();
    Ok((types, needed))
}

/// Switches off those of some proposals that the module can do without: all of them at once if it
/// can, and else the newer half, then the older one. Most modules are read a few times so, instead
/// of once for each proposal.
fn narrow(
    bytes: &[u8],
    features: &mut WasmFeatures,
    proposals: &'static [Proposal],
    needed: &mut Vec<&'static Proposal>,
) {
    let mut without = *features;
    for proposal in proposals {
        without.remove(proposal.features);
    }
    if validated(bytes, without).is_ok() {
        *features = without;
    } else if let [proposal] = proposals {
        needed.push(proposal);
    } else {
        let (older, newer) = proposals.split_at(proposals.len() / 2);
        narrow(bytes, features, newer, needed);
        narrow(bytes, features, older, needed);
    }
}
/// Validates with some features: the types, or what is wrong.
fn validated(bytes: &[u8], features: WasmFeatures) -> Result<Types, wasmparser::BinaryReaderError> {
    Validator::new_with_features(features).validate_all(bytes)
}
