//! Renames small projects.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

const MANIFEST: &str = "[package]\nname = \"add-it\"\nversion = \"0.1.0\"\n";

/// Cargo.toml and the given files, in a directory without git.
fn project(files: &[(&str, &str)]) -> Result<TempDir> {
    let directory = tempfile::tempdir()?;
    write(&directory, &[&[("Cargo.toml", MANIFEST)], files].concat())?;
    Ok(directory)
}

/// The same project in a repository, with everything committed.
fn repository(files: &[(&str, &str)]) -> Result<TempDir> {
    let directory = project(files)?;
    run_git(&directory, &["init", "--quiet"])?;
    commit(&directory)?;
    Ok(directory)
}

fn commit(directory: &TempDir) -> Result<()> {
    run_git(directory, &["add", "--all"])?;
    let author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    let commit = ["commit", "--quiet", "--no-gpg-sign", "--message=Test"];
    run_git(directory, &[&author[..], &commit].concat())
}

fn run_git(directory: &TempDir, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("git");
    let status = command
        .current_dir(directory)
        .args(arguments)
        .status()
        .context("these tests need git")?;
    ensure!(status.success(), "git {arguments:?} failed");
    Ok(())
}

fn write(directory: &TempDir, files: &[(&str, &str)]) -> Result<()> {
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().context("a file without a directory")?)?;
        fs::write(path, text)?;
    }
    Ok(())
}

fn read(directory: &TempDir, path: &str) -> Result<String> {
    fs::read_to_string(directory.path().join(path)).with_context(|| path.to_owned())
}

/// All files except those of git.
fn contents(directory: &TempDir) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut contents = BTreeMap::new();
    let mut directories = vec![directory.path().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.ends_with(".git") {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else {
                let bytes = fs::read(&path)?;
                contents.insert(path, bytes);
            }
        }
    }
    Ok(contents)
}

