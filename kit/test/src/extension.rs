//! The extension of the package under test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::module::Module;

const TARGET: &str = "wasm32-unknown-unknown";

/// The module of the package whose tests run.
///
/// If the environment variable `PROXY_WASM_MODULE` is set, it is the file that it names; and
/// `PROXY_WASM_SYMBOLS` may name the same module with the names of its functions, for backtraces.
/// Otherwise Cargo compiles the package's library, once for each test program, with
/// `cargo build --release --lib --target wasm32-unknown-unknown`.
///
/// # Panics
///
/// If there is no module: why, and what to do.
pub fn extension() -> Module {
    let bytes = read(&module_path());
    match env::var_os("PROXY_WASM_SYMBOLS") {
        Some(symbols) => Module::with_symbols(bytes, read(Path::new(&symbols))),
        None => Module::from(bytes),
    }
}

/// The path of the module under test: see [`extension`].
///
/// # Panics
///
/// As [`extension`].
pub fn module_path() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match env::var_os("PROXY_WASM_MODULE") {
        Some(path) => PathBuf::from(path),
        None => compile().unwrap_or_else(|reason| panic!("no module to test: {reason}")),
    })
    .clone()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Compiles the library of the package in the current directory, where Cargo runs its tests.
fn compile() -> Result<PathBuf, String> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--lib", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "it does not compile, see the lines above. If the target is missing: rustup target \
             add {TARGET}, or `cargo make test`, which installs it"
        ));
    }
    // Cargo reports the packages in the order in which it compiles them, so that this one is last.
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .find_map(|message| {
            let files = message["filenames"].as_array()?;
            let file = files.iter().filter_map(Value::as_str);
            file.map(PathBuf::from)
                .find(|file| file.extension() == Some("wasm".as_ref()))
        })
        .ok_or_else(|| "add crate-type = [\"cdylib\"] under [lib] in Cargo.toml".to_owned())
}
