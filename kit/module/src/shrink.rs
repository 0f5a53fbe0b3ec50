//! Making a module pay for what it uses alone.
//!
//! A module that is written with the Rust SDK exports every callback there is, so that a proxy
//! enters the VM for nothing; and it imports nearly every host call, because all of the SDK's
//! methods are in the tables of its trait objects. [`shrink`] takes out the callbacks that the
//! extension does not implement, the methods that nothing can call,
//! what only those reached, the data that nothing refers to any more, and all but one of functions
//! that are the same.
//! It encodes the module anew, which also does without the reference-types proposal: its long form
//! of `call_indirect` is all that Rust needs it for.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow};
use walrus::{Module, ModuleConfig};

use crate::facts::{self, Item};

mod callbacks;
mod data;
mod duplicates;
mod references;
mod slots;

pub use callbacks::{Decision, Verdict};

/// The host calls whose answer comes in a callback. As long as a module makes them, the SDK has to
/// hear of the answer, or what it keeps for it stays for ever.
const ANSWERED: [(&str, &[&str]); 3] = [
    ("proxy_http_call", &["proxy_on_http_call_response"]),
    ("proxy_grpc_call", GRPC_CALLBACKS),
    ("proxy_grpc_stream", GRPC_CALLBACKS),
];

const GRPC_CALLBACKS: &[&str] = &[
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
];

/// The size of a page of memory, in bytes.
const PAGE: u64 = 65536;

/// What a module is made of, as far as a proxy pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What a proxy can call or read.
    pub exports: usize,
    /// What it can ask of a proxy.
    pub imports: usize,
    /// Its bytes, without names and other custom sections.
    pub bytes: usize,
    /// The memory with which a VM starts, in pages of 64 KiB.
    pub pages: u64,
}

/// A module that has been shrunk.
#[derive(Debug)]
pub struct Shrunk {
    /// The module, with the names of its functions.
    pub module: Vec<u8>,
    /// What became of each callback, in the order of their names.
    pub decisions: Vec<Decision>,
    /// What it was before.
    pub before: Size,
    /// What it is now.
    pub after: Size,
}

/// Shrinks a module of the Rust SDK.
///
/// `survey` is the same extension in an unoptimized build, whose function names tell which
/// callbacks it implements. Without it, or where its names do not tell, every callback stays. Data
/// go only if the module has been linked with `--emit-relocs`.
///
/// # Errors
///
/// When the module is not one, or does not come out valid.
pub fn shrink(module: &[u8], survey: Option<&[u8]>) -> Result<Shrunk> {
    let survey = survey.map(callbacks::Survey::read).transpose()?;
    let mut needed = BTreeSet::new();
    loop {
        let (shrunk, decisions) = attempt(module, survey.as_ref(), &needed)?;
        let missing = answers_missing(&shrunk, &decisions);
        if !missing.is_empty() {
            needed.extend(missing);
            continue;
        }
        let bytes = emit(duplicates::merge(shrunk)?);
        return Ok(Shrunk {
            before: measure(module)?,
            after: measure(&bytes)?,
            module: bytes,
            decisions,
        });
    }
}

/// Shrinks, and keeps the callbacks that are known to be needed.
fn attempt(
    module: &[u8],
    survey: Option<&callbacks::Survey>,
    needed: &BTreeSet<&'static str>,
) -> Result<(Module, Vec<Decision>)> {
    let bytes = module;
    let mut module = parse(bytes)?;
    let linked = data::Linked::read(bytes, &module);
    let decisions = callbacks::decide(&module, survey, needed);
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
    // What is gone may have been what called something else: again, until nothing changes.
    loop {
        walrus::passes::gc::run(&mut module);
        let unreferred = linked
            .as_ref()
            .map_or(0, |linked| linked.clear(&mut module));
        if unreferred + slots::clear(&mut module) == 0 {
            data::leave_out_zeros(&mut module);
            return Ok((module, decisions));
        }
    }
}

/// Callbacks that were taken out, and for whose host calls the module still waits.
fn answers_missing(module: &Module, decisions: &[Decision]) -> Vec<&'static str> {
    let imports = |name: &str| module.imports.iter().any(|import| import.name == name);
    let removed = |callback: &&'static str| {
        decisions
            .iter()
            .any(|decision| decision.callback == *callback && !decision.verdict.is_kept())
    };
    ANSWERED
        .into_iter()
        .filter(|(call, _)| imports(call))
        .flat_map(|(_, callbacks)| callbacks)
        .copied()
        .filter(removed)
        .collect()
}

fn parse(module: &[u8]) -> Result<Module> {
    ModuleConfig::new()
        .generate_producers_section(false)
        .parse(module)
        .map_err(|error| anyhow!("not a module that can be read: {error:#}"))
}

fn emit(mut module: Module) -> Vec<u8> {
    let custom: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for section in custom {
        module.customs.delete(section);
    }
    module.emit_wasm()
}

/// Counts what a proxy pays for.
///
/// # Errors
///
/// When the module is not one, or is not valid.
pub fn measure(module: &[u8]) -> Result<Size> {
    let bytes = crate::strip::strip(module)?;
    let facts = facts::Module::read(&bytes).context("the module is not valid")?;
    let pages = facts.exports.iter().map(|export| match &export.item {
        Item::Memory(memory) => memory.initial / PAGE,
        _ => 0,
    });
    Ok(Size {
        exports: facts.exports.len(),
        imports: facts.imports.len(),
        bytes: bytes.len(),
        pages: pages.sum(),
    })
}
