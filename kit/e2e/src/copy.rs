//! Copies of this project, to be built elsewhere or under another name.
#![allow(dead_code)] // no test program needs all of it

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use extension_kit::rename::files::Files;
use extension_kit::{testing, toolchain};
use tempfile::TempDir;

use crate::support::run;

/// What a file is: its contents, and whether it can be run.
pub type Contents = BTreeMap<PathBuf, (Vec<u8>, bool)>;

/// The project as it is now, committed or not, as the only commit of a new repository.
pub fn project() -> Result<TempDir> {
    let folder = without_git()?;
    commit(folder.path())?;
    Ok(folder)
}

/// The project as it is now, as an archive of it would be unpacked.
pub fn without_git() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    write(&contents(Path::new("."))?, folder.path())?;
    Ok(folder)
}

/// Commits everything, in a repository that is made if there is none.
pub fn commit(folder: &Path) -> Result<()> {
    git(folder, &["init", "--quiet"])?;
    git(folder, &["add", "--all"])?;
    let author = ["-c", "user.name=a", "-c", "user.email=a@mail.example"];
    let commit = ["-c", "commit.gpgsign=false", "commit", "--quiet"];
    git(folder, &[&author[..], &commit, &["--message=a"]].concat())?;
    Ok(())
}

/// Runs git there, and gives what it prints.
pub fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let folder = folder.to_string_lossy();
    run("git", &[&["-C", &*folder], arguments].concat())
}

/// The files of a project, without what git ignores.
pub fn contents(folder: &Path) -> Result<Contents> {
    let mut contents = Contents::new();
    for path in Files::of(folder)?.paths {
        let whole = folder.join(&path);
        // Git goes on listing what was removed.
        if whole.is_file() {
            let mode = fs::metadata(&whole)?.permissions().mode();
            contents.insert(path, (fs::read(whole)?, mode & 0o100 != 0));
        }
    }
    Ok(contents)
}

/// A folder under `target/` that is kept, with these files and no others. Those that are the same are
/// left alone, so that Cargo compiles no more than it has to.
pub fn kept(name: &str, contents: &Contents) -> Result<PathBuf> {
    let folder = target().join(name);
    fs::create_dir_all(&folder)?;
    toolchain::share(&testing::project().target(), &target())?;
    for path in self::contents(&folder)?.keys() {
        if !contents.contains_key(path) {
            fs::remove_file(folder.join(path))?;
        }
    }
    write(contents, &folder)?;
    Ok(folder)
}

/// Where Cargo keeps what it compiles for the copies, which share it.
pub fn target() -> PathBuf {
    testing::project().target().join("copies")
}

/// A command in a copy.
pub fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        // Nobody debugs it, and it is a second copy of everything.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_INCREMENTAL", "0");
    command
}

fn write(contents: &Contents, folder: &Path) -> Result<()> {
    for (path, (bytes, runs)) in contents {
        let path = folder.join(path);
        if fs::read(&path).is_ok_and(|present| present == *bytes) {
            continue;
        }
        fs::create_dir_all(path.parent().context("a file without a folder")?)?;
        fs::write(&path, bytes)?;
        let mode = if *runs { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
