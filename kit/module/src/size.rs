//! What a module costs a proxy.

use crate::error::Error;
use crate::item::Item;
use crate::module::{Module, check_length};
use crate::strip::strip;

/// The size of a page of memory, in bytes.
const PAGE: u64 = 65536;

/// The sizes of a module that a proxy pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Size {
    /// The number of exports.
    pub exports: usize,
    /// The number of imports.
    pub imports: usize,
    /// The number of bytes, without function names and other custom sections.
    pub bytes: usize,
    /// The memory with which a VM starts, in pages of 64 KiB.
    pub pages: u64,
}

/// Measures a module.
///
/// # Errors
///
/// If the bytes are not a valid module, or if it is longer than [`MAX_LENGTH`](crate::MAX_LENGTH)
/// without its custom sections.
pub fn measure(module: &[u8]) -> Result<Size, Error> {
    // An error has the offset in these bytes, not in the stripped ones.
    let facts = Module::read_unlimited(module)?;
    let bytes = strip(module)?.len();
    check_length(bytes)?;
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
