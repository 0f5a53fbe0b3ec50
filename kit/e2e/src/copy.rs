//! Copies of the template, to be built in another directory or under another name.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{image_root, run, template};

/// What a file is: its contents, and whether it can be run.
pub type Contents = BTreeMap<PathBuf, (Vec<u8>, bool)>;

/// The template as it is now, committed or not, as the only commit of a new repository.
///
/// # Errors
///
/// If it cannot be copied.
pub fn project() -> Result<TempDir> {
    let folder = without_git()?;
    commit(folder.path())?;
    Ok(folder)
}

/// The template as it is now, as an archive of it would be unpacked.
///
/// # Errors
///
/// If it cannot be copied.
pub fn without_git() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for (path, (bytes, runs)) in contents(template())? {
        let path = folder.path().join(path);
        write(&path, &bytes)?;
        if runs {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(folder)
}

/// Puts the files of the template's image where a build of this copy would stage them.
///
/// # Errors
///
/// If they cannot be copied.
pub fn stage(project: &Path) -> Result<()> {
    for entry in fs::read_dir(image_root())? {
        let entry = entry?;
        let path = project.join("target/image").join(entry.file_name());
        write(&path, &fs::read(entry.path())?)?;
    }
    Ok(())
}

/// Writes a file, in a directory that is made if there is none.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file without a directory")?)?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Commits everything, in a repository that is made if there is none.
///
/// # Errors
///
/// If git fails.
pub fn commit(folder: &Path) -> Result<()> {
    git(folder, &["init", "--quiet", "--initial-branch=main"])?;
    git(folder, &["add", "--all"])?;
    let author = ["-c", "user.name=a", "-c", "user.email=a@mail.example"];
    let commit = ["-c", "commit.gpgsign=false", "commit", "--quiet"];
    git(folder, &[&author[..], &commit, &["--message=a"]].concat())?;
    Ok(())
}

/// Runs git there, and returns what it prints.
///
/// # Errors
///
/// If git fails.
pub fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let folder = folder.to_string_lossy();
    run("git", &[&["-C", &*folder], arguments].concat())
}

/// The files of a project that git tracks or would track.
///
/// # Errors
///
/// If git fails, or if a file cannot be read.
pub fn contents(folder: &Path) -> Result<Contents> {
    let listed = git(
        folder,
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    )?;
    let mut contents = Contents::new();
    for path in listed.lines().map(PathBuf::from) {
        let whole = folder.join(&path);
        // Git also lists what was removed.
        if whole.is_file() {
            let mode = fs::metadata(&whole)?.permissions().mode();
            contents.insert(path, (fs::read(whole)?, mode & 0o100 != 0));
        }
    }
    Ok(contents)
}

/// Lets the copies share what Cargo compiles for them: each one's target directory is the same.
/// Packages of one name would overwrite each other, so tests of copies give them names of their own,
/// or run one after the other.
///
/// # Errors
///
/// If there is no link to it.
pub fn share_target(folder: &Path) -> Result<()> {
    let shared = template().join("target/copies");
    fs::create_dir_all(&shared)?;
    Ok(symlink(shared, folder.join("target"))?)
}

/// Runs a command in a copy, as a person would, and returns what it prints.
///
/// # Errors
///
/// If it fails: what it printed.
pub fn command(folder: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let output = clean(program)
        .current_dir(folder)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    ensure!(
        output.status.success(),
        "{program} {} failed:\n{printed}",
        arguments.join(" ")
    );
    Ok(printed)
}

/// A command without what this test's own Cargo and cargo-make have set.
pub fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let is_set_by_cargo = name.starts_with("CARGO_") && name != "CARGO_HOME";
        if is_set_by_cargo || name.starts_with("PROXY_WASM_") {
            command.env_remove(name);
        }
    }
    for name in ["CARGO", "IMAGE", "MESH", "VARIANT", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    command.env("CONTAINER_ENGINE", "none");
    command
}
