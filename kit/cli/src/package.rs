//! A Cargo package, compiled for the wasm target.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{CrateType, Metadata, MetadataCommand, TargetKind};
use clap::ValueEnum;
use proxy_wasm_module::{Shrunk, shrink, strip};

use crate::files::{read, write_whole};
use crate::toolchain::{TARGET, Toolchain, WASI_TARGET};

/// Makes the linker write relocations, which show [`shrink`] which data is used.
const EMIT_RELOCS: &str = "-Clink-arg=--emit-relocs";

/// The size of the module's stack, in bytes. Each worker thread of a proxy would need Rust's
/// default of 1 MiB.
const STACK_SIZE: u32 = 64 * 1024;

/// How a module is compiled.
#[derive(Clone, Copy, Debug)]
enum Profile {
    /// The release build, with or without what [`shrink`] needs.
    Ship { for_shrinking: bool },
    /// The development build, which compiles fast.
    Development,
    /// The analysis build for [`shrink`]: nothing is inlined, so each function keeps its name. This
    /// is Cargo's `dev` profile, so tests share the compiled dependencies.
    Analysis,
}

/// What a module is compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WasmTarget {
    /// Plain WebAssembly, without a clock, random numbers or files
    #[default]
    #[value(name = TARGET)]
    Unknown,
    /// WebAssembly with WASI preview 1: the clock, random numbers and environment variables are
    /// host calls, and the module is larger
    #[value(name = WASI_TARGET)]
    Wasi,
}

impl WasmTarget {
    /// Its name in Cargo.
    fn name(self) -> &'static str {
        match self {
            Self::Unknown => TARGET,
            Self::Wasi => WASI_TARGET,
        }
    }
}

/// A Cargo package.
#[derive(Debug)]
pub struct CargoPackage {
    /// What its modules are compiled for.
    pub target_platform: WasmTarget,
    metadata: Metadata,
    package: cargo_metadata::Package,
    root: PathBuf,
}

