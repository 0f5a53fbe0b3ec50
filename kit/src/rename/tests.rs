//! What small projects are after a rename. The template itself is renamed in `tests/rename.rs`.

use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

const MANIFEST: &str =
    "[package]\nname = \"add-it\"\n\n[lib]\npath = \"a.rs\"\n\n[workspace]\nmembers = [\"b\"]\n";

/// A project in no repository, with a second package and the files that are given.
fn project(files: &[(&str, &str)]) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let package_b = "[package]\nname = \"package-b\"\n\n[lib]\npath = \"b.rs\"\n";
    let all = [
        ("Cargo.toml", MANIFEST),
        ("a.rs", ""),
        ("b/Cargo.toml", package_b),
        ("b/b.rs", "fn tide() {}"),
    ];
    for (path, text) in all.iter().chain(files) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(path, text)?;
    }
    Ok(folder)
}

fn read(folder: &TempDir, path: &str) -> Result<String> {
    fs::read_to_string(folder.path().join(path)).with_context(|| path.to_owned())
}

#[track_caller]
fn assert_refused(folder: &TempDir, name: &str, parts: &[&str]) {
    let before = read(folder, "Cargo.toml").expect("a manifest");
    let error = rename(folder.path(), name, false).expect_err(name);
    let error = format!("{error:#}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    assert_eq!(before, read(folder, "Cargo.toml").expect("a manifest"));
}

#[test]
fn files_that_bear_the_name_are_moved() -> Result<()> {
    let folder = project(&[
        ("a.rs", "mod add_it; use add_it::AddIt;"),
        ("add_it.rs", "pub struct AddIt;"),
        ("add-it/one.txt", "no name in it"),
    ])?;
    let renamed = rename(folder.path(), "c-d-e", false)?;
    assert_eq!((renamed.files, renamed.in_git), (4, false));
    assert_eq!(read(&folder, "a.rs")?, "mod c_d_e; use c_d_e::CDE;");
    assert_eq!(read(&folder, "c_d_e.rs")?, "pub struct CDE;");
    assert_eq!(read(&folder, "c-d-e/one.txt")?, "no name in it");
    assert!(!folder.path().join("add_it.rs").exists());
    assert!(!folder.path().join("add-it").exists());
    Ok(())
}

#[test]
fn permissions_stay_and_what_is_not_its_own_text_is_left_alone() -> Result<()> {
    let folder = project(&[
        ("run", "add-it"),
        ("LICENSE", "add-it"),
        ("target/CACHEDIR.TAG", ""),
        ("target/made", "add-it"),
        ("module.wasm", "\0add-it"),
    ])?;
    fs::write(folder.path().join("latin-1"), b"add-it \xe9")?;
    let run = folder.path().join("run");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o750))?;
    symlink("run", folder.path().join("link"))?;
    rename(folder.path(), "c-d", false)?;
    assert_eq!(read(&folder, "run")?, "c-d");
    assert_eq!(fs::metadata(&run)?.permissions().mode() & 0o777, 0o750);
    for path in ["LICENSE", "target/made"] {
        assert_eq!(read(&folder, path)?, "add-it");
    }
    assert_eq!(read(&folder, "module.wasm")?, "\0add-it");
    assert_eq!(fs::read(folder.path().join("latin-1"))?, b"add-it \xe9");
    assert!(fs::symlink_metadata(folder.path().join("link"))?.is_symlink());
    Ok(())
}

#[test]
fn a_word_of_the_project_is_no_name_for_it() -> Result<()> {
    let folder = project(&[
        ("x.yaml", "one: 1\nsea: sand-bank\n"),
        ("x.md", "A sand-castle on the beach."),
    ])?;
    assert_refused(&folder, "sea", &["x.yaml:2", "sea: sand-bank"]);
    assert_refused(&folder, "sand-bank", &["x.yaml:2"]);
    assert_refused(&folder, "sand", &["x.md:1"]);
    assert_refused(&folder, "tide", &["b/b.rs:1"]);
    // Also as a type, and in the name of a file.
    assert_refused(&folder, "x", &["x"]);
    // In prose, only one word may mean something else.
    assert_refused(&folder, "beach", &["x.md:1"]);
    rename(folder.path(), "sand-castle", false)?;
    Ok(())
}

#[test]
fn one_word_does_where_there_is_one_spelling_alone() -> Result<()> {
    let folder = project(&[("x.yaml", "name: add-it # to the name\n")])?;
    rename(folder.path(), "zz", false)?;
    assert_eq!(read(&folder, "x.yaml")?, "name: zz # to the name\n");
    rename(folder.path(), "add-it", false)?;
    assert_eq!(read(&folder, "Cargo.toml")?, MANIFEST);

    let folder = project(&[("x.rs", "use add_it::A;")])?;
    assert_refused(&folder, "zz", &["one word", "x.rs:1", "use add_it::A;"]);
    Ok(())
}

#[test]
fn a_word_that_was_made_the_name_by_hand_is_not_replaced_in_other_packages() -> Result<()> {
    let folder = project(&[("Cargo.toml", &MANIFEST.replace("add-it", "tide"))])?;
    assert_refused(&folder, "c-d", &["tide", "b/b.rs"]);
    Ok(())
}

#[test]
fn a_file_that_is_in_the_way_is_not_written_over() -> Result<()> {
    let folder = project(&[("add-it.md", ""), ("c-d.md", "")])?;
    assert_refused(&folder, "c-d", &["c-d.md", "is there already"]);
    Ok(())
}
