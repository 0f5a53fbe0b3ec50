//! The project under another name: what `cargo make rename` and `cargo generate` make of it.
#![cfg(not(target_family = "wasm"))]

#[path = "support/copy.rs"]
mod copy;
#[path = "support/deployed.rs"]
mod deployed;
mod support;
#[path = "support/upstream.rs"]
mod upstream;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use copy::{commit, contents, git};
use proxy_wasm_test::envoy::{self, Envoy};
use proxy_wasm_test::http;
use extension_kit::project::Project;
use extension_kit::rename::rename;
use proxy_wasm_e2e::tools::available;
use support::say;

const OWN: &str = env!("CARGO_PKG_NAME");

/// A name that is not this project's. Were it written here in one piece, it would be a word of the
/// project, and so no name for it.
fn other(mut words: [&str; 2]) -> String {
    if words.join("-") == OWN {
        words.reverse();
    }
    words.join("-")
}

/// What the README calls a new project.
fn new_name() -> String {
    other(["my", "extension"])
}

/// Whether a text has a name, with dashes, underscores, or nothing between its words.
fn has(text: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_')
        .map(|word| format!("-{}-", word.to_lowercase().replace('_', "-")))
        .any(|word| {
            word.contains(&format!("-{name}-"))
                || word.contains(&format!("-{}-", name.replace('-', "")))
        })
}

/// The files in whose path or text a name is. Licences are not the project's own words.
fn files_with(folder: &Path, name: &str) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for (path, (bytes, _)) in contents(folder)? {
        let text = String::from_utf8_lossy(&bytes);
        if !path.ends_with("LICENSE") && (has(&path.to_string_lossy(), name) || has(&text, name)) {
            found.insert(path);
        }
    }
    Ok(found)
}

