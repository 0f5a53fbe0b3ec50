//! Removes what a module does not use.
//!
//! A module of the Rust SDK exports every callback, so a proxy also calls those that do nothing. It
//! imports nearly every host call, because the vtables of its trait objects refer to all methods of
//! the SDK. Shrinking removes the callbacks that the extension does not implement, methods that are
//! never called, everything that only these used, unreferenced data, and duplicate functions.
//!
//! The module is encoded again, with the short form of `call_indirect`. Rust modules need the
//! reference-types proposal only for the long form.

use std::collections::BTreeSet;

use walrus::Module;

use crate::error::Error;
use crate::sections::with_custom_sections;
use crate::size::{Size, measure};
use analysis_build::AnalysisBuild;
use codec::{decode, encode};
use data::LinkedModule;
use decision::decide;

mod analysis_build;
mod codec;
mod data;
mod decision;
mod duplicates;
mod function_table;
mod references;
mod sdk;
mod vtables;

pub use decision::{Decision, Reason};

/// A module that has been shrunk.
#[derive(Debug)]
#[non_exhaustive]
pub struct Shrunk {
    /// The module, with the names of its functions.
    pub module: Vec<u8>,
    /// Whether each callback was kept, sorted by name.
    pub decisions: Vec<Decision>,
    /// The size of the original module.
    pub before: Size,
    /// The size of the result.
    pub after: Size,
    /// Whether the module is the original one, without custom sections except `name`, because the
    /// result would be larger: encoding a module again can make it longer.
    pub is_unchanged: bool,
}

/// Removes what a module does not use. It never makes the module larger, not counting custom
/// sections.
///
/// `analysis_build` is an unoptimized build of the same extension, written with the Rust SDK. Its
/// function names show which callbacks the extension implements. Without it, or if it has no such
/// names, every callback is kept. Data is removed only if the module was linked with
/// `--emit-relocs`.
///
/// # Errors
///
/// If the module or the analysis build is not valid, or if the module uses a proposal that this
/// function does not support.
pub fn shrink(module: &[u8], analysis_build: Option<&[u8]>) -> Result<Shrunk, Error> {
    let before = measure(module)?;
    let analysis_build = analysis_build
        .map(AnalysisBuild::read)
        .transpose()
        .map_err(|error| Error::AnalysisBuild(Box::new(error)))?;
    let (rewritten, mut decisions) = rewrite(module, analysis_build.as_ref())?;
    let after = measure(&rewritten).map_err(Error::rewrite)?;
    if after.bytes <= before.bytes {
        return Ok(Shrunk {
            module: rewritten,
            decisions,
            before,
            after,
            is_unchanged: false,
        });
    }
    for decision in &mut decisions {
        if !decision.reason.is_kept() {
            decision.reason = Reason::Unchanged;
        }
    }
    Ok(Shrunk {
        module: with_custom_sections(module, |name| name == "name")?,
        decisions,
        before,
        after: before,
        is_unchanged: true,
    })
}

/// Rewrites a module until it exports the callbacks that receive the responses to its host calls.
fn rewrite(
    module: &[u8],
    analysis_build: Option<&AnalysisBuild>,
) -> Result<(Vec<u8>, Vec<Decision>), Error> {
    let mut receiving = BTreeSet::new();
    loop {
        let (rewritten, decisions) = rewrite_once(module, analysis_build, &receiving)?;
        let missing = missing_callbacks(&rewritten, &decisions);
        if missing.is_empty() {
            return Ok((encode(duplicates::merge(rewritten)?), decisions));
        }
        receiving.extend(missing);
    }
}

/// Rewrites a module once. Keeps the callbacks in `receiving`, which receive responses.
fn rewrite_once(
    bytes: &[u8],
    analysis_build: Option<&AnalysisBuild>,
    receiving: &BTreeSet<&'static str>,
) -> Result<(Module, Vec<Decision>), Error> {
    let mut module = decode(bytes)?;
    let linked = LinkedModule::read(bytes, &module);
    let decisions = decide(&module, analysis_build, receiving);
    let removed: Vec<_> = module
        .exports
        .iter()
        .filter(|export| {
            decisions
                .iter()
                .any(|decision| decision.callback == export.name && !decision.reason.is_kept())
        })
        .map(|export| export.id())
        .collect();
    for export in removed {
        module.exports.delete(export);
    }
    // Removed code may have been the only user of other code or data.
    loop {
        walrus::passes::gc::run(&mut module);
        let cleared = linked
            .as_ref()
            .map_or(0, |linked| linked.clear(&mut module));
        if cleared + vtables::clear(&mut module) == 0 {
            data::remove_zeros(&mut module);
            return Ok((module, decisions));
        }
    }
}

/// The removed callbacks that receive the response to a host call that the module makes.
fn missing_callbacks(module: &Module, decisions: &[Decision]) -> Vec<&'static str> {
    let is_removed = |callback: &&'static str| {
        decisions
            .iter()
            .any(|decision| decision.callback == *callback && !decision.reason.is_kept())
    };
    module
        .imports
        .iter()
        .flat_map(|import| sdk::response_callbacks(&import.name))
        .copied()
        .filter(is_removed)
        .collect()
}

#[cfg(test)]
mod tests;
