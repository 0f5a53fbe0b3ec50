//! The extension of the package under test.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::module::Module;

const TARGET: &str = "wasm32-unknown-unknown";

/// The module of the package whose tests run.
///
/// If the environment variable `PROXY_WASM_MODULE` is set, the module is the file that it names.
/// Otherwise Cargo compiles the package's library with `cargo build --release --lib --target
/// wasm32-unknown-unknown`, once for each test executable.
///
/// If the module is stripped, `PROXY_WASM_SYMBOLS` can name the same module before it was stripped.
/// Backtraces then have its function names.
///
/// # Panics
///
/// If there is no module. The message says why, and what to do.
pub fn extension() -> Module {
    let symbols = variable("PROXY_WASM_SYMBOLS");
    load(&module_path(), symbols.as_deref()).unwrap_or_else(|reason| panic!("{reason}"))
}

/// The path of the module under test: see [`extension`].
///
/// # Panics
///
/// As for [`extension`].
pub fn module_path() -> PathBuf {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let compile = || compile(&env::current_dir().map_err(|error| error.to_string())?);
    PATH.get_or_init(|| variable("PROXY_WASM_MODULE").map_or_else(compile, Ok))
        .clone()
        .unwrap_or_else(|reason| panic!("no module to test: {reason}"))
}

/// The path that an environment variable names, unless it is empty.
fn variable(name: &str) -> Option<PathBuf> {
    named_path(env::var_os(name))
}

fn named_path(value: Option<OsString>) -> Option<PathBuf> {
    value.filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn load(path: &Path, symbols: Option<&Path>) -> Result<Module, String> {
    let read = |path: &Path| {
        fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let bytes = read(path)?;
    Ok(match symbols {
        Some(symbols) => Module::with_symbols(bytes, read(symbols)?),
        None => Module::from(bytes),
    })
}

/// Compiles the library of the package in a directory. Cargo runs tests in the directory of their package.
fn compile(directory: &Path) -> Result<PathBuf, String> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--lib", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(directory)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "the package does not compile; see the lines above. If the target is missing, run \
             `rustup target add {TARGET}`, or set PROXY_WASM_MODULE to a module"
        ));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let manifest = directory.join("Cargo.toml");
    artifact(&messages, &manifest)
        .ok_or_else(|| "add crate-type = [\"cdylib\"] under [lib] in Cargo.toml".to_owned())
}

/// The module among the files that Cargo reports for the package with this manifest.
fn artifact(messages: &str, manifest: &Path) -> Option<PathBuf> {
    let manifest = manifest.canonicalize().ok()?;
    let is_manifest = |path: &Value| {
        let path = path.as_str().map(Path::new);
        path.and_then(|path| path.canonicalize().ok()).as_ref() == Some(&manifest)
    };
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| is_manifest(&message["manifest_path"]))
        .find_map(|message| {
            let files = message["filenames"].as_array()?;
            files
                .iter()
                .filter_map(Value::as_str)
                .map(PathBuf::from)
                .find(|file| file.extension() == Some("wasm".as_ref()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_variable_names_no_path() {
        assert_eq!(named_path(None), None);
        assert_eq!(named_path(Some(OsString::new())), None);
        assert_eq!(named_path(Some("x.wasm".into())), Some("x.wasm".into()));
    }

    #[test]
    fn module_is_read_with_its_symbols() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let [module, symbols] = ["module", "symbols"].map(|name| directory.path().join(name));
        fs::write(&module, b"stripped")?;
        fs::write(&symbols, b"named")?;

        let plain = load(&module, None)?;
        assert_eq!(plain.bytes(), b"stripped");
        assert_eq!(plain.symbols, None);
        let named = load(&module, Some(&symbols))?;
        assert_eq!(named.bytes(), b"stripped");
        assert_eq!(named.symbols.as_deref(), Some(&b"named"[..]));
        Ok(())
    }

    #[test]
    fn missing_file_is_named() {
        let reason = load(Path::new("does/not/exist.wasm"), None).unwrap_err();
        assert!(
            reason.starts_with("cannot read does/not/exist.wasm: "),
            "{reason}"
        );
    }

    /// A package with a dependency, which has a module, too.
    fn package(crate_type: &str) -> std::io::Result<tempfile::TempDir> {
        let directory = tempfile::tempdir()?;
        let library = |name: &str, crate_type: &str, rest: &str| {
            format!(
                "[package]\nname = \"{name}\"\nedition = \"2024\"\n\
                 [lib]\ncrate-type = [\"{crate_type}\", \"rlib\"]\npath = \"lib.rs\"\n{rest}"
            )
        };
        let (path, dependency) = (directory.path(), directory.path().join("dependency"));
        fs::create_dir(&dependency)?;
        fs::write(
            path.join("Cargo.toml"),
            library(
                "extension-under-test",
                crate_type,
                "[dependencies]\ndependency = { path = \"dependency\" }\n[workspace]\n",
            ),
        )?;
        fs::write(
            path.join("lib.rs"),
            "#[unsafe(no_mangle)]\npub extern \"C\" fn proxy_abi_version_0_2_1() {}\n",
        )?;
        fs::write(
            dependency.join("Cargo.toml"),
            library("dependency", "cdylib", ""),
        )?;
        fs::write(dependency.join("lib.rs"), "")?;
        Ok(directory)
    }

    // This test needs the target; if it is not installed, the failure says how to install it.
    #[test]
    fn package_is_compiled_for_wasm() -> Result<(), Box<dyn std::error::Error>> {
        let package = package("cdylib")?;
        let path = compile(package.path())?;
        assert_eq!(path.file_name(), Some("extension_under_test.wasm".as_ref()));
        assert!(fs::read(&path)?.starts_with(b"\0asm"));
        // Cargo also reports a module that it does not compile again.
        assert_eq!(compile(package.path())?, path);
        Ok(())
    }

    #[test]
    fn package_without_a_module_is_rejected_with_advice() -> Result<(), Box<dyn std::error::Error>>
    {
        let reason = compile(package("staticlib")?.path()).unwrap_err();
        assert!(
            reason.starts_with("add crate-type = [\"cdylib\"]"),
            "{reason}"
        );
        Ok(())
    }
}
