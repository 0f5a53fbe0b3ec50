//! A module as a test hands it over.

/// A module, and where the names of its functions are when it has been stripped of them.
///
/// Bytes and text (the WebAssembly text format) become one by themselves.
#[derive(Clone, Debug)]
pub struct Module {
    pub(super) bytes: Vec<u8>,
    pub(super) symbols: Option<Vec<u8>>,
}

impl Module {
    /// A module that has been stripped, and the same module as it was before, with the name
    /// section that backtraces read.
    pub fn with_symbols(bytes: impl AsRef<[u8]>, symbols: impl AsRef<[u8]>) -> Self {
        Self {
            bytes: bytes.as_ref().to_vec(),
            symbols: Some(symbols.as_ref().to_vec()),
        }
    }

    /// The module's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<B: AsRef<[u8]>> From<B> for Module {
    fn from(bytes: B) -> Self {
        Self {
            bytes: bytes.as_ref().to_vec(),
            symbols: None,
        }
    }
}
