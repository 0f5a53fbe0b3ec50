//! A Rust toolchain that compiles to WebAssembly.
//!
//! The target's standard library comes from the toolchain in use, from rustup, or from the packages
//! of Debian and Ubuntu, in this order. The packages also work where only package mirrors can be
//! reached.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::stdio::print_note;

/// The target of extensions: WebAssembly without WASI.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's newest Rust: the compiler, Cargo, the linter, and the standard library's source.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-clippy", "rust-web-src"];

/// WebAssembly with WASI, for extensions that use it.
pub const WASI_TARGET: &str = "wasm32-wasip1";

/// The prefix of a standard library's directory. The compiler's version follows.
const SYSROOT: &str = "wasm-sysroot-";

const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";
const DISTRIBUTION_CARGO: &str = "/usr/bin/cargo";

/// A toolchain that has the target.
#[derive(Debug)]
pub struct Toolchain {
    kind: ToolchainKind,
}

#[derive(Debug)]
enum ToolchainKind {
    /// The toolchain in use.
    InUse,
    /// The distribution's toolchain, and the standard library that it lacks.
    Distribution {
        linker: Option<PathBuf>,
        sysroot: Option<PathBuf>,
    },
}

impl Toolchain {
    /// Finds a toolchain that has the target, or installs one.
    ///
    /// # Errors
    ///
    /// If there is none and none can be installed. The message says how to install one.
    pub fn find_or_install() -> Result<Self> {
        if has_target("rustc".as_ref()) {
            return Ok(Self {
                kind: ToolchainKind::InUse,
            });
        }
        // If Debian's toolchain is complete, an earlier build could not add the target with rustup.
        // Do not try rustup for each build.
        if let Ok(version) = version_of(DISTRIBUTION_RUSTC.as_ref()) {
            let debian = DebianToolchain::new(&version, &cache()?);
            if debian.is_complete() {
                return Ok(debian.into_toolchain());
            }
        }
        if add_with_rustup() {
            return Ok(Self {
                kind: ToolchainKind::InUse,
            });
        }
        if has_target(DISTRIBUTION_RUSTC.as_ref()) {
            return Ok(Self {
                kind: ToolchainKind::Distribution {
                    linker: None,
                    sysroot: None,
                },
            });
        }
        ensure!(
            command_exists("apt-get"),
            "no Rust standard library for {TARGET}. Install it: `rustup target add {TARGET}`, \
             or your distribution's package (Fedora: rust-std-static-{TARGET}; Alpine, Arch: \
             rust-wasm)"
        );
        install_packages(&missing_packages(&DEBIAN_PACKAGES))?;
        let version = version_of(DISTRIBUTION_RUSTC.as_ref())?;
        let lld = format!("lld-{}", version.llvm_major);
        install_packages(&missing_packages(&[&lld]))?;
        let debian = DebianToolchain::new(&version, &cache()?);
        if !debian.sysroot.exists() {
            build_standard_library(&debian.sysroot, &version.release)?;
        }
        Ok(debian.into_toolchain())
    }

    /// Finds a toolchain that has [`WASI_TARGET`], or adds the target with rustup. The
    /// distribution's standard library cannot be compiled for it without a C library for WASI.
    ///
    /// # Errors
    ///
    /// If there is no such toolchain. The message says what to install, and how.
    pub fn find_or_install_wasi() -> Result<Self> {
        let is_available = has_target_library("rustc".as_ref(), WASI_TARGET)
            || add_target_with_rustup(WASI_TARGET);
        ensure!(
            is_available,
            "no Rust standard library for {WASI_TARGET}. Install it: `rustup target add {WASI_TARGET}`"
        );
        Ok(Self {
            kind: ToolchainKind::InUse,
        })
    }

