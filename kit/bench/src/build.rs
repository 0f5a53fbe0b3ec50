//! The files of `cargo make build` in Cargo's target directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{CrateType, MetadataCommand};
use proxy_wasm_image::manifest::{FILE_NAME, Manifest};
use proxy_wasm_module::strip;

/// What to do if a file of the build is missing.
const ADVICE: &str = "the extension is not built; run `cargo make build`";

/// The build of the extension in the current directory.
#[derive(Debug)]
pub struct Build {
    target: PathBuf,
    library: String,
}

impl Build {
    /// Asks Cargo where the build is.
    ///
    /// # Errors
    ///
    /// If the current directory is not in a package with a library of type `cdylib`.
    pub fn find() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .no_deps()
            .exec()
            .context("cannot read the Cargo package")?;
        let package = metadata.root_package().with_context(|| {
            let root = &metadata.workspace_root;
            format!("{root} is a workspace without a package; run this in a package's directory")
        })?;
        let library = package
            .targets
            .iter()
            .find(|target| target.crate_types.contains(&CrateType::CDyLib))
            .with_context(|| {
                format!(
                    "{} does not build a module; add crate-type = [\"cdylib\"] under [lib]",
                    package.manifest_path
                )
            })?;
        Ok(Self {
            library: library.name.clone(),
            target: metadata.target_directory.into_std_path_buf(),
        })
    }

    /// The directory for the results.
    pub fn output(&self) -> PathBuf {
        self.target.join("bench")
    }

    /// The path of the module that ships.
    ///
    /// # Errors
    ///
    /// If nothing is staged.
    pub fn shipped(&self) -> Result<PathBuf> {
        let image = self.target.join("image");
        let manifest = Manifest::read(&image.join(FILE_NAME)).context(ADVICE)?;
        Ok(image.join(manifest.module))
    }

    /// The module as the compiler made it, before it was shrunk; without custom sections, as it
    /// would ship.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn not_shrunk(&self) -> Result<Vec<u8>> {
        let compiled = self.target.join("wasm32-unknown-unknown/wasm");
        let module = read(&compiled.join(format!("{}.wasm", self.library)))?;
        strip(&module).context("the compiler's output is not a module")
    }
}

/// Reads a file of the build.
///
/// # Errors
///
/// If it is not there.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .context(ADVICE)
}
