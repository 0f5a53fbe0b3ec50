//! `cargo proxy-wasm rename`.

use std::path::Path;

use anyhow::Result;

use crate::rename::rename;
use crate::stdio::{counted, print_line};

/// Renames the project in the current directory.
pub fn rename_project(name: &str, force: bool) -> Result<()> {
    let renamed = rename(Path::new("."), name, force)?;
    let (from, files) = (renamed.from, counted(renamed.files as u64, "file"));
    print_line!("Renamed: {from} to {name}, in {files}")?;
    let review = if renamed.in_git {
        "git diff, then "
    } else {
        ""
    };
    print_line!("Next:    {review}cargo make image; README.md says what to edit")?;
    Ok(())
}