/// Asserts that a name is rejected with a message that contains all parts, and that no file
/// changes.
#[track_caller]
fn assert_rejected(directory: &TempDir, name: &str, parts: &[&str]) {
    let before = contents(directory).expect("readable files");
    let error = rename(directory.path(), name, false).expect_err(name);
    let error = format!("{error:#}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    let after = contents(directory).expect("readable files");
    assert!(before == after, "{name} is rejected, but a file changed");
}

#[test]
fn whole_words_are_replaced_in_both_spellings() -> Result<()> {
    let project = project(&[
        (
            "src/lib.rs",
            "use add_it::A; // add-it, add-it-fuzz: add_it.wasm",
        ),
        (
            "deploy/a.yaml",
            "url: oci://registry.example/add-it:0.1\nx: \"add-it\"\n",
        ),
        ("other", "badd-it add-its add_it2 éadd-it add-ité addit"),
    ])?;
    let renamed = rename(project.path(), "c-d-e", false)?;
    assert_eq!(renamed.from, "add-it");
    assert_eq!((renamed.files, renamed.in_git), (3, false));
    assert_eq!(
        read(&project, "Cargo.toml")?,
        MANIFEST.replace("add-it", "c-d-e")
    );
    assert_eq!(
        read(&project, "src/lib.rs")?,
        "use c_d_e::A; // c-d-e, c-d-e-fuzz: c_d_e.wasm"
    );
    assert_eq!(
        read(&project, "deploy/a.yaml")?,
        "url: oci://registry.example/c-d-e:0.1\nx: \"c-d-e\"\n"
    );
    assert_eq!(
        read(&project, "other")?,
        "badd-it add-its add_it2 éadd-it add-ité addit"
    );
    Ok(())
}

#[test]
fn one_name_may_contain_the_other() -> Result<()> {
    let project = project(&[("a", "add-it add-it-x add_it_x")])?;
    for (name, expected) in [
        ("add-it-now", "add-it-now add-it-now-x add_it_now_x"),
        ("it-now", "it-now it-now-x it_now_x"),
        ("add-it", "add-it add-it-x add_it_x"),
    ] {
        rename(project.path(), name, false)?;
        assert_eq!(read(&project, "a")?, expected);
    }
    Ok(())
}

#[test]
fn toolkit_and_license_do_not_change() -> Result<()> {
    let files = [("kit/cli/a.rs", "add-it"), ("LICENSE", "add-it")];
    for project in [project(&files)?, repository(&files)?] {
        rename(project.path(), "c-d", false)?;
        assert_eq!(read(&project, "kit/cli/a.rs")?, "add-it");
        assert_eq!(read(&project, "LICENSE")?, "add-it");
    }
    Ok(())
}

#[test]
fn files_that_git_ignores_do_not_change() -> Result<()> {
    let project = repository(&[("tracked", "add-it"), (".gitignore", "ignored\n")])?;
    write(&project, &[("ignored", "add-it"), ("new/file", "add-it")])?;
    fs::remove_file(project.path().join("tracked"))?;
    let renamed = rename(project.path(), "c-d", true)?;
    assert_eq!((renamed.files, renamed.in_git), (2, true));
    assert_eq!(read(&project, "new/file")?, "c-d");
    assert_eq!(read(&project, "ignored")?, "add-it");
    Ok(())
}

#[test]
fn build_directories_do_not_change_without_git() -> Result<()> {
    let project = project(&[
        ("target/made", "add-it"),
        ("cache/CACHEDIR.TAG", ""),
        ("cache/made", "add-it"),
        ("src/target/mod.rs", "add-it"),
        ("modules/.git/config", "add-it"),
    ])?;
    rename(project.path(), "c-d", false)?;
    assert_eq!(read(&project, "src/target/mod.rs")?, "c-d");
    for path in ["target/made", "cache/made", "modules/.git/config"] {
        assert_eq!(read(&project, path)?, "add-it");
    }
    Ok(())
}

#[test]
fn project_that_an_outer_repository_ignores_is_renamed_without_git() -> Result<()> {
    let outer = repository(&[(".gitignore", "/inner/\n")])?;
    write(&outer, &[("inner/Cargo.toml", MANIFEST)])?;
    let renamed = rename(&outer.path().join("inner"), "c-d", false)?;
    assert_eq!((renamed.files, renamed.in_git), (1, false));
    assert_eq!(read(&outer, "Cargo.toml")?, MANIFEST);
    Ok(())
}

#[test]
fn files_outside_the_project_in_the_same_repository_do_not_change() -> Result<()> {
    let outer = repository(&[("inner/Cargo.toml", MANIFEST)])?;
    let renamed = rename(&outer.path().join("inner"), "c-d", false)?;
    assert_eq!((renamed.files, renamed.in_git), (1, true));
    assert_eq!(read(&outer, "Cargo.toml")?, MANIFEST);
    Ok(())
}

#[test]
fn links_and_binary_files_do_not_change() -> Result<()> {
    let project = project(&[("module.wasm", "\0asm add-it"), ("elsewhere/a", "")])?;
    fs::write(project.path().join("latin-1"), b"add-it \xe9")?;
    symlink("elsewhere", project.path().join("directory-link"))?;
    symlink("Cargo.toml", project.path().join("link"))?;
    symlink(".", project.path().join("elsewhere/loop"))?;
    rename(project.path(), "c-d", false)?;
    assert_eq!(read(&project, "module.wasm")?, "\0asm add-it");
    assert_eq!(fs::read(project.path().join("latin-1"))?, b"add-it \xe9");
    assert!(project.path().join("link").is_symlink());
    Ok(())
}

#[test]
fn permissions_do_not_change() -> Result<()> {
    let project = project(&[(".ci/run", "add-it")])?;
    let path = project.path().join(".ci/run");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o775))?;
    rename(project.path(), "c-d", false)?;
    assert_eq!(read(&project, ".ci/run")?, "c-d");
    assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o775);
    Ok(())
}

