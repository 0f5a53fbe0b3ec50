//! An extension in a Cargo package: its manifest, and the files of its image.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use proxy_wasm_check::{Options, Report, check_project};
use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_module::{Shrunk, Size, measure, strip};

use crate::files::write_whole;
use crate::image_files::write_image_files;
use crate::package::CargoPackage;

/// What a build has made.
#[derive(Debug)]
pub struct Built {
    /// The directory that holds exactly what the image's root holds.
    pub folder: PathBuf,
    /// The module in it.
    pub module: PathBuf,
    /// What the module is made of.
    pub size: Size,
    /// What shrinking it did, if it was shrunk.
    pub shrunk: Option<Shrunk>,
}

/// An extension, in the directory that this program runs in.
#[derive(Debug)]
pub struct Project {
    /// The Cargo package.
    pub package: CargoPackage,
    /// The extension's manifest.
    pub manifest: Manifest,
}

impl Project {
    /// Reads the package around the current directory, and its `manifest.yaml`.
    ///
    /// # Errors
    ///
    /// If there is no package, if it is not built as a `cdylib`, or on a bad manifest.
    pub fn find() -> Result<Self> {
        let package = CargoPackage::at(Path::new("."))?;
        package.library()?;
        let manifest = Manifest::read(&package.root().join(manifest::FILE_NAME))?;
        Ok(Self { package, manifest })
    }

    /// The directory that holds exactly what the image's root holds.
    pub fn image_root(&self) -> PathBuf {
        self.package.target().join("image")
    }

    /// The same, once it has been built.
    ///
    /// # Errors
    ///
    /// If it has not.
    pub fn staged_root(&self) -> Result<PathBuf> {
        let root = self.image_root();
        ensure!(
            root.is_dir(),
            "{} does not exist; run `cargo proxy-wasm build` first",
            root.display()
        );
        Ok(root)
    }

    /// Checks the staged files, and whether the project's own files agree.
    ///
    /// # Errors
    ///
    /// If the project has not been built.
    pub fn check(&self, options: &Options) -> Result<Report> {
        let package = self.package.package();
        let project = proxy_wasm_check::Project {
            root: self.package.root(),
            image_root: &self.staged_root()?,
            name: &package.name,
            version: &package.version.to_string(),
            description: package.description.as_deref(),
        };
        Ok(check_project(&project, options))
    }

    /// The same for a module that is built for development.
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
    /// [`Project::image_root`]. The module with the names of its functions is beside that directory.
    ///
    /// # Errors
    ///
    /// If there is no toolchain, if the extension does not compile, or on a full disk.
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

    /// Writes the image's files into a directory, which is replaced as a whole if they differ.
    fn stage(&self, module: &[u8], image_root: PathBuf, shrunk: Option<Shrunk>) -> Result<Built> {
        let folder = tempfile::Builder::new()
            .prefix("image-")
            .tempdir_in(self.package.target())?;
        write_image_files(
            folder.path(),
            module,
            &self.manifest.module,
            &self.package.root().join(manifest::FILE_NAME),
        )?;
        if !same_files(folder.path(), &image_root) {
            if image_root.exists() {
                fs::remove_dir_all(&image_root)?;
            }
            fs::rename(folder.keep(), &image_root)
                .with_context(|| format!("cannot write {}", image_root.display()))?;
        }
        Ok(Built {
            module: image_root.join(&self.manifest.module),
            folder: image_root,
            size: measure(module)?,
            shrunk,
        })
    }
}

/// Whether two folders hold the same files with the same bytes.
fn same_files(one: &Path, other: &Path) -> bool {
    let files = |folder: &Path| -> std::io::Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut files = BTreeMap::new();
        let mut open = vec![folder.to_owned()];
        while let Some(next) = open.pop() {
            for entry in fs::read_dir(next)? {
                let path = entry?.path();
                if path.is_dir() {
                    open.push(path);
                } else if let Ok(name) = path.strip_prefix(folder) {
                    files.insert(name.to_owned(), fs::read(&path)?);
                }
            }
        }
        Ok(files)
    };
    matches!((files(one), files(other)), (Ok(one), Ok(other)) if one == other)
}
