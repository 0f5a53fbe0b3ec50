//! The module under test.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::compiled::Compiled;
use crate::error::Error;

/// A module and, if it is stripped, the names of its functions. A module and its clones are compiled
/// once, however often they are loaded.
///
/// It converts from bytes and, with the feature `wat`, from the WebAssembly text format.
#[derive(Clone, Debug)]
pub struct Module {
    pub(crate) bytes: Vec<u8>,
    pub(crate) symbols: Option<Vec<u8>>,
    /// What clones share.
    compiled: Arc<OnceLock<Arc<Compiled>>>,
}

impl Module {
    /// A stripped module. Backtraces have the function names in `symbols`, which is the same module
    /// before it was stripped.
    pub fn with_symbols(bytes: impl AsRef<[u8]>, symbols: impl AsRef<[u8]>) -> Self {
        Self {
            bytes: bytes.as_ref().to_vec(),
            symbols: Some(symbols.as_ref().to_vec()),
            compiled: Arc::default(),
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

    /// Compiles the module for the interpreter, unless that has been done.
    pub(crate) fn compile(&self) -> Result<Arc<Compiled>, Error> {
        if let Some(compiled) = self.compiled.get() {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Compiled::new(&self.binary()?, self.symbols.as_deref())?;
        Ok(Arc::clone(self.compiled.get_or_init(|| Arc::new(compiled))))
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
            compiled: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "wat")]
    #[test]
    fn text_is_compiled() -> Result<(), Error> {
        let module = Module::from("(module)");
        assert_eq!(*module.binary()?, *b"\0asm\x01\0\0\0");
        Ok(())
    }

    #[cfg(not(feature = "wat"))]
    #[test]
    fn text_needs_the_feature() {
        let error = Module::from("(module)").binary().unwrap_err().to_string();
        assert!(error.contains("need the feature `wat`"), "{error}");
    }
}
