//! The rules for modules: what a proxy needs to load and call them.

use proxy_wasm_abi::{AbiVersion, EnvoyVersion};
use proxy_wasm_image::sha256;
use proxy_wasm_module::{Error, ModuleInfo};

use crate::capabilities;
use crate::consumers::{Consumer, Consumers};
use crate::report::{ModuleFacts, Report};

mod abi;
mod checked_module;
mod exports;
mod imports;
mod memories;
mod proposals;

use checked_module::CheckedModule;

/// The ABI version for a module without a known marker.
const DEFAULT_ABI: AbiVersion = AbiVersion::V0_2_1;

/// Checks the module that `readers` read, and adds facts about it to the report. Returns the oldest
/// Envoy that loads it, once its errors are fixed.
pub fn check(
    report: &mut Report,
    readers: &[&'static Consumer],
    place: &str,
    bytes: &[u8],
) -> EnvoyVersion {
    check_length(report, readers, place, bytes.len() as u64);
    let module = match ModuleInfo::read(bytes) {
        Ok(module) => module,
        Err(error) => {
            let remedy = match error {
                Error::MixedExceptions => {
                    "compile all code with the same option for exceptions (-wasm-use-legacy-eh)"
                }
                Error::UnsupportedProposal { .. } => "compile it without this proposal",
                _ => "compile it again for wasm32, as a core module",
            };
            report.error(readers, place, error.to_string(), remedy);
            return EnvoyVersion::OLDEST;
        }
    };
    let version = module.abi_version().unwrap_or(DEFAULT_ABI);
    let mut checked = CheckedModule {
        report,
        readers,
        place,
        module: &module,
        version,
    };
    abi::check(&mut checked);
    exports::check(&mut checked);
    imports::check(&mut checked);
    memories::check(&mut checked);
    names(&mut checked);
    proposals::check(&mut checked);
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
            "make it smaller: Istio and Envoy Gateway read at most 256 MiB",
        );
    }
}

/// The oldest Envoy that has all proposals and functions that a module needs.
fn oldest_envoy(module: &ModuleInfo, version: AbiVersion) -> EnvoyVersion {
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

fn names(checked: &mut CheckedModule) {
    if !checked.module.names_are_readable {
        checked.error(
            "its name section, which has the function names, is damaged",
            "link the module again, or remove the section (wasm-strip, wasm-tools strip --all)",
        );
    }
}

#[cfg(test)]
mod tests;
