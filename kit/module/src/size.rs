//! The size of a module.

use crate::error::Error;
use crate::item::Item;
use crate::module::ModuleInfo;
use crate::strip::strip;

/// The size of a page of memory, in bytes.
const PAGE: u64 = 65536;

/// The size of a module, as far as it matters to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Size {
    /// The number of exports.
    pub exports: usize,
    /// The number of imports.
    pub imports: usize,
    /// The number of bytes, without function names and other custom sections.
    pub bytes: usize,
    /// The initial size of the exported memories, in pages of 64 KiB.
    pub pages: u64,
}

/// Measures a module.
///
/// # Errors
///
/// If [`ModuleInfo::read`] cannot read it.
pub fn measure(module: &[u8]) -> Result<Size, Error> {
    let facts = ModuleInfo::read(module)?;
    let bytes = strip(module)?.len();
    let pages = facts.exports.iter().map(|export| match &export.item {
        Item::Memory(memory) => memory.initial / PAGE,
        _ => 0,
    });
    Ok(Size {
        exports: facts.exports.len(),
        imports: facts.imports.len(),
        bytes,
        pages: pages.sum(),
    })
}
