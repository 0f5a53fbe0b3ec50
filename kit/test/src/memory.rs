//! The memory of a module.

/// A range of a memory. `None` if a part of it is outside.
pub(crate) fn slice(memory: &[u8], address: u32, size: u32) -> Option<&[u8]> {
    let start = usize::try_from(address).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    memory.get(start..end)
}
