//! Limits of V8.

/// The maximum length of a module that V8 compiles, in bytes.
pub const MAX_LENGTH: u64 = 1024 * 1024 * 1024;
