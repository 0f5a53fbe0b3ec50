//! Validates a module, and finds the proposals that it needs.

use wasmparser::types::Types;
use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

use crate::error::Error;
use crate::proposals::{PROPOSALS, Proposal};

/// Validates a module with every proposal that a proxy has. Then disables proposals, the newest
/// first, and leaves them disabled if the module is still valid.
pub fn validate(bytes: &[u8]) -> Result<(Types, Vec<&'static Proposal>), Error> {
    // These two are not proposals: floating point has always been there, and the other one only
    // allows the types of enabled proposals.
    let mut features = WasmFeatures::FLOATS.union(WasmFeatures::GC_TYPES);
    for proposal in &PROPOSALS {
        features.insert(proposal.features);
    }
    let types = match validate_with(bytes, features) {
        Ok(types) => types,
        Err(error) => match validate_with(bytes, WasmFeatures::all()) {
            Ok(_) => return Err(Error::unsupported_proposal(&error)),
            Err(error) => return Err(Error::invalid(&error)),
        },
    };
    let mut needed = Vec::new();
    disable(bytes, &mut features, &PROPOSALS, &mut needed);
    needed.reverse();
    Ok((types, needed))
}

/// Disables those of some proposals that the module does not need: all of them if it needs none,
/// else the newer half, then the older half. Most modules are validated a few times so, instead of
/// once for each proposal.
fn disable(
    bytes: &[u8],
    features: &mut WasmFeatures,
    proposals: &'static [Proposal],
    needed: &mut Vec<&'static Proposal>,
) {
    let mut without = *features;
    for proposal in proposals {
        without.remove(proposal.features);
    }
    if validate_with(bytes, without).is_ok() {
        *features = without;
    } else if let [proposal] = proposals {
        needed.push(proposal);
    } else {
        let (older, newer) = proposals.split_at(proposals.len() / 2);
        disable(bytes, features, newer, needed);
        disable(bytes, features, older, needed);
    }
}

fn validate_with(bytes: &[u8], features: WasmFeatures) -> Result<Types, BinaryReaderError> {
    Validator::new_with_features(features).validate_all(bytes)
}
