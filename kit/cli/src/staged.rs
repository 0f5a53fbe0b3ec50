//! The staging directory, with the files of the image's root.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::ValueEnum;
use tempfile::TempDir;

use proxy_wasm_check::{Report, check};
use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_image::{Annotations, Engine, Package, StoredImage, VARIANT, WasmConfig};
use proxy_wasm_module::ModuleInfo;

use crate::annotations;
use crate::files::{read, write_whole};
use crate::image_files::write_image_files;
use crate::project::Project;

/// The stage that packages a directory, as in a project's Containerfile.
const CONTAINERFILE: &str = "FROM scratch AS prebuilt\nCOPY . /\n";

/// The format of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// A container image: every mesh reads it
    Compat,
    /// The artifact of the Wasm image specification: Istio and Envoy Gateway read it
    Oci,
}

/// A directory with the files of the image's root, and no others.
#[derive(Debug)]
pub struct StagingDirectory {
    root: PathBuf,
    manifest: Manifest,
    annotations: Annotations,
    containerfile: Option<PathBuf>,
    target: Option<PathBuf>,
    report: Report,
    /// The temporary directory, if the files were written only to be packaged. Dropping it removes
    /// them.
    _temporary: Option<TempDir>,
}

impl StagingDirectory {
    /// The staging directory of a package, which `cargo proxy-wasm build` writes.
    ///
    /// # Errors
    ///
    /// If the package has not been built.
    pub fn of_project(project: &Project) -> Result<Self> {
        let root = project.staged_root()?;
        Ok(Self {
            report: check(&root, None),
            root,
            manifest: project.manifest.clone(),
            annotations: annotations::of_project(project),
            containerfile: Some(project.package.root().join("Containerfile"))
                .filter(|path| path.is_file()),
            target: Some(project.package.target()),
            _temporary: None,
        })
    }

    /// A directory with a module in any language. Archives are written to the current directory.
    ///
    /// # Errors
    ///
    /// If its `manifest.yaml` is missing or not valid.
    pub fn at(root: &Path) -> Result<Self> {
        let manifest = Manifest::read(&root.join(manifest::FILE_NAME))?;
        Ok(Self {
            report: check(root, None),
            root: root.to_owned(),
            annotations: manifest.annotations(),
            manifest,
            containerfile: None,
            target: None,
            _temporary: None,
        })
    }

    /// A module in any language with its manifest, in a temporary directory. Archives are written
    /// to the current directory.
    ///
    /// # Errors
    ///
    /// If a file can't be read, or if the manifest is not valid.
    pub fn of_module(module: &Path, manifest: &Path) -> Result<Self> {
        ensure!(
            manifest.exists(),
            "{} does not exist; a module needs a manifest: write it, or pass --manifest FILE",
            manifest.display()
        );
        let path = Manifest::read(manifest)?.module;
        let bytes = read(module)?;
        let temporary = tempfile::tempdir()?;
        let root = temporary.path();
        write_image_files(root, &bytes, &path, manifest)?;
        let mut staged = Self::at(root)?;
        staged._temporary = Some(temporary);
        Ok(staged)
    }

    /// Cargo's target directory, if a package was built into this directory.
    pub fn target(&self) -> Option<&Path> {
        self.target.as_deref()
    }

    /// What proxies and meshes do with the files.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The name and the version in the manifest.
    ///
    /// # Errors
    ///
    /// If the manifest has no name.
    pub fn name(&self) -> Result<(&str, &str)> {
        let name = self
            .manifest
            .name
            .as_deref()
            .context("manifest.yaml has no name; add one")?;
        Ok((name, self.manifest.version.as_deref().unwrap_or("latest")))
    }

    /// Packages the files without an engine.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or if the module is not valid.
    pub fn package(&self, variant: Variant) -> Result<Package> {
        if variant == Variant::Compat {
            return Ok(Package::compat(&self.root, &self.annotations)?);
        }
        let mut annotations = self.annotations.clone();
        annotations.remove(VARIANT);
        let module = read(&self.root.join(&self.manifest.module))?;
        let versions = ModuleInfo::read(&module)?.abi;
        let config = WasmConfig {
            abi_versions: versions
                .iter()
                .map(|version| format!("v{version}"))
                .collect(),
            root_ids: self.manifest.name.iter().cloned().collect(),
        };
        Ok(Package::oci(&module, &config, &annotations)?)
    }

    /// Writes an image with the name `image` as an OCI archive, and returns the archive's path.
    ///
    /// # Errors
    ///
    /// If the manifest has no name, or if the archive cannot be written.
    pub fn write_archive(
        &self,
        package: &Package,
        image: &str,
        variant: Variant,
    ) -> Result<PathBuf> {
        let (name, version) = self.name()?;
        let suffix = if variant == Variant::Oci { "-wasm" } else { "" };
        let file = format!("{name}-{version}{suffix}.oci.tar");
        ensure!(
            !file.contains(['/', '\\']),
            "{file:?} cannot be a file's name; change name or version in manifest.yaml"
        );
        let path = self.target().unwrap_or(Path::new(".")).join(file);
        write_whole(&path, &package.to_archive(image)?)?;
        Ok(path)
    }

    /// Builds the image with an engine.
    ///
    /// # Errors
    ///
    /// If the engine fails.
    pub fn build(&self, engine: Engine, image: &str) -> Result<StoredImage> {
        let mut default = tempfile::NamedTempFile::new()?;
        default.write_all(CONTAINERFILE.as_bytes())?;
        let containerfile = self.containerfile.as_deref().unwrap_or(default.path());
        engine
            .build(containerfile, &self.root, image, &self.annotations)
            .map_err(|error| {
                anyhow!("{error}. To package without an engine, pass --engine none, or set CONTAINER_ENGINE=none")
            })
    }
}
