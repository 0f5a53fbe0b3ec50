//! The module under test.

use std::borrow::Cow;

use crate::error::Error;

/// A module and, if it is stripped, the names of its functions.
///
/// It converts from bytes and, with the feature `wat`, from the WebAssembly text format.
#[derive(Clone, Debug)]
pub struct Module {
    pub(crate) bytes: Vec<u8>,
    pub(crate) symbols: Option<Vec<u8>>,
}

impl Module {
    /// A stripped module, and the same module before it was stripped, whose name section backtraces
    /// use.
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
    pub(crate) fn binary(&self) -> Result<Cow<'_, [u8]>, Error> {
        if self.bytes.starts_with(b"\0") {
            return Ok(Cow::Borrowed(&self.bytes));
        }
        Err(Error::Load(
            "it is not in the binary format; modules in the text format need the feature `wat`"
                .to_owned(),
        ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_needs_the_feature() {
        match Module::from("(module)").binary() {
            Ok(binary) => {
                assert!(cfg!(feature = "wat"));
                assert_eq!(*binary, *b"\0asm\x01\0\0\0");
            }
            Err(error) => {
                assert!(!cfg!(feature = "wat"));
                let error = error.to_string();
                assert!(error.contains("need the feature `wat`"), "{error}");
            }
        }
    }
}
