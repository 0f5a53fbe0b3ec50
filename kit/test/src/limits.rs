//! How much memory a module can have.

use wasmi::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use wasmi_core::LimiterError;

/// The limits of tables: elements as in V8, and fewer tables than in V8.
const MAX_TABLE_ELEMENTS: usize = 10_000_000;
const MAX_TABLES: usize = 10;

/// The limits of a store, and whether one of them has stopped the growth of a memory.
#[derive(Debug)]
pub(crate) struct Limits {
    limits: StoreLimits,
    /// Whether the memory could not grow because of the limit.
    pub(crate) has_denied_growth: bool,
}

impl Limits {
    /// The limits of an instance each of whose memories may have this number of bytes.
    pub(crate) fn new(memory: usize) -> Self {
        Self {
            limits: StoreLimitsBuilder::new()
                .memory_size(memory)
                .table_elements(MAX_TABLE_ELEMENTS)
                .tables(MAX_TABLES)
                .build(),
            has_denied_growth: false,
        }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        let is_allowed = self.limits.memory_growing(current, desired, maximum)?;
        // The interpreter has compared it with the module's own limit before.
        self.has_denied_growth |= !is_allowed;
        Ok(is_allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}
