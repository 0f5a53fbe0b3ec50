//! The rules for a module: what a proxy needs to load and to call it.

use proxy_wasm_abi::{AbiVersion, EnvoyVersion};
use proxy_wasm_image::sha256;
use proxy_wasm_module::{Error, Module};

use crate::capabilities;
use crate::consumers::{Consumer, Consumers};
use crate::report::{ModuleFacts, Report};

mod abi;
mod exports;
mod imports;
mod memories;
mod proposals;
mod subject;

use subject::Subject;

/// A module without a marker of a known ABI version is checked as one of this version.
const DEFAULT_ABI: AbiVersion = AbiVersion::V0_2_1;

/// Checks the module that `readers` read, and adds what it imports, exports and needs to the report.
/// Returns the oldest Envoy that loads it, if there is nothing else that is wrong.
pub fn check(
    report: &mut Report,
    readers: &[&'static Consumer],
    place: &str,
    bytes: &[u8],
) -> EnvoyVersion {
    check_length(report, readers, place, bytes.len() as u64);
    let module = match Module::read(bytes) {
        Ok(module) => module,
        Err(error) => {
            let remedy = match error {
                Error::MixedExceptions => {
                    "compile all of it with the same option for exceptions (-wasm-use-legacy-eh)"
                }
                Error::UnsupportedProposal { .. } => "compile it without this proposal",
                _ => "compile it again for wasm32, as a core module",
            };
            report.error(readers, place, error.to_string(), remedy);
            return EnvoyVersion::OLDEST;
        }
    };
    let version = module.abi_version().unwrap_or(DEFAULT_ABI);
    let mut subject = Subject {
        report,
        readers,
        place,
        module: &module,
        version,
    };
    abi::check(&mut subject);
    exports::check(&mut subject);
    imports::check(&mut subject);
    memories::check(&mut subject);
    names(&mut subject);
    proposals::check(&mut subject);
    let oldest = oldest_envoy(&module, version);
    let memory = module.memory_in_envoy();
    report.module = Some(ModuleFacts {
        path: place.to_owned(),
        bytes: module.size,
        digest: sha256(bytes),
        abi: module.abi.clone(),
        callbacks: module.callbacks().map(str::to_owned).collect(),
        capabilities: capabilities::of(&module, version),
        proposals: module.proposals.iter().map(|need| need.name).collect(),
        oldest: oldest.to_string(),
        memory: memory.map(|memory| memory.initial),
        memory_bound: memory.and_then(|memory| memory.maximum),
        #[cfg(feature = "trial")]
        trial: None,
    });
    #[cfg(feature = "trial")]
    crate::trial_findings::check(report, readers, place, bytes);
    oldest
}

/// Checks the length of a module against the limit of each reader.
pub fn check_length(report: &mut Report, readers: &[&'static Consumer], place: &str, length: u64) {
    let rejecting: Consumers = readers
        .iter()
        .copied()
        .filter(|consumer| {
            consumer
                .max_module_length
                .is_some_and(|limit| length > limit)
        })
        .collect();
    if !rejecting.is_empty() {
        report.error(
            &rejecting,
            place,
            format!("it has {length} bytes"),
            "make it smaller than 256 MiB, the limit of meshes that load modules themselves",
        );
    }
}

/// The oldest Envoy that has all proposals and functions that a module needs.
fn oldest_envoy(module: &Module, version: AbiVersion) -> EnvoyVersion {
    let proposals = module.proposals.iter().map(|proposal| proposal.since);
    let functions = module
        .imports
        .iter()
        .filter_map(|import| imports::offered(import, version))
        .map(|function| function.since);
    proposals
        .chain(functions)
        .max()
        .unwrap_or(EnvoyVersion::OLDEST)
}

fn names(subject: &mut Subject) {
    if !subject.module.names_are_readable {
        subject.error(
            "its name section, which has the names of functions, is damaged",
            "link the module again, or remove the section (wasm-strip, wasm-tools strip --all)",
        );
    }
}

#[cfg(test)]
mod tests;
