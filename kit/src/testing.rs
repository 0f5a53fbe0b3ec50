//! What an extension's tests begin with.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::project::Project;
use crate::proxy::Module;

/// The package whose tests run, with the module built and the image's files staged. Cargo builds
/// what is missing or stale and says so; what is fresh costs a moment, once for each test program.
///
/// # Panics
///
/// When the module cannot be built: there is nothing to test.
pub fn project() -> &'static Project {
    static PROJECT: OnceLock<Project> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let built = Project::find().and_then(|project| {
            project.build()?;
            Ok(project)
        });
        built.unwrap_or_else(|error| panic!("{error:#}"))
    })
}

/// The path of the module that ships.
///
/// # Panics
///
/// As [`project`].
pub fn module() -> PathBuf {
    project().image_root().join(&project().manifest.module)
}

/// The module that ships, with the names of its functions beside it, for backtraces.
///
/// # Panics
///
/// As [`project`].
pub fn extension() -> Module {
    let read = |path: PathBuf| {
        fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    };
    Module::with_symbols(read(module()), read(project().module_with_names()))
}
