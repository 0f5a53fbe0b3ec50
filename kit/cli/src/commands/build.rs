//! `cargo proxy-wasm build`.

use std::path::Path;

use anyhow::Result;

use crate::commands::shrink::print_shrunk;
use crate::files::read;
use crate::package::{CargoPackage, WasmTarget};
use crate::project::Project;
use crate::stdio::{counted, print_line, print_note, shown};

/// The panic message of standard library functions that the target does not have.
const NOT_IMPLEMENTED: &[u8] = b"not implemented on this platform";

/// Compiles and stages the module of the project.
pub fn build(target: WasmTarget, dev: bool, shrinks: bool, explain: bool) -> Result<()> {
    let mut project = Project::find()?;
    project.package.target_platform = target;
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
    if uses_unimplemented_std(&read(&built.module)?) {
        print_note!(
            "warning: the module uses functions of the standard library that are \"not implemented on this \
             platform\", such as SystemTime::now and Instant::now: they trap; use the host call \
             get_current_time, or --target wasm32-wasip1"
        );
    }
    Ok(())
}

/// Whether a module may panic because the target does not have a function of the standard library.
fn uses_unimplemented_std(module: &[u8]) -> bool {
    module
        .windows(NOT_IMPLEMENTED.len())
        .any(|window| window == NOT_IMPLEMENTED)
}

/// Compiles the package's examples.
pub fn build_examples() -> Result<()> {
    let directory = CargoPackage::at(Path::new("."))?.build_examples()?;
    print_line!("Examples: {}", shown(&directory))
}
