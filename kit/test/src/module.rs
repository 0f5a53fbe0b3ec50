//! A module as a test hands it over.

use std::borrow::Cow;

use crate::error::Error;

/// A module, and where the names of its functions are when it has been stripped of them.
///
/// Bytes convert into one and, with the feature `wat`, so does text in the WebAssembly text format.
#[derive(Clone, Debug)]
pub struct Module {
    pub(crate) bytes: Vec<u8>,
    pub(crate) symbols: Option<Vec<u8>>,
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

    /// The module in binary form. With the feature `wat`, text is compiled.
    #[cfg(feature = "wat")]
    pub(crate) fn binary(&self) -> Result<Cow<'_, [u8]>, Error> {
        wat::parse_bytes(&self.bytes).map_err(|error| Error::Load(error.to_string()))
    }

    /// The module in binary form.
    #[cfg(not(feature = "wat"))]
    #[allow(clippy::unnecessary_wraps)] // compiling text can fail
    pub(crate) fn binary(&self) -> Result<Cow<'_, [u8]>, Error> {
        Ok(Cow::Borrowed(&self.bytes))
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