#[test]
fn invalid_name_is_rejected() -> Result<()> {
    let project = project(&[("README.md", "add-it")])?;
    let long = "a".repeat(64);
    for name in [
        "", "-", "-a", "a-", "a--b", "1a", "A", "aB", "a b", "a_b", "a.b", "a/b", "../a", "a\n",
        "naïve", "éa", &long,
    ] {
        assert_rejected(&project, name, &[&format!("{name:?}"), "is not valid; use"]);
    }
    for name in ["async", "self", "test", "core", "proc-macro", "deps", "nul"] {
        assert_rejected(
            &project,
            name,
            &[name, "is a keyword of Rust or reserved by Cargo"],
        );
    }
    assert_rejected(
        &project,
        "add-it",
        &["Cargo.toml", "the name is already add-it"],
    );
    Ok(())
}

#[test]
fn valid_name_is_accepted() -> Result<()> {
    for name in ["a", "b2", "c-1", "one-two-3", &"a".repeat(63)] {
        let project = project(&[])?;
        rename(project.path(), name, false)?;
        assert!(read(&project, "Cargo.toml")?.contains(&format!("name = \"{name}\"")));
    }
    Ok(())
}

#[test]
fn word_that_occurs_in_the_project_is_rejected_with_its_place() -> Result<()> {
    let project = project(&[
        ("a.yaml", "name: add-it\nsea: sand-bank\n"),
        ("b.md", "The wide sand_castle."),
    ])?;
    assert_rejected(&project, "sea", &["a.yaml:2", "sea: sand-bank"]);
    assert_rejected(&project, "sand-bank", &["a.yaml:2"]);
    assert_rejected(&project, "sand", &["a.yaml:2"]);
    assert_rejected(&project, "sand-castle", &["b.md:1"]);
    // Parts of words do not count.
    rename(project.path(), "san", false)?;
    Ok(())
}

#[test]
fn single_word_is_rejected_if_the_name_occurs_with_underscores() -> Result<()> {
    let project = project(&[("a.rs", "use add_it::A;\n")])?;
    assert_rejected(&project, "zz", &["a.rs:1", "use add_it::A;"]);
    Ok(())
}

#[test]
fn name_of_a_dependency_is_rejected() -> Result<()> {
    let lock =
        "version = 4\n\n[[package]]\nname = \"serde_json\"\n\n[[package]]\nname = \"toml\"\n";
    let project = project(&[("Cargo.lock", lock)])?;
    assert_rejected(&project, "toml", &["Cargo.lock:7", "name = \"toml\""]);
    assert_rejected(&project, "serde-json", &["Cargo.lock:4"]);
    Ok(())
}

#[test]
fn uncommitted_change_is_rejected_without_force() -> Result<()> {
    let project = repository(&[("a", "add-it")])?;
    write(&project, &[("new.txt", "for add-it")])?;
    assert_rejected(&project, "c-d", &["?? new.txt", "--force"]);
    rename(project.path(), "c-d", true)?;
    assert_eq!(read(&project, "new.txt")?, "for c-d");

    commit(&project)?;
    write(&project, &[("a", "changed")])?;
    assert_rejected(&project, "e-f", &[" M a", "--force"]);
    commit(&project)?;
    rename(project.path(), "e-f", false)?;
    Ok(())
}

#[test]
fn sections_about_the_template_are_removed() -> Result<()> {
    let page = "# add-it\n\n<!-- template -->\n## Rename\n\ncargo make rename c-d\n\n\
                <!-- /template -->\n## Build\n\n<!-- template -->\nOnce.\n<!-- /template -->\nEnd.\n";
    let project = project(&[
        ("README.md", page),
        ("CHANGELOG.md", page),
        (
            ".ci/run",
            "#!/bin/sh\n# <!-- template -->\nkit/ci/run\n# <!-- /template -->\n",
        ),
        ("docs/README.md", "<!-- template -->\n"),
    ])?;
    // The new name may occur in a removed section.
    let renamed = rename(project.path(), "c-d", false)?;
    assert_eq!(renamed.files, 4);
    assert_eq!(read(&project, ".ci/run")?, "#!/bin/sh\n");
    for path in ["README.md", "CHANGELOG.md"] {
        assert_eq!(read(&project, path)?, "# c-d\n\n## Build\n\nEnd.\n");
    }
    assert_eq!(read(&project, "docs/README.md")?, "<!-- template -->\n");
    Ok(())
}