/// Makes sure that Cargo takes every lock as it is.
fn ensure_locked(folder: &Path) -> Result<()> {
    for workspace in [".", "fuzz", "kit/fuzz"] {
        let output = Command::new("cargo")
            .args(["update", "--workspace", "--locked"])
            .current_dir(folder.join(workspace))
            .output()?;
        ensure!(
            output.status.success(),
            "{workspace}/Cargo.lock: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[test]
fn the_name_is_another_in_its_places_and_nothing_else_changes() -> Result<()> {
    let folder = copy::project()?;
    let folder = folder.path();
    let name = new_name();
    let expected = files_with(folder, OWN)?;
    let renamed = rename(folder, &name, false)?;
    assert_eq!(files_with(folder, OWN)?, BTreeSet::new());

    let changed: BTreeSet<_> = git(folder, &["diff", "--name-only"])?
        .lines()
        .map(PathBuf::from)
        .collect();
    assert_eq!(changed, expected);
    assert_eq!(changed.len(), renamed.files);
    for path in [
        "Cargo.toml",
        "manifest.yaml",
        "README.md",
        "fuzz/Cargo.lock",
    ] {
        assert!(changed.contains(Path::new(path)), "{path}");
    }
    // Each line that goes has the old name; what moves in a lock, goes and comes.
    let diff = git(folder, &["diff", "--unified=0", "--", ".", ":!*Cargo.lock"])?;
    for line in diff.lines().filter(|line| !line.starts_with("---")) {
        assert!(!line.starts_with('-') || has(line, OWN), "{line}");
    }
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        let before = git(folder, &["show", &format!("HEAD:{lock}")])?;
        let after = fs::read_to_string(folder.join(lock))?;
        assert_eq!(lines(&before.replace(OWN, &name)), lines(&after), "{lock}");
        let names: Vec<_> = after
            .lines()
            .filter(|line| line.starts_with("name = "))
            .collect();
        assert!(names.is_sorted(), "{lock}");
    }
    ensure_locked(folder)
}

#[test]
fn a_second_rename_is_as_good_and_a_third_can_undo_both() -> Result<()> {
    let folder = copy::project()?;
    let folder = folder.path();
    let [first, second] = [other(["quite", "another"]), other(["yet", "one"])];
    for (name, before) in [(&*first, OWN), (&*second, &*first), (OWN, &*second)] {
        let renamed = rename(folder, name, true)?;
        assert_eq!(renamed.from, before);
        assert_eq!(files_with(folder, before)?, BTreeSet::new());
        ensure_locked(folder)?;
    }
    assert_eq!(git(folder, &["status", "--porcelain"])?, "");
    Ok(())
}

#[test]
fn the_longest_name_leaves_the_code_well_formatted() -> Result<()> {
    let folder = copy::project()?;
    // How it is formatted here: nothing that the name changes.
    let before = badly_formatted(folder.path())?;
    ensure!(before.is_empty(), "run cargo fmt --all first:\n{before}");
    rename(folder.path(), &other(["z", &"z".repeat(59)]), false)?;
    assert_eq!(badly_formatted(folder.path())?, "");
    Ok(())
}

/// What `cargo fmt` would change.
fn badly_formatted(folder: &Path) -> Result<String> {
    let output = Command::new("cargo")
        .args(["fmt", "--all", "--check"])
        .current_dir(folder)
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8(said)?)
}

#[test]
fn a_name_that_cannot_be_is_refused_and_nothing_is_touched() -> Result<()> {
    let folder = copy::project()?;
    let folder = folder.path();
    for (name, reason) in [
        ("Upper-Case", "begins with a letter"),
        ("a_b", "write \"a-b\""),
        ("../a", "is no name"),
        (&*"a".repeat(64), "up to 63"),
        ("async", "keyword"),
        ("test", "Cargo keeps"),
        ("con", "Windows"),
        ("serde", "serde is a dependency"),
        ("serde-json", "serde_json is a dependency"),
        ("extension-kit", "package of this repository"),
        (OWN, "is the name of this project already"),
        ("wasm", "is a word of this project already"),
    ] {
        let error = rename(folder, name, false).expect_err(name);
        let error = format!("{error:#}");
        assert!(error.contains(reason), "{name}: {error}");
        assert_eq!(git(folder, &["status", "--porcelain"])?, "", "{name}");
    }
    Ok(())
}

#[test]
fn what_is_not_committed_is_not_mixed_up_with_the_rename_unless_forced() -> Result<()> {
    let folder = copy::project()?;
    let folder = folder.path();
    fs::write(folder.join("new.txt"), format!("Written for {OWN}."))?;
    let error = rename(folder, &new_name(), false).expect_err("a refusal");
    let error = error.to_string();
    assert!(
        error.contains("new.txt") && error.contains("--force"),
        "{error}"
    );
    assert_eq!(git(folder, &["status", "--porcelain"])?, "?? new.txt");

    rename(folder, &new_name(), true)?;
    let text = fs::read_to_string(folder.join("new.txt"))?;
    assert_eq!(text, format!("Written for {}.", new_name()));
    Ok(())
}

#[test]
fn a_copy_without_git_is_renamed_as_well() -> Result<()> {
    let with_git = copy::project()?;
    let without = copy::without_git()?;
    assert!(rename(with_git.path(), &new_name(), false)?.in_git);
    assert!(!rename(without.path(), &new_name(), false)?.in_git);
    assert_eq!(contents(with_git.path())?, contents(without.path())?);
    Ok(())
}

/// Runs Cargo in a copy.
fn cargo(folder: &Path, arguments: &[&str]) -> Result<()> {
    say(&format!("cargo {}", arguments.join(" ")));
    let status = copy::command("cargo", folder)
        .args(arguments)
        .env("CONTAINER_ENGINE", "none")
        .env("ENVOY", envoy::find_or_fetch(&Project::find()?.target())?)
        .env_remove("IMAGE")
        .env_remove("VARIANT")
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo {} failed", arguments.join(" "));
    Ok(())
}

#[test]
fn the_renamed_project_builds_passes_its_tests_and_serves() -> Result<()> {
    let name = new_name();
    let fresh = copy::project()?;
    rename(fresh.path(), &name, false)?;
    let folder = copy::kept("renamed", &contents(fresh.path())?)?;

    cargo(&folder, &["extension", "build"])?;
    cargo(&folder, &["extension", "image"])?;
    let tests = [
        "--lib", "--test", "proxy", "--test", "check", "--test", "envoy",
    ];
    cargo(&folder, &[&["test", "--locked"][..], &tests].concat())?;

    let envoy = Envoy::start(
        &envoy::find_or_fetch(&Project::find()?.target())?,
        &copy::target()
            .join("image")
            .join(&Project::at(&folder)?.manifest.module),
        &deployed::configuration(&folder)?,
        upstream::start()?,
    )?;
    let response = http::get(&envoy.url("/"))?;
    assert_eq!(response.status, 200);
    deployed::assert_in_force(&response);
    Ok(())
}

#[test]
fn cargo_generate_gives_what_a_renamed_clone_is() -> Result<()> {
    const ITS_OWN: [&str; 2] = ["cargo-generate.toml", "kit/cargo-generate.rhai"];
    if !Path::new(ITS_OWN[0]).exists() {
        say("There is no cargo-generate.toml: this project was generated, and is no template");
        return Ok(());
    }
    if !available("cargo-generate", "--version") {
        return Ok(());
    }
    let name = new_name();
    let template = copy::project()?;
    let destination = tempfile::tempdir()?;
    let url = format!("file://{}", template.path().display());
    let to = destination.path().to_string_lossy();
    let place = ["generate", "--git", &*url, "--destination", &*to];
    let answers = ["--name", &*name, "--allow-commands"];
    cargo(Path::new("."), &[&place[..], &answers].concat())?;

    let generated = destination.path().join(&name);
    rename(template.path(), &name, false)?;
    let mut expected = contents(template.path())?;
    expected.retain(|path, _| ITS_OWN.iter().all(|own| !path.ends_with(own)));
    assert_eq!(contents(&generated)?, expected);
    // The repository is a new one, ready for the first commit.
    commit(&generated)?;
    assert_eq!(git(&generated, &["rev-list", "--count", "HEAD"])?, "1");
    Ok(())
}