impl CargoPackage {
    /// Reads the package in a directory.
    ///
    /// # Errors
    ///
    /// If there is no package, or if Cargo cannot read it.
    pub fn at(directory: &Path) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(directory)
            .other_options(["--filter-platform".to_owned(), TARGET.to_owned()])
            .exec()
            .context("cannot read the Cargo package")?;
        let Some(package) = metadata.root_package().cloned() else {
            bail!(
                "{} is a workspace without a package; run this in the directory of a package",
                metadata.workspace_root
            );
        };
        let root = package.manifest_path.parent().map(ToOwned::to_owned);
        Ok(Self {
            target_platform: WasmTarget::default(),
            metadata,
            package,
            root: root.unwrap_or_default().into_std_path_buf(),
        })
    }

    /// The package's metadata.
    pub fn package(&self) -> &cargo_metadata::Package {
        &self.package
    }

    /// The directory of the package.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory.
    pub fn target(&self) -> PathBuf {
        self.metadata.target_directory.clone().into_std_path_buf()
    }

    /// The name of the library, which must be a `cdylib`.
    ///
    /// # Errors
    ///
    /// If it is not. The message says what to add to Cargo.toml.
    pub fn library(&self) -> Result<&str> {
        let mut targets = self.package.targets.iter();
        let library = targets.find(|target| {
            target.crate_types.contains(&CrateType::CDyLib)
                && !target.kind.contains(&TargetKind::Example)
        });
        let library = library.with_context(|| {
            format!(
                "{} does not build a module; add crate-type = [\"cdylib\"] under [lib]",
                self.package.manifest_path
            )
        })?;
        Ok(&library.name)
    }

    /// Compiles the release build of the library, and shrinks it. The module has its function
    /// names.
    ///
    /// # Errors
    ///
    /// If there is no toolchain, or if the library does not compile.
    pub fn build_shrunk(&self) -> Result<Shrunk> {
        let module = self.compile_library(Profile::Ship {
            for_shrinking: true,
        })?;
        let analysis = self.compile_library(Profile::Analysis)?;
        Ok(shrink(&module, Some(&analysis))?)
    }

    /// Compiles the release build of the library, without shrinking it.
    ///
    /// # Errors
    ///
    /// As [`CargoPackage::build_shrunk`].
    pub fn build_unshrunk(&self) -> Result<Vec<u8>> {
        self.compile_library(Profile::Ship {
            for_shrinking: false,
        })
    }

    /// Compiles the library for development: without link-time optimization and shrinking, it takes
    /// a second after a change.
    ///
    /// # Errors
    ///
    /// As [`CargoPackage::build_shrunk`].
    pub fn build_for_development(&self) -> Result<Vec<u8>> {
        self.compile_library(Profile::Development)
    }

    /// Compiles and shrinks the examples that are modules, and returns their directory. It has two
    /// files for each: `NAME.wasm`, and `NAME.names.wasm` with the function names.
    ///
    /// # Errors
    ///
    /// As [`CargoPackage::build_shrunk`], or if a file cannot be written.
    pub fn build_examples(&self) -> Result<PathBuf> {
        let compile = |profile| -> Result<PathBuf> {
            Ok(self.compile("--examples", profile)?.join("examples"))
        };
        let modules = compile(Profile::Ship {
            for_shrinking: true,
        })?;
        let analyses = compile(Profile::Analysis)?;
        let directory = self.target().join("examples");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let examples = self.package.targets.iter().filter(|target| {
            target.kind.contains(&TargetKind::Example)
                && target.crate_types.contains(&CrateType::CDyLib)
        });
        for name in examples.map(|example| &example.name) {
            let file = format!("{name}.wasm");
            let with_names = shrink(
                &read(&modules.join(&file))?,
                Some(&read(&analyses.join(&file))?),
            )?
            .module;
            write_whole(&directory.join(format!("{name}.names.wasm")), &with_names)?;
            write_whole(&directory.join(file), &strip(&with_names)?)?;
        }
        Ok(directory)
    }

    fn compile_library(&self, profile: Profile) -> Result<Vec<u8>> {
        let library = self.library()?;
        let directory = self.compile("--lib", profile)?;
        read(&directory.join(format!("{library}.wasm")))
    }

    /// Compiles the library or the examples, and returns the directory of the modules.
    fn compile(&self, which: &str, profile: Profile) -> Result<PathBuf> {
        let toolchain = match self.target_platform {
            WasmTarget::Unknown => Toolchain::find_or_install()?,
            WasmTarget::Wasi => Toolchain::find_or_install_wasi()?,
        };
        let target = self.target_platform.name();
        let flags = match profile {
            Profile::Ship { for_shrinking } => {
                let mut flags = self.rustflags();
                flags.extend(toolchain.path_flags());
                flags.extend(for_shrinking.then(|| EMIT_RELOCS.to_owned()));
                flags
            }
            Profile::Development | Profile::Analysis => Vec::new(),
        };
        let (arguments, directory): (&[&str], _) = match profile {
            Profile::Ship { .. } => (&["--profile", "wasm"], "wasm"),
            Profile::Development => (&["--release"], "release"),
            Profile::Analysis => (&["--config=profile.dev.opt-level=0"], "debug"),
        };
        let status = toolchain
            .cargo(&flags)
            .args(["build", which, "--target", target])
            .args(arguments)
            .current_dir(&self.root)
            .status()
            .context("cannot run cargo")?;
        ensure!(
            status.success(),
            "the extension does not compile; the lines above say why"
        );
        Ok(self.target().join(target).join(directory))
    }

    /// Flags for the release build: a small stack, and no paths of this machine, so that the same
    /// source gives the same bytes everywhere. Packages of the workspace already have relative
    /// paths. Flags for them would contain the project's name, so a rename would compile all
    /// dependencies again.
    fn rustflags(&self) -> Vec<String> {
        let mut flags = vec![format!("-Clink-arg=-zstack-size={STACK_SIZE}")];
        for package in &self.metadata.packages {
            if self.metadata.workspace_members.contains(&package.id) {
                continue;
            }
            if let Some(directory) = package.manifest_path.parent() {
                flags.push(format!(
                    "--remap-path-prefix={directory}=/{}-{}",
                    package.name, package.version
                ));
            }
        }
        flags
    }
}
