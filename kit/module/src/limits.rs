//! What is not read.

/// The greatest length of a module that is read, in bytes.
pub const MAX_LENGTH: u64 = 32 * 1024 * 1024;
