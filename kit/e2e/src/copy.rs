//! Copies of the template, for builds in another directory or with another name.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{image_root, run, template};

/// The files of a project: their contents, and whether they are executable.
pub type ProjectFiles = BTreeMap<PathBuf, (Vec<u8>, bool)>;

/// The template in its current state, including uncommitted changes, as the only commit of a new
/// repository.
///
/// # Errors
///
/// If it cannot be copied.
pub fn project() -> Result<TempDir> {
    let directory = without_git()?;
    commit(directory.path())?;
    Ok(directory)
}

/// The template in its current state, without a git repository.
///
/// # Errors
///
/// If it cannot be copied.
pub fn without_git() -> Result<TempDir> {
    let directory = tempfile::tempdir()?;
    for (path, (bytes, runs)) in contents(template())? {
        let path = directory.path().join(path);
        write(&path, &bytes)?;
        if runs {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(directory)
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

/// Writes a file. Creates its directory if it does not exist.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file without a directory")?)?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Commits everything. Creates a repository if there is none.
///
/// # Errors
///
/// If git fails.
pub fn commit(directory: &Path) -> Result<()> {
    git(directory, &["init", "--quiet", "--initial-branch=main"])?;
    git(directory, &["add", "--all"])?;
    let author = ["-c", "user.name=a", "-c", "user.email=a@mail.example"];
    let commit = ["-c", "commit.gpgsign=false", "commit", "--quiet"];
    git(
        directory,
        &[&author[..], &commit, &["--message=a"]].concat(),
    )?;
    Ok(())
}

/// Runs git in a directory, and returns its output.
///
/// # Errors
///
/// If git fails.
pub fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let directory = directory.to_string_lossy();
    run("git", &[&["-C", &*directory], arguments].concat())
}

/// The files of a project that git tracks or would track.
///
/// # Errors
///
/// If git fails, or if a file cannot be read.
pub fn contents(directory: &Path) -> Result<ProjectFiles> {
    let listed = git(
        directory,
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    )?;
    let mut contents = ProjectFiles::new();
    for path in listed.lines().map(PathBuf::from) {
        let whole = directory.join(&path);
        // Git also lists removed files.
        if whole.is_file() {
            let mode = fs::metadata(&whole)?.permissions().mode();
            contents.insert(path, (fs::read(whole)?, mode & 0o100 != 0));
        }
    }
    Ok(contents)
}

/// Lets copies share a target directory, so Cargo compiles their dependencies once. Packages with
/// the same name overwrite each other, so tests give copies different names, or run one after the
/// other.
///
/// # Errors
///
/// If the link to it cannot be created.
pub fn share_target(directory: &Path) -> Result<()> {
    let shared = template().join("target/copies");
    fs::create_dir_all(&shared)?;
    Ok(symlink(shared, directory.join("target"))?)
}

/// Runs a command in a copy, as from a shell, and returns its output.
///
/// # Errors
///
/// If it fails: what it printed.
pub fn command(directory: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let output = clean(program)
        .current_dir(directory)
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

/// A command without the variables that Cargo and cargo-make have set for this test.
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
