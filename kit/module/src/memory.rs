//! Memories and tables.

use wasmparser::{MemoryType, RefType, TableType};

/// A linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Its size when the module starts, in bytes.
    pub initial: u64,
    /// The size to which it can grow, in bytes. `None` if the module sets no limit.
    pub maximum: Option<u64>,
    /// Whether its addresses have 64 bits.
    pub is_64: bool,
    /// Whether threads can share it.
    pub is_shared: bool,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Table {
    /// The number of its elements when the module starts.
    pub initial: u64,
    /// The number of elements to which it can grow. `None` if the module sets no limit.
    pub maximum: Option<u64>,
    /// Whether its indexes have 64 bits.
    pub is_64: bool,
    /// Whether its elements may be null.
    pub is_nullable: bool,
    pub(crate) element: RefType,
}

impl Memory {
    pub(crate) fn new(memory: MemoryType) -> Self {
        let bytes = |pages: u64| {
            let page_size_log2 = memory.page_size_log2.unwrap_or(16).min(16);
            pages.saturating_mul(1 << page_size_log2)
        };
        Self {
            initial: bytes(memory.initial),
            maximum: memory.maximum.map(bytes),
            is_64: memory.memory64,
            is_shared: memory.shared,
        }
    }
}

impl Table {
    pub(crate) fn new(table: TableType) -> Self {
        Self {
            initial: table.initial,
            maximum: table.maximum,
            is_64: table.table64,
            is_nullable: table.element_type.is_nullable(),
            element: table.element_type,
        }
    }
}
