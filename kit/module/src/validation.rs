//! Validates a module, and finds the proposals that it needs.

use wasmparser::types::Types;
use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

use crate::error::Error;
use crate::exceptions::Exceptions;
use crate::proposals::{PROPOSALS, Proposal};

/// Validates a module with every proposal that a proxy supports. Then disables proposals, newest
/// first, as long as the module stays valid.
pub fn validate(bytes: &[u8]) -> Result<(Types, Vec<&'static Proposal>), Error> {
    // These two are not proposals: every engine has floating point, and the other one only allows
    // the types of enabled proposals.
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
    disable(bytes, &mut features, &PROPOSALS);
    select_exceptions(bytes, &mut features)?;
    let is_needed = |proposal: &&Proposal| features.contains(proposal.features);
    Ok((types, PROPOSALS.iter().filter(is_needed).collect()))
}

/// Disables the proposals that the module does not need: all at once if it needs none of them,
/// otherwise the newer half, then the older half. So most modules are validated a few times only,
/// not once for each proposal.
fn disable(bytes: &[u8], features: &mut WasmFeatures, proposals: &[Proposal]) {
    let mut without = *features;
    for proposal in proposals {
        without.remove(proposal.features);
    }
    if validate_with(bytes, without).is_ok() {
        *features = without;
    } else if proposals.len() > 1 {
        let (older, newer) = proposals.split_at(proposals.len() / 2);
        disable(bytes, features, newer);
        disable(bytes, features, older);
    }
}

/// Finds out which of the two exception proposals the module needs. The validator assigns tags and
/// `throw` to the current one; the legacy one has them, too, and V8 has supported it for longer.
fn select_exceptions(bytes: &[u8], features: &mut WasmFeatures) -> Result<(), Error> {
    if !features.contains(WasmFeatures::EXCEPTIONS) {
        return Ok(());
    }
    let found = Exceptions::read(bytes).map_err(|error| Error::invalid(&error))?;
    if found.legacy && found.current {
        return Err(Error::MixedExceptions);
    }
    if !found.current {
        features.remove(WasmFeatures::EXCEPTIONS);
        features.insert(WasmFeatures::LEGACY_EXCEPTIONS);
    }
    Ok(())
}

fn validate_with(bytes: &[u8], features: WasmFeatures) -> Result<Types, BinaryReaderError> {
    Validator::new_with_features(features).validate_all(bytes)
}
