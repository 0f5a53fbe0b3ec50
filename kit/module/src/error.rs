//! The crate's error.

use crate::limits::MAX_LENGTH;

/// Why a module cannot be read, stripped or shrunk.
///
/// The messages begin with "it", so that a caller can put the name of the file before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The module is longer than [`MAX_LENGTH`].
    #[error("it has {length} bytes; V8 in Envoy loads modules of at most {MAX_LENGTH}")]
    TooLong {
        /// Its length in bytes.
        length: u64,
    },
    /// The bytes do not begin with [`MAGIC`](crate::MAGIC).
    #[error("it does not begin with the bytes `\\0asm`, as WebAssembly does")]
    NotWebAssembly,
    /// The bytes are a component.
    #[error("it is a component; proxies load only core modules")]
    Component,
    /// The module is not valid.
    #[error("it is not valid WebAssembly: {message} (at offset {offset:#x})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// The byte at which it is wrong.
        offset: u64,
    },
    /// The module is valid, but needs a proposal that no proxy's WebAssembly engine supports.
    #[error("it needs a proposal that no proxy supports: {message} (at offset {offset:#x})")]
    UnsupportedProposal {
        /// What needs the proposal.
        message: String,
        /// The byte at which it is needed.
        offset: u64,
    },
    /// The module is valid, but uses both exception proposals.
    #[error("it uses legacy and current exception instructions; V8 allows only one of the two")]
    MixedExceptions,
    /// The module is valid, but cannot be shrunk.
    #[error("it cannot be rewritten: {message}")]
    Rewrite {
        /// What prevents it.
        message: String,
    },
    /// The analysis build cannot be read.
    #[error("its analysis build cannot be read: {0}")]
    AnalysisBuild(Box<Error>),
}

impl Error {
    pub(crate) fn invalid(error: &wasmparser::BinaryReaderError) -> Self {
        Self::Invalid {
            message: error.message().to_owned(),
            offset: error.offset(),
        }
    }

    pub(crate) fn unsupported_proposal(error: &wasmparser::BinaryReaderError) -> Self {
        Self::UnsupportedProposal {
            message: error.message().to_owned(),
            offset: error.offset(),
        }
    }

    pub(crate) fn rewrite(error: impl ToString) -> Self {
        Self::Rewrite {
            message: error.to_string(),
        }
    }
}
