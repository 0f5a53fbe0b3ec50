//! The Cargo package that holds an extension, and its build.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{CrateType, Metadata, MetadataCommand, Package};
use proxy_wasm_image::ISTIO_MODULE;
use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_module::{Shrunk, Size, measure, shrink, strip};

use crate::toolchain::{TARGET, Toolchain};

mod examples;

/// The Cargo profile that compiles the module that ships.
const PROFILE: &str = "wasm";

/// The Cargo profile that compiles a module for development.
const DEV_PROFILE: &str = "release";

/// The profile of the build that is only analyzed: see [`shrink`]. It is Cargo's own, so that what it
/// compiles for this machine is shared with tests.
const ANALYSIS_PROFILE: &str = "dev";

/// Nothing is inlined, so that each function keeps its name.
const ANALYSIS_OPTIONS: &[&str] = &["--config=profile.dev.opt-level=0"];

/// Makes the linker say what refers to what, so that [`shrink`] knows which data are needed.
const REFERENCES: &str = "-Clink-arg=--emit-relocs";

/// The module's stack, in bytes. Rust's default of 1 MiB would cost each of a proxy's workers.
const STACK_SIZE: u32 = 64 * 1024;

/// What a build has made.
#[derive(Debug)]
pub struct Built {
    /// The folder that holds exactly what the image's root holds.
    pub folder: PathBuf,
    /// The module in it.
    pub module: PathBuf,
    /// What the module is made of.
    pub size: Size,
    /// What shrinking it did, unless it was left out.
    pub shrunk: Option<Shrunk>,
}

/// An extension's package, in the folder that this program runs in.
#[derive(Debug)]
pub struct Project {
    metadata: Metadata,
    package: Package,
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
                "--filter-platform".to_owned(),
                TARGET.to_owned(),
            ])
            .exec()
            .context("cannot read the Cargo package")?;
        let Some(package) = metadata.root_package().cloned() else {
            bail!(
                "{} is a workspace without a package; run this in the directory of a package",
                metadata.workspace_root
            );
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
        let root = package.manifest_path.parent().map(ToOwned::to_owned);
        let root = root.unwrap_or_default().into_std_path_buf();
        let manifest = Manifest::read(&root.join(manifest::FILE_NAME))?;
        Ok(Self {
            root,
            package,
            library,
            manifest,
            metadata,
        })
    }

    /// What Cargo knows of the package.
    pub fn package(&self) -> &Package {
        &self.package
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

    /// The directory for a module that is built for development.
    pub fn dev_image_root(&self) -> PathBuf {
        self.target().join("dev-image")
    }

    /// Compiles the module for development: without link-time optimization and shrinking, so that
    /// it takes a second after a change. It is staged in [`Project::dev_image_root`].
    ///
    /// # Errors
    ///
    /// As [`Project::build`].
    pub fn build_for_development(&self) -> Result<Built> {
        let module = strip(&self.compile(&Toolchain::find_or_install()?, DEV_PROFILE, &[], None)?)?;
        let folder = self.stage(&module, self.dev_image_root())?;
        Ok(Built {
            module: folder.join(&self.manifest.module),
            folder,
            size: measure(&module)?,
            shrunk: None,
        })
    }

    /// Compiles the module, shrinks it unless `shrinks` is false, and stages the image's files.
    ///
    /// # Errors
    ///
    /// If there is no toolchain, if the extension does not compile, or on a full disk.
    pub fn build(&self, shrinks: bool) -> Result<Built> {
        let toolchain = Toolchain::find_or_install()?;
        let for_shrinking = shrinks.then_some(REFERENCES);
        let module = self.compile(&toolchain, PROFILE, &[], for_shrinking)?;
        let shrunk = if shrinks {
            let analysis = self.compile(&toolchain, ANALYSIS_PROFILE, ANALYSIS_OPTIONS, None)?;
            Some(shrink(&module, Some(&analysis))?)
        } else {
            None
        };
        let with_names = shrunk.as_ref().map_or(&module, |shrunk| &shrunk.module);
        write_whole(&self.module_with_names(), with_names)?;
        let module = strip(with_names)?;
        let size = measure(&module)?;
        let folder = self.stage(&module, self.image_root())?;
        Ok(Built {
            module: folder.join(&self.manifest.module),
            folder,
            size,
            shrunk,
        })
    }

    fn compile(
        &self,
        toolchain: &Toolchain,
        profile: &str,
        options: &[&str],
        flag: Option<&str>,
    ) -> Result<Vec<u8>> {
        let folder = self.compile_target("--lib", toolchain, profile, options, flag)?;
        let module = folder.join(format!("{}.wasm", self.library));
        fs::read(&module).with_context(|| format!("cannot read {}", module.display()))
    }

    /// Compiles the library or the examples, with a flag for the compiler that this build alone has,
    /// and gives the folder that holds what came out.
    fn compile_target(
        &self,
        which: &str,
        toolchain: &Toolchain,
        profile: &str,
        options: &[&str],
        flag: Option<&str>,
    ) -> Result<PathBuf> {
        let mut flags = self.rustflags();
        flags.extend(toolchain.path_flags());
        flags.extend(flag.map(str::to_owned));
        let status = toolchain
            .cargo(&flags)
            .args(["build", which])
            .args(["--profile", profile, "--target", TARGET])
            .args(options)
            .current_dir(&self.root)
            .status()
            .context("cannot run cargo")?;
        ensure!(
            status.success(),
            "the extension does not compile; the lines above say why"
        );
        // Cargo calls the directory of the profile `dev` debug.
        let folder = if profile == "dev" { "debug" } else { profile };
        Ok(self.target().join(TARGET).join(folder))
    }

    /// The module that ships, with the names of its functions, which it ships without.
    pub fn module_with_names(&self) -> PathBuf {
        self.target().join("image.names.wasm")
    }

    /// Flags that hold for every build of the module, on every machine: a small stack, and none
    /// of this machine's paths in the module, so that the same source gives the same bytes. Cargo
    /// itself calls the workspace's packages by paths relative to it; flags for them would change with
    /// the project's name, and then all that it depends on would be compiled again.
    fn rustflags(&self) -> Vec<String> {
        let mut flags = vec![format!("-Clink-arg=-zstack-size={STACK_SIZE}")];
        for package in &self.metadata.packages {
            if self.metadata.workspace_members.contains(&package.id) {
                continue;
            }
            if let Some(folder) = package.manifest_path.parent() {
                flags.push(format!(
                    "--remap-path-prefix={folder}=/{}-{}",
                    package.name, package.version
                ));
            }
        }
        flags
    }

    /// Writes the image's files into a directory, which is replaced as a whole if they differ.
    fn stage(&self, module: &[u8], image_root: PathBuf) -> Result<PathBuf> {
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
        if same_files(folder.path(), &image_root) {
            return Ok(image_root);
        }
        if image_root.exists() {
            fs::remove_dir_all(&image_root)?;
        }
        fs::rename(folder.keep(), &image_root)?;
        Ok(image_root)
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

/// Writes a file beside its place and moves it there, so that it is whole or not there.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file without a folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