    /// A Cargo command with this toolchain. `rustflags` apply only to the target.
    ///
    /// The caller adds the subcommand and `--target` [`TARGET`].
    pub fn cargo(&self, rustflags: &[String]) -> Command {
        let mut flags = rustflags.to_vec();
        let mut command = match &self.kind {
            ToolchainKind::InUse => Command::new("cargo"),
            ToolchainKind::Distribution { linker, sysroot } => {
                if let Some(linker) = linker {
                    flags.push(format!("-Clinker={}", linker.display()));
                }
                if let Some(sysroot) = sysroot {
                    flags.push(format!("--sysroot={}", sysroot.display()));
                }
                distribution_cargo()
            }
        };
        if !flags.is_empty() {
            command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        }
        command
    }

    /// Flags that give the standard library the same paths on every machine. If its source is
    /// installed (the component `rust-src`), the compiler otherwise writes the path of that
    /// directory.
    pub fn path_flags(&self) -> Vec<String> {
        if !matches!(self.kind, ToolchainKind::InUse) {
            return Vec::new(); // `build_standard_library` has set them
        }
        let output = Command::new("rustc").args(["--print", "sysroot"]).output();
        let (Ok(output), Ok(version)) = (output, version_of(Path::new("rustc"))) else {
            return Vec::new(); // the build reports the error
        };
        let sysroot = String::from_utf8_lossy(&output.stdout);
        let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
        vec![format!(
            "--remap-path-prefix={}=/rustc/{}",
            source.display(),
            version.commit
        )]
    }
}

/// The directory for what is compiled once for all projects, in Cargo's home directory.
///
/// # Errors
///
/// If there is no home directory.
pub fn cache() -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let home = home.context("there is no home directory; set CARGO_HOME")?;
    Ok(home.join("proxy-wasm"))
}

/// Debian's toolchain: the linker for the target, and the standard library that was compiled for
/// it.
struct DebianToolchain {
    linker: PathBuf,
    sysroot: PathBuf,
}

impl DebianToolchain {
    fn new(version: &CompilerVersion, cache: &Path) -> Self {
        Self {
            linker: PathBuf::from(format!("/usr/bin/wasm-ld-{}", version.llvm_major)),
            sysroot: cache.join(format!("{SYSROOT}{}", version.release)),
        }
    }

    fn is_complete(&self) -> bool {
        self.linker.exists() && self.sysroot.exists()
    }

    fn into_toolchain(self) -> Toolchain {
        Toolchain {
            kind: ToolchainKind::Distribution {
                linker: Some(self.linker),
                sysroot: Some(self.sysroot),
            },
        }
    }
}

/// The distribution's Cargo, without the variables with which rustup selects a toolchain.
fn distribution_cargo() -> Command {
    let mut path = OsString::from("/usr/bin:");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(DISTRIBUTION_CARGO);
    command
        .env("PATH", path)
        .env("RUSTC", DISTRIBUTION_RUSTC)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO");
    command
}

/// Whether this compiler has the standard library of [`TARGET`].
fn has_target(rustc: &OsStr) -> bool {
    has_target_library(rustc, TARGET)
}

/// Whether this compiler has a target's standard library.
fn has_target_library(rustc: &OsStr, target: &str) -> bool {
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", target])
        .stderr(Stdio::null())
        .output();
    let Ok(output) = output else { return false };
    let directory = String::from_utf8_lossy(&output.stdout);
    output.status.success()
        && fs::read_dir(directory.trim()).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
        })
}

fn add_with_rustup() -> bool {
    let is_added = add_target_with_rustup(TARGET);
    if !is_added && command_exists("rustup") {
        print_note!(
            "rustup cannot add the target {TARGET}; looking for a package of the distribution"
        );
    }
    is_added
}

fn add_target_with_rustup(target: &str) -> bool {
    if !command_exists("rustup") {
        return false;
    }
    print_note!("Adding the target {target} with rustup");
    let output = Command::new("rustup")
        .args(["target", "add", target])
        .output();
    output.is_ok_and(|output| output.status.success())
}

/// Whether PATH has a command of this name.
pub(crate) fn command_exists(name: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|directory| directory.join(name).is_file())
}

