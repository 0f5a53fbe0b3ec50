//! The types of parameters and results.

use std::fmt;

/// A WebAssembly value type.
///
/// The ABI uses no others: addresses and sizes are 32 bits wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
}

/// The name in the WebAssembly text format: `i32`, `i64`.
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_the_name_in_the_text_format() {
        assert_eq!(ValueType::I32.to_string(), "i32");
        assert_eq!(ValueType::I64.to_string(), "i64");
    }
}
