//! An extension in a Cargo package: its manifest, and the files of its image.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use proxy_wasm_check::{CheckOptions, Report, check_project};
use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_module::{Shrunk, Size, measure, strip};

use crate::files::write_whole;
use crate::image_files::write_image_files;
use crate::package::CargoPackage;

/// The result of a build.
#[derive(Debug)]
pub struct Built {
    /// The staging directory, with the files of the image's root.
    pub directory: PathBuf,
    /// The module in it.
    pub module: PathBuf,
    /// The size of the module.
    pub size: Size,
    /// The result of shrinking, if the module was shrunk.
    pub shrunk: Option<Shrunk>,
}

/// The extension in the current directory.
#[derive(Debug)]
pub struct Project {
    /// The Cargo package.
    pub package: CargoPackage,
    /// The extension's manifest.
    pub manifest: Manifest,
}

impl Project {
    /// Reads the package in the current directory, and its `manifest.yaml`.
    ///
    /// # Errors
    ///
    /// If there is no package, if it is not built as a `cdylib`, or if the manifest is not valid.
    pub fn find() -> Result<Self> {
        let package = CargoPackage::at(Path::new("."))?;
        package.library()?;
        let manifest = Manifest::read(&package.root().join(manifest::FILE_NAME))?;
        Ok(Self { package, manifest })
    }

    /// The staging directory, with the files of the image's root.
    pub fn image_root(&self) -> PathBuf {
        self.package.target().join("image")
    }

    /// The staging directory of a project that has been built.
    ///
    /// # Errors
    ///
    /// If the project has not been built.
    pub fn staged_root(&self) -> Result<PathBuf> {
        let root = self.image_root();
        ensure!(
            root.is_dir(),
            "{} does not exist; run `cargo proxy-wasm build` first",
            root.display()
        );
        Ok(root)
    }

    /// Checks the staged files, and whether the project's files agree.
    ///
    /// # Errors
    ///
    /// If the project has not been built.
    pub fn check(&self, options: &CheckOptions) -> Result<Report> {
        let package = self.package.package();
        let project = proxy_wasm_check::ProjectDescription {
            root: self.package.root(),
            image_root: &self.staged_root()?,
            name: &package.name,
            version: &package.version.to_string(),
            description: package.description.as_deref(),
        };
        Ok(check_project(&project, options))
    }

    /// The staging directory for development builds.
    pub fn dev_image_root(&self) -> PathBuf {
        self.package.target().join("dev-image")
    }

    /// Compiles the module for development, and stages it in [`Project::dev_image_root`].
    ///
    /// # Errors
    ///
    /// As [`Project::build`].
    pub fn build_for_development(&self) -> Result<Built> {
        let module = self.package.build_for_development()?;
        self.stage(&strip(&module)?, self.dev_image_root(), None)
    }

    /// Compiles the module, shrinks it unless `shrinks` is false, and stages the image's files in
    /// [`Project::image_root`]. The module with its function names is beside that directory.
    ///
    /// # Errors
    ///
    /// If there is no toolchain, if the extension does not compile, or if a file cannot be written.
    pub fn build(&self, shrinks: bool) -> Result<Built> {
        let (module, shrunk) = if shrinks {
            let shrunk = self.package.build_shrunk()?;
            (shrunk.module.clone(), Some(shrunk))
        } else {
            (self.package.build_unshrunk()?, None)
        };
        write_whole(&self.package.target().join("image.names.wasm"), &module)?;
        self.stage(&strip(&module)?, self.image_root(), shrunk)
    }

    /// Writes the image's files into a directory. If they differ from its files, a complete new
    /// directory replaces it.
    fn stage(&self, module: &[u8], image_root: PathBuf, shrunk: Option<Shrunk>) -> Result<Built> {
        let directory = tempfile::Builder::new()
            .prefix("image-")
            .tempdir_in(self.package.target())?;
        write_image_files(
            directory.path(),
            module,
            &self.manifest.module,
            &self.package.root().join(manifest::FILE_NAME),
        )?;
        if !same_files(directory.path(), &image_root) {
            if image_root.exists() {
                fs::remove_dir_all(&image_root)?;
            }
            fs::rename(directory.keep(), &image_root)
                .with_context(|| format!("cannot write {}", image_root.display()))?;
        }
        Ok(Built {
            module: image_root.join(&self.manifest.module),
            directory: image_root,
            size: measure(module)?,
            shrunk,
        })
    }
}

/// Whether two directories have the same files with the same bytes.
fn same_files(one: &Path, other: &Path) -> bool {
    let files = |directory: &Path| -> std::io::Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut files = BTreeMap::new();
        let mut open = vec![directory.to_owned()];
        while let Some(next) = open.pop() {
            for entry in fs::read_dir(next)? {
                let path = entry?.path();
                if path.is_dir() {
                    open.push(path);
                } else if let Ok(name) = path.strip_prefix(directory) {
                    files.insert(name.to_owned(), fs::read(&path)?);
                }
            }
        }
        Ok(files)
    };
    matches!((files(one), files(other)), (Ok(one), Ok(other)) if one == other)
}
