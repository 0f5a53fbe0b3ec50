//! `cargo proxy-wasm build`.

use std::path::Path;

use anyhow::Result;

use crate::commands::shrink::print_shrunk;
use crate::package::CargoPackage;
use crate::project::Project;
use crate::stdio::{counted, print_line, shown};

/// Compiles and stages the module of the project.
pub fn build(dev: bool, shrinks: bool, explain: bool) -> Result<()> {
    let project = Project::find()?;
    let built = if dev {
        project.build_for_development()?
    } else {
        project.build(shrinks)?
    };
    if let Some(shrunk) = &built.shrunk {
        print_shrunk(shrunk, explain)?;
    }
    let (bytes, pages) = (built.size.bytes, built.size.pages);
    print_line!(
        "Module: {} ({bytes} bytes; {} of memory)",
        shown(&built.module),
        counted(pages, "page")
    )?;
    print_line!("Staged: {}", shown(&built.directory))?;
    Ok(())
}

/// Compiles the package's examples.
pub fn build_examples() -> Result<()> {
    let directory = CargoPackage::at(Path::new("."))?.build_examples()?;
    print_line!("Examples: {}", shown(&directory))
}