fn missing_packages<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let installed = |name: &str| {
        Command::new("dpkg-query")
            .args(["--show", "--showformat=${db:Status-Status}", name])
            .stderr(Stdio::null())
            .output()
            .is_ok_and(|output| output.stdout == b"installed")
    };
    names
        .iter()
        .copied()
        .filter(|name| !installed(name))
        .collect()
}

/// Installs Debian packages if the user is root. Otherwise the error has the command to run.
fn install_packages(names: &[&str]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let list = names.join(" ");
    let id = Command::new("id").arg("-u").output()?;
    if id.stdout.trim_ascii() != b"0" {
        bail!(
            "the wasm target needs packages; install them, then run this command again:\n  \
             sudo apt-get install --no-install-recommends {list}"
        );
    }
    print_note!("Installing {list}");
    let apt_get = |arguments: &[&str]| -> Result<()> {
        let status = Command::new("apt-get")
            .args(["-q", "-y"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        ensure!(
            status.success(),
            "apt-get {} failed: {status}; the lines above say why",
            arguments.join(" ")
        );
        Ok(())
    };
    apt_get(&["update"])?;
    let mut arguments = vec!["install", "--no-install-recommends"];
    arguments.extend(names);
    apt_get(&arguments)
}

struct CompilerVersion {
    release: String,
    commit: String,
    llvm_major: String,
}

fn version_of(rustc: &Path) -> Result<CompilerVersion> {
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .with_context(|| format!("cannot run {}", rustc.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .with_context(|| format!("{} -vV prints no {name}", rustc.display()))
    };
    let llvm = field("LLVM version")?;
    Ok(CompilerVersion {
        release: field("release")?.to_owned(),
        commit: field("commit-hash")?.to_owned(),
        llvm_major: llvm.split('.').next().unwrap_or(llvm).to_owned(),
    })
}

/// Compiles the standard library for the target from the distribution's source, and writes it in
/// the layout that rustc expects. The directory is created atomically.
fn build_standard_library(sysroot: &Path, release: &str) -> Result<()> {
    print_note!(
        "Compiling the standard library of the distribution's Rust {release} for {TARGET}, once (about a \
         minute). All later builds use it"
    );
    let parent = sysroot
        .parent()
        .context("the sysroot has no parent directory")?;
    fs::create_dir_all(parent)?;
    let work = tempfile::Builder::new().prefix("std-").tempdir_in(parent)?;
    let package = work.path().join("empty");
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::write(
        package.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nedition = \"2021\"\n[workspace]\n",
    )?;
    let source = fs::canonicalize("/usr/lib/rustlib/src/rust")
        .context("the standard library's source is missing; install the package rust-web-src")?;
    // Link-time optimization needs bitcode, which Cargo leaves out. The paths are those of rustup's
    // standard library, in place of this machine's.
    let rustflags = [
        "-Cembed-bitcode=yes".to_owned(),
        format!("--remap-path-prefix={}=/rustc/{release}", source.display()),
        format!("--remap-path-prefix={}=/std", work.path().display()),
    ];
    let status = distribution_cargo()
        .args(["build", "--release", "--target", TARGET])
        .arg("-Zbuild-std=std,panic_abort,test")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\u{1f}"))
        .env("CARGO_TARGET_DIR", package.join("target"))
        .current_dir(&package)
        .status()
        .context("cannot run the distribution's cargo")?;
    ensure!(
        status.success(),
        "compiling the standard library failed: {status}"
    );

    let libraries = work
        .path()
        .join("sysroot/lib/rustlib")
        .join(TARGET)
        .join("lib");
    fs::create_dir_all(&libraries)?;
    for entry in fs::read_dir(package.join("target").join(TARGET).join("release/deps"))? {
        let path = entry?.path();
        if path.extension() == Some("rlib".as_ref())
            && let Some(name) = path.file_name()
        {
            fs::copy(&path, libraries.join(name))?;
        }
    }
    fs::rename(work.path().join("sysroot"), sysroot)?;
    Ok(())
}
