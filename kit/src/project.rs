//! The Cargo package that holds an extension, and its build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{CrateType, Metadata, MetadataCommand};

use crate::manifest::{self, Manifest};
use crate::toolchain::{TARGET, Toolchain, command_exists};

/// The name under which Istio looks for the module.
pub const ISTIO_MODULE: &str = "plugin.wasm";

/// The Cargo profile that compiles the module that ships.
const PROFILE: &str = "wasm";

/// The module's stack, in bytes. Rust's default of 1 MiB would cost each of a proxy's workers.
const STACK_SIZE: u32 = 64 * 1024;

/// An extension's package, in the folder that this program runs in.
#[derive(Debug)]
pub struct Project {
    metadata: Metadata,
    root: PathBuf,
    library: String,
    /// The extension's manifest.
    pub manifest: Manifest,
}

impl Project {
    /// Reads the package around the current folder, and its `manifest.yaml`.
    ///
    /// # Errors
    ///
    /// When there is no package, when it is not built as a `cdylib`, or on a bad manifest.
    pub fn find() -> Result<Self> {
        Self::at(Path::new("."))
    }

    /// Reads the package in `folder`.
    ///
    /// # Errors
    ///
    /// As [`Project::find`].
    pub fn at(folder: &Path) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(folder)
            .other_options([
                "--locked".to_owned(),
                "--filter-platform".to_owned(),
                TARGET.to_owned(),
            ])
            .exec()
            .context("cannot read the Cargo package")?;
        let Some(package) = metadata.root_package() else {
            bail!("{} holds no package", metadata.workspace_root);
        };
        let library = package
            .targets
            .iter()
            .find(|target| target.crate_types.contains(&CrateType::CDyLib))
            .with_context(|| {
                format!(
                    "{} builds no module; add crate-type = [\"cdylib\"] under [lib]",
                    package.manifest_path
                )
            })?
            .name
            .clone();
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let manifest = Manifest::read(&root.join(manifest::FILE_NAME))?;
        Ok(Self {
            root,
            library,
            manifest,
            metadata,
        })
    }

    /// What Cargo knows of the package.
    pub fn package(&self) -> Option<&cargo_metadata::Package> {
        self.metadata.root_package()
    }

    /// The folder of the package.
    pub fn root(&self) -> &PathBuf {
        &self.root
    }

    /// The folder for everything that is made.
    pub fn target(&self) -> PathBuf {
        self.metadata.target_directory.clone().into_std_path_buf()
    }

    /// The folder that holds exactly what the image's root holds.
    pub fn image_root(&self) -> PathBuf {
        self.target().join("image")
    }

    /// A toolchain that compiles the extension.
    ///
    /// # Errors
    ///
    /// As [`Toolchain::find_or_install`].
    pub fn toolchain(&self) -> Result<Toolchain> {
        Toolchain::find_or_install(&self.target())
    }

    /// The program that runs the package's unit tests in Node, of the version that Cargo.lock
    /// names. Where it is missing, it is compiled.
    ///
    /// # Errors
    ///
    /// When there is no Node, when the package does not use wasm-bindgen, or when the program does not compile.
    pub fn wasm_test_runner(&self) -> Result<PathBuf> {
        ensure!(
            command_exists("node"),
            "tests in wasm run in Node; install it (nodejs.org, or the package nodejs)"
        );
        let version = &self
            .metadata
            .packages
            .iter()
            .find(|package| *package.name == "wasm-bindgen")
            .context("tests in wasm need the dev-dependency wasm-bindgen-test")?
            .version;
        let folder = self.target().join(format!("wasm-bindgen-{version}"));
        let runner = folder.join("bin/wasm-bindgen-test-runner");
        if !runner.is_file() {
            eprintln!("Compiling the runner of tests in wasm, once (about a minute)");
            let status = Command::new("cargo")
                .args(["install", "--locked", "--debug", "--root"])
                .arg(&folder)
                .args(["--bin", "wasm-bindgen-test-runner"])
                .arg(format!("wasm-bindgen-cli@{version}"))
                .status()
                .context("cannot run cargo")?;
            ensure!(
                status.success(),
                "wasm-bindgen-cli {version} does not compile; the lines above say why"
            );
        }
        Ok(runner)
    }

    /// Compiles the module and stages the image's root.
    ///
    /// # Errors
    ///
    /// When there is no toolchain, when the extension does not compile, or on a full disk.
    pub fn build(&self) -> Result<PathBuf> {
        let status = self
            .toolchain()?
            .cargo(&self.rustflags())
            .args([
                "build",
                "--locked",
                "--lib",
                "--profile",
                PROFILE,
                "--target",
                TARGET,
            ])
            .current_dir(&self.root)
            .status()
            .context("cannot run cargo")?;
        ensure!(
            status.success(),
            "the extension does not compile; the lines above say why"
        );
        let built = self
            .target()
            .join(TARGET)
            .join(PROFILE)
            .join(format!("{}.wasm", self.library));
        self.stage(&fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?)
    }

    /// Flags that hold for every build of the module, on every machine: a small stack, and none
    /// of this machine's paths in the module, so that the same source gives the same bytes.
    fn rustflags(&self) -> Vec<String> {
        let mut flags = vec![format!("-Clink-arg=-zstack-size={STACK_SIZE}")];
        for package in &self.metadata.packages {
            if let Some(folder) = package.manifest_path.parent() {
                flags.push(format!(
                    "--remap-path-prefix={folder}=/{}-{}",
                    package.name, package.version
                ));
            }
        }
        flags
    }

    fn stage(&self, module: &[u8]) -> Result<PathBuf> {
        let folder = tempfile::Builder::new()
            .prefix("image-")
            .tempdir_in(self.target())?;
        let module_path = folder.path().join(&self.manifest.module);
        if let Some(parent) = module_path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(module_path, module)?;
        fs::write(folder.path().join(ISTIO_MODULE), module)?;
        fs::copy(
            self.root.join(manifest::FILE_NAME),
            folder.path().join(manifest::FILE_NAME),
        )?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        }
        let image_root = self.image_root();
        if image_root.exists() {
            fs::remove_dir_all(&image_root)?;
        }
        fs::rename(folder.keep(), &image_root)?;
        Ok(image_root)
    }
}
