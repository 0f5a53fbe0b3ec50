//! The crate's error.

use std::io;

/// Why a path cannot be checked. The report has a finding with this error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is neither a directory nor a file")]
    NotADirectoryOrFile,
    #[error("is not a regular file")]
    NotAFile,
    #[error("is longer than {max_length} bytes")]
    TooLong { max_length: u64 },
    #[error(transparent)]
    Image(#[from] proxy_wasm_image::Error),
}
