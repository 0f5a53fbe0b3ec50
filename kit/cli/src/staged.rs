//! What is ready to be packaged: a folder that holds exactly what the image's root will hold.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use proxy_wasm_check::{Report, check};
use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_image::{Annotations, Engine, Package, Stored, VARIANT};

use crate::annotations;
use crate::project::Project;

/// What packages a folder by an engine, in the words of a project's Containerfile.
const CONTAINERFILE: &str = "FROM scratch AS prebuilt\nCOPY . /\n";

/// What consumers are to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// A container image, which Maistra and Istio read.
    Compat,
    /// The artifact of the Wasm image specification, written without an engine.
    Oci,
}

/// A folder that is ready to be packaged.
#[derive(Debug)]
pub struct Staged {
    root: PathBuf,
    manifest: Manifest,
    annotations: Annotations,
    containerfile: Option<PathBuf>,
    output: PathBuf,
    report: Report,
}

impl Staged {
    /// What a package's build has staged.
    ///
    /// # Errors
    ///
    /// When nothing is staged.
    pub fn of_project(project: &Project) -> Result<Self> {
        let root = project.image_root();
        ensure!(
            root.is_dir(),
            "nothing is staged yet; run `cargo make build` first"
        );
        Ok(Self {
            report: check(&root, None),
            root,
            manifest: project.manifest.clone(),
            annotations: annotations::of_project(project),
            containerfile: Some(project.package.root().join("Containerfile")),
            output: project.package.target(),
        })
    }

    /// A folder whose module was made elsewhere, in whatever language. Archives are written into
    /// the current folder.
    ///
    /// # Errors
    ///
    /// When it holds no good manifest.
    pub fn of_folder(root: &Path) -> Result<Self> {
        let manifest = Manifest::read(&root.join(manifest::FILE_NAME))?;
        Ok(Self {
            report: check(root, None),
            root: root.to_owned(),
            annotations: proxy_wasm_image::annotations(&manifest),
            manifest,
            containerfile: None,
            output: PathBuf::from("."),
        })
    }

    /// What would go wrong with it in a mesh.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Name and version of the manifest.
    ///
    /// # Errors
    ///
    /// When the manifest has no name.
    pub fn name(&self) -> Result<(&str, &str)> {
        let name = self
            .manifest
            .name
            .as_deref()
            .context("manifest.yaml has no name; add one")?;
        Ok((name, self.manifest.version.as_deref().unwrap_or("latest")))
    }

    /// Where an archive of it is written.
    ///
    /// # Errors
    ///
    /// When the manifest has no name.
    pub fn archive(&self, variant: Variant) -> Result<PathBuf> {
        let (name, version) = self.name()?;
        let suffix = if variant == Variant::Oci { "-wasm" } else { "" };
        let file = format!("{name}-{version}{suffix}.oci.tar");
        ensure!(
            !file.contains(['/', '\\']),
            "name and version of manifest.yaml can't be a file's name: {file:?}"
        );
        Ok(self.output.join(file))
    }

    /// Packages it without an engine.
    ///
    /// # Errors
    ///
    /// When a file can't be read.
    pub fn package(&self, variant: Variant) -> Result<Package> {
        match variant {
            Variant::Compat => Package::compat(&self.root, &self.annotations),
            Variant::Oci => {
                let mut annotations = self.annotations.clone();
                annotations.remove(VARIANT);
                let module = self.root.join(&self.manifest.module);
                let module = fs::read(&module)
                    .with_context(|| format!("cannot read {}", module.display()))?;
                let root_id = self.manifest.name.as_deref().unwrap_or_default();
                Package::oci(&module, root_id, &annotations)
            }
        }
    }

    /// Packages it by an engine.
    ///
    /// # Errors
    ///
    /// As [`Engine::build`].
    pub fn build(&self, engine: Engine, reference: &str) -> Result<Stored> {
        let mut own = tempfile::NamedTempFile::new()?;
        own.write_all(CONTAINERFILE.as_bytes())?;
        let containerfile = self.containerfile.as_deref().unwrap_or(own.path());
        engine.build(containerfile, &self.root, reference, &self.annotations)
    }
}
