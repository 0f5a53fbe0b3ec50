//! The last push, which is recorded for `deploy`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use proxy_wasm_image::ImageReference;

use crate::files::write_whole;

/// The file in Cargo's target directory. Its two lines are the reference, and the reference by
/// digest.
const FILE: &str = "pushed.txt";

/// An image that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its reference, as it was given.
    pub image: String,
    /// Its reference by digest.
    pub by_digest: String,
}

impl Pushed {
    /// Reads the last push of a package, by its target directory.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read(target: &Path) -> Result<Option<Self>> {
        let path = target.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let mut lines = text.lines().map(str::to_owned);
        let (Some(image), Some(by_digest)) = (lines.next(), lines.next()) else {
            return Ok(None);
        };
        Ok(Some(Self { image, by_digest }))
    }

    /// Records a push.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(target: &Path, image: &ImageReference, by_digest: &str) -> Result<()> {
        write_whole(
            &target.join(FILE),
            format!("{image}\n{by_digest}\n").as_bytes(),
        )
    }
}
