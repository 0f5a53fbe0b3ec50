//! `cargo proxy-wasm shrink`.

use std::path::Path;

use anyhow::{Context, Result};
use proxy_wasm_module::{Shrunk, shrink, strip};

use crate::files::{read, write_whole};
use crate::stdio::{counted, print_line, shown};

/// Shrinks a module.
pub fn shrink_file(
    module: &Path,
    output: &Path,
    analysis_build: Option<&Path>,
    explain: bool,
) -> Result<()> {
    let analysis_build = analysis_build.map(read).transpose()?;
    let shrunk = shrink(&read(module)?, analysis_build.as_deref())
        .with_context(|| format!("cannot shrink {}", module.display()))?;
    write_whole(output, &strip(&shrunk.module)?)?;
    print_shrunk(&shrunk, explain)?;
    print_line!("Module: {}", shown(output))?;
    Ok(())
}

/// Prints the result of shrinking.
pub fn print_shrunk(shrunk: &Shrunk, explain: bool) -> Result<()> {
    if explain {
        for decision in &shrunk.decisions {
            print_line!("{decision}")?;
        }
    }
    let (before, after) = (shrunk.before, shrunk.after);
    if shrunk.is_unchanged {
        return print_line!(
            "Shrunk: unchanged, {} bytes, because the result would be larger",
            after.bytes
        );
    }
    print_line!(
        "Shrunk: {} exports to {}, {} imports to {}, {} bytes to {}, {} of memory to {}",
        before.exports,
        after.exports,
        before.imports,
        after.imports,
        before.bytes,
        after.bytes,
        counted(before.pages, "page"),
        after.pages
    )
}
