//! Removes what a module does not use.
//!
//! A module that is written with the Rust SDK exports every callback, so that a proxy enters the VM
//! for nothing; and it imports nearly every host call, because the tables of its trait objects hold
//! all methods of the SDK. Shrinking removes the callbacks that the extension does not implement, the
//! methods that nothing can call, what only those used, the data to which nothing refers any more,
//! and copies of functions.
//!
//! The module is encoded again, without the long form of `call_indirect`. Rust's modules need the
//! proposal reference-types only for that.

use std::collections::BTreeSet;

use walrus::Module;

use crate::error::Error;
use crate::sections::with_custom_sections;
use crate::size::{Size, measure};
use analysis_build::AnalysisBuild;
use codec::{decode, encode};
use data::Linked;
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

pub use decision::{Decision, Verdict};

/// A module that has been shrunk.
#[derive(Debug)]
#[non_exhaustive]
pub struct Shrunk {
    /// The module, with the names of its functions.
    pub module: Vec<u8>,
    /// What became of each callback, in the order of their names.
    pub decisions: Vec<Decision>,
    /// What was measured before.
    pub before: Size,
    /// What was measured after.
    pub after: Size,
    /// Whether the module was left as it was, because without what it does not use it would be
    /// larger. Encoding a module again can make it longer.
    pub is_unchanged: bool,
}

/// Removes what a module does not use. It never makes the module larger, custom sections aside.
///
/// `analysis_build` is an unoptimized build of the same extension, written with the Rust SDK. The
/// names of its functions tell which callbacks the extension implements. Without it, or if its names
/// do not tell, every callback is kept. Data are removed only if the module has been linked with
/// `--emit-relocs`.
///
/// # Errors
///
/// If the module or the analysis build is not valid, or if the module needs a proposal that cannot
/// be rewritten.
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
        if !decision.verdict.is_kept() {
            decision.verdict = Verdict::Unchanged;
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

/// Rewrites a module without what it does not use.
fn rewrite(
    module: &[u8],
    analysis_build: Option<&AnalysisBuild>,
) -> Result<(Vec<u8>, Vec<Decision>), Error> {
    let mut receiving = BTreeSet::new();
    loop {
        let (rewritten, decisions) = attempt(module, analysis_build, &receiving)?;
        let missing = missing_callbacks(&rewritten, &decisions);
        if missing.is_empty() {
            return Ok((encode(duplicates::merge(rewritten)?), decisions));
        }
        receiving.extend(missing);
    }
}

/// Rewrites a module, and keeps those callbacks that are known to receive responses.
fn attempt(
    bytes: &[u8],
    analysis_build: Option<&AnalysisBuild>,
    receiving: &BTreeSet<&'static str>,
) -> Result<(Module, Vec<Decision>), Error> {
    let mut module = decode(bytes)?;
    let linked = Linked::read(bytes, &module);
    let decisions = decide(&module, analysis_build, receiving);
    let removed: Vec<_> = module
        .exports
        .iter()
        .filter(|export| {
            decisions
                .iter()
                .any(|decision| decision.callback == export.name && !decision.verdict.is_kept())
        })
        .map(|export| export.id())
        .collect();
    for export in removed {
        module.exports.delete(export);
    }
    // What is removed may have been the only user of something else.
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

/// The callbacks that were removed although the module makes a host call whose response arrives in
/// them.
fn missing_callbacks(module: &Module, decisions: &[Decision]) -> Vec<&'static str> {
    let is_removed = |callback: &&'static str| {
        decisions
            .iter()
            .any(|decision| decision.callback == *callback && !decision.verdict.is_kept())
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
