//! `cargo proxy-wasm image`.

use std::env;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use proxy_wasm_check::CONSUMERS;
use proxy_wasm_image::{Engine, manifest};

use crate::cli::{CheckFormat, Packaging};
use crate::commands::check::{print_report, require_acceptance};
use crate::project::Project;
use crate::staged::{StagingDirectory, Variant};
use crate::stdio::{print_line, shown};

impl Packaging {
    /// The files to package: those of a directory, a module and its manifest, or the staged files
    /// of this package.
    fn staged(&self) -> Result<StagingDirectory> {
        match (&self.from, &self.module) {
            (Some(directory), _) => StagingDirectory::at(directory),
            (None, Some(module)) => StagingDirectory::of_module(module, self.manifest()),
            (None, None) => StagingDirectory::of_project(&Project::find()?),
        }
    }

    /// The manifest of a module that another tool has compiled.
    fn manifest(&self) -> &Path {
        let default = Path::new(manifest::FILE_NAME);
        self.manifest.as_deref().unwrap_or(default)
    }

    /// The files to package, if the required consumers accept them.
    pub fn checked(&self) -> Result<StagingDirectory> {
        let staged = self.staged()?;
        print_report(staged.report(), CheckFormat::Text)?;
        let mut required = self.required.clone();
        if required.is_empty() {
            let meshes = CONSUMERS.iter().filter(|consumer| consumer.is_mesh);
            required.extend(meshes.map(|consumer| consumer.name.to_owned()));
        }
        require_acceptance(staged.report(), &required)?;
        Ok(staged)
    }

    /// The command that pushes the same files.
    fn push_command(&self) -> String {
        let is_project = self.from.is_none() && self.module.is_none();
        let mut command = if is_project {
            "cargo make push".to_owned()
        } else {
            "cargo proxy-wasm push".to_owned()
        };
        for (option, path) in [
            ("from", &self.from),
            ("module", &self.module),
            ("manifest", &self.manifest),
        ] {
            if let Some(path) = path {
                command += &format!(" --{option} {}", path.display());
            }
        }
        // The environment variable applies to that command, too.
        if let Some(engine) = self.engine.as_deref()
            && !engine.is_empty()
            && env::var("CONTAINER_ENGINE").as_deref() != Ok(engine)
        {
            command += &format!(" --engine {engine}");
        }
        if self.variant == Variant::Oci {
            command += " --variant oci";
        }
        if !self.required.is_empty() {
            command += &format!(" --for {}", self.required.join(","));
        }
        command
    }

    /// The engine to use. `None` packages without an engine, as the oci variant requires.
    pub fn engine(&self) -> Result<Option<Engine>> {
        match self.engine.as_deref() {
            None | Some("") if self.variant == Variant::Oci => Ok(None),
            None | Some("") => Ok(Engine::find()),
            Some("none") => Ok(None),
            Some(name) => {
                ensure!(
                    self.variant == Variant::Compat,
                    "container engines cannot package the oci variant; pass --engine none, or set CONTAINER_ENGINE=none"
                );
                chosen(name).map(Some)
            }
        }
    }
}

/// Packages the staged files.
pub fn package(packaging: &Packaging, image: Option<String>) -> Result<()> {
    let staged = packaging.checked()?;
    let (name, version) = staged.name()?;
    let image = image
        .filter(|image| !image.is_empty())
        .unwrap_or_else(|| format!("localhost/{name}:{version}"));
    if let Some(engine) = packaging.engine()? {
        let stored = staged.build(engine, &image)?;
        print_line!("Image:    {image} (in {engine}'s storage)")?;
        print_line!("Image ID: {}", stored.id)?;
        print_line!("Size:     {}", stored.size)?;
    } else {
        let package = staged.package(packaging.variant)?;
        let archive = staged.write_archive(&package, &image, packaging.variant)?;
        print_line!("Image:    {} ({image}, an OCI archive)", shown(&archive))?;
        print_line!("Digest:   {}", package.digest())?;
        print_line!("Size:     {} bytes", std::fs::metadata(&archive)?.len())?;
    }
    let push = packaging.push_command();
    print_line!("Next:     IMAGE=REGISTRY/TEAM/{name}:{version} {push}")?;
    Ok(())
}

fn chosen(name: &str) -> Result<Engine> {
    let engine = Engine::ALL
        .into_iter()
        .find(|engine| engine.command() == name)
        .with_context(|| {
            format!("the container engine {name:?} is not supported; use podman, buildah, docker or none")
        })?;
    ensure!(
        engine.is_available(),
        "{name} does not respond; `{name} info` says why. To package without an engine, pass --engine none, or set CONTAINER_ENGINE=none"
    );
    Ok(engine)
}
