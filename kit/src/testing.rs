//! What an extension's tests begin with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::project::Project;
use crate::proxy::Module;

pub mod tools;

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
    Module::with_symbols(read(&module()), read(&project().module_with_names()))
}

/// The path of an example's module, compiled and shrunk as the module that ships. The first call
/// builds all examples.
///
/// # Panics
///
/// When they cannot be built, or the package has no example of this name that is a `cdylib`.
pub fn example_path(name: &str) -> PathBuf {
    examples_folder(name).join(format!("{name}.wasm"))
}

/// An example's module, with the names of its functions beside it, for backtraces.
///
/// # Panics
///
/// As [`example_path`].
pub fn example(name: &str) -> Module {
    let with_names = examples_folder(name).join(format!("{name}.names.wasm"));
    Module::with_symbols(read(&example_path(name)), read(&with_names))
}

/// The folder that holds the examples, of which this has to be one.
fn examples_folder(name: &str) -> &'static Path {
    static FOLDER: OnceLock<(Vec<String>, PathBuf)> = OnceLock::new();
    let (names, folder) = FOLDER.get_or_init(|| {
        let built = Project::find().and_then(|project| {
            let names = project.examples().into_iter().map(str::to_owned).collect();
            Ok((names, project.build_examples()?))
        });
        built.unwrap_or_else(|error| panic!("{error:#}"))
    });
    assert!(
        names.iter().any(|other| other == name),
        "Cargo.toml has no [[example]] {name:?} with crate-type = [\"cdylib\"]; it has {names:?}"
    );
    folder
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