#[test]
fn section_without_an_end_is_rejected() -> Result<()> {
    let project = project(&[("README.md", "# add-it\n<!-- template -->\nThe rest.\n")])?;
    assert_rejected(&project, "c-d", &["README.md:2", "<!-- /template -->"]);
    Ok(())
}

#[test]
fn line_numbers_are_those_of_the_original_file() -> Result<()> {
    let page = "<!-- template -->\n\n<!-- /template -->\nsand\n";
    let project = project(&[("README.md", page)])?;
    assert_rejected(&project, "sand", &["README.md:4"]);
    Ok(())
}

#[test]
fn configuration_of_cargo_generate_is_removed() -> Result<()> {
    for project in [
        project(&[("cargo-generate.toml", "# c-d\n")])?,
        repository(&[("cargo-generate.toml", "# c-d\n")])?,
    ] {
        let renamed = rename(project.path(), "c-d", false)?;
        assert_eq!(renamed.files, 2);
        assert!(!project.path().join("cargo-generate.toml").exists());
    }
    Ok(())
}

#[test]
fn lock_file_stays_sorted() -> Result<()> {
    let lock = |packages: &[&str]| {
        let header = "# Generated by Cargo.\nversion = 4\n".to_owned();
        packages.iter().fold(header, |lock, package| {
            let (name, version) = package.split_once(' ').unwrap_or((package, "0.1.0"));
            lock + &format!("\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
        })
    };
    let before = lock(&["add-it", "c", "c-b", "syn 9.0.0", "syn 10.0.0"]);
    let project = project(&[("Cargo.lock", &before)])?;
    for (name, packages) in [
        ("c-a", ["c", "c-a", "c-b", "syn 9.0.0", "syn 10.0.0"]),
        ("z", ["c", "c-b", "syn 9.0.0", "syn 10.0.0", "z"]),
        ("add-it", ["add-it", "c", "c-b", "syn 9.0.0", "syn 10.0.0"]),
    ] {
        rename(project.path(), name, false)?;
        assert_eq!(read(&project, "Cargo.lock")?, lock(&packages));
    }
    Ok(())
}

#[test]
fn renaming_back_restores_the_project() -> Result<()> {
    let project = repository(&[("src/lib.rs", "add_it"), ("a.yaml", "x/add-it:1")])?;
    let before = contents(&project)?;
    for (name, from) in [("c-d", "add-it"), ("e-f-g", "c-d"), ("add-it", "e-f-g")] {
        let renamed = rename(project.path(), name, false)?;
        assert_eq!((renamed.from.as_str(), renamed.files), (from, 3));
        commit(&project)?;
    }
    assert!(before == contents(&project)?);
    Ok(())
}

#[test]
fn name_is_read_from_the_package_table() -> Result<()> {
    let manifest = "[workspace.package]\nname = \"x\"\n\n[package]\nedition = \"2024\"\n\
                    name    = \"e-f\" # add-it\n\n[lib]\nname = \"y\"\n";
    let project = project(&[("Cargo.toml", manifest)])?;
    assert_eq!(rename(project.path(), "c-d", false)?.from, "e-f");
    assert!(read(&project, "Cargo.toml")?.contains("name    = \"c-d\" # add-it"));
    Ok(())
}

#[test]
fn directory_without_a_package_is_rejected() -> Result<()> {
    let empty = tempfile::tempdir()?;
    assert_rejected(&empty, "c-d", &["Cargo.toml", "root directory"]);
    write(&empty, &[("Cargo.toml", "[workspace]\n")])?;
    assert_rejected(&empty, "c-d", &["Cargo.toml", "no name"]);
    Ok(())
}
