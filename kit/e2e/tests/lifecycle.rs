//! The life cycle of a project: it is renamed, gets another filter, upgrades the toolkit, and
//! removes kit/.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use proxy_wasm_e2e::copy::{self, command, commit, contents, git, write};
use proxy_wasm_e2e::{MAX_FILES, name, print_line, template};
use tempfile::TempDir;

/// The name of the renamed project.
const NEW_NAME: &str = "tenant-filter";

/// The files of the other filter.
const OTHER_FILTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lifecycle/other_filter");

/// The version of the toolkit after the upgrade.
const NEXT_VERSION: &str = "0.1.1";

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn renamed_project_is_built_changed_upgraded_and_detached() -> Result<()> {
    let project = copy::project()?;
    let project = project.path();
    copy::share_target(project)?;
    // .gitignore ignores a directory of this name, not a link.
    write(&project.join(".git/info/exclude"), b"/target\n")?;

    rename(project)?;
    readme_commands(project)?;
    replace_filter(project)?;
    let next = upgrade(project)?;
    detach(project, next.path())
}

fn step(text: &str) {
    print_line(&format!("life cycle of a project: {text}"));
}

/// The files outside kit/.
fn own_files(project: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files: BTreeSet<_> = contents(project)?.into_keys().collect();
    files.retain(|path| !path.starts_with("kit"));
    Ok(files)
}

/// `cargo make rename` removes everything about the template, and does not change kit/.
fn rename(project: &Path) -> Result<()> {
    step("cargo make rename");
    command(project, "cargo", &["make", "rename", NEW_NAME])?;
    assert_eq!(git(project, &["status", "--porcelain", "--", "kit"])?, "");
    for path in own_files(project)? {
        let text = String::from_utf8(fs::read(project.join(&path))?)?;
        let snake = name().replace('-', "_");
        ensure!(
            !text.contains(name()) && !text.contains(&snake),
            "{} contains the old name",
            path.display()
        );
    }
    let readme = fs::read_to_string(project.join("README.md"))?;
    assert!(readme.starts_with(&format!("# {NEW_NAME}\n")), "{readme}");
    assert!(!readme.contains("template"), "{readme}");
    for section in ["cargo make image", "cargo make test", "Configure", "deploy"] {
        assert!(readme.contains(section), "no {section} in the README");
    }
    assert!(!project.join("cargo-generate.toml").exists());
    commit(project)
}

/// The commands in the README work.
fn readme_commands(project: &Path) -> Result<()> {
    step("cargo make image");
    let printed = command(project, "cargo", &["make", "image"])?;
    assert!(
        printed.contains(&format!("{NEW_NAME}-0.1.0.oci.tar")),
        "{printed}"
    );
    step("cargo make test");
    test(project)
}

fn test(project: &Path) -> Result<()> {
    let printed = command(project, "cargo", &["make", "test"])?;
    // The unit tests run twice, and tests/ has two files.
    let passed = printed.matches("test result: ok").count();
    ensure!(passed == 4, "{passed} test programs passed:\n{printed}");
    Ok(())
}

/// Replaces src/ and tests/ with those of another filter, and the configuration in deploy/.
/// Everything passes.
fn replace_filter(project: &Path) -> Result<()> {
    step("another filter");
    for path in own_files(Path::new(OTHER_FILTER))? {
        let bytes = fs::read(Path::new(OTHER_FILTER).join(&path))?;
        write(&project.join(path), &bytes)?;
    }
    for entry in fs::read_dir(project.join("deploy"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?
            .replace("custom-header: test", "header: x-host")
            .replace("\"custom-header\": \"test\"", "\"header\": \"x-host\"")
            .replace("config: test", "config: '{\"header\": \"x-host\"}'");
        ensure!(
            text.contains("x-host"),
            "{} has no configuration",
            path.display()
        );
        fs::write(path, text)?;
    }
    allow_capabilities(project)?;
    test(project)?;
    command(project, "cargo", &["make", "check"])?;
    command(project, "cargo", &["make", "lint"])?;
    for path in git(project, &["diff", "--name-only"])?.lines() {
        let allowed = ["src/", "tests/", "deploy/"];
        ensure!(
            allowed.iter().any(|directory| path.starts_with(directory)),
            "{path} has changed, too"
        );
    }
    commit(project)
}

/// Replaces the list in deploy/envoy.yaml with the output of the documented command.
fn allow_capabilities(project: &Path) -> Result<()> {
    const KEY: &str = "allowed_capabilities:\n";
    let printed = command(project, "cargo", &["make", "check", "--capabilities"])?;
    let path = project.join("deploy/envoy.yaml");
    let text = fs::read_to_string(&path)?;
    let list = |text: &str| -> Result<(String, String, String)> {
        let (before, rest) = text.split_once(KEY).context("no capabilities")?;
        let is_listed = |line: &&str| line.trim_end().ends_with(": {}");
        let lines: Vec<_> = rest.lines().take_while(is_listed).map(str::trim).collect();
        let rest: Vec<_> = rest.lines().skip_while(is_listed).collect();
        Ok((before.to_owned(), lines.join("\n"), rest.join("\n")))
    };
    let (_, needed, _) = list(&printed)?;
    let (before, _, after) = list(&text)?;
    let indented: String = needed
        .lines()
        .map(|line| format!("{:30}{line}\n", ""))
        .collect();
    Ok(fs::write(
        path,
        [&before, KEY, &indented, &after, "\n"].concat(),
    )?)
}

/// The documented command replaces only kit/, and the project's tests pass.
fn upgrade(project: &Path) -> Result<TempDir> {
    step("an upgrade of kit/");
    let next = copy::project()?;
    let manifest = next.path().join("kit/Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    let bumped = text.replace(
        "version = \"0.1.0\"",
        &format!("version = \"{NEXT_VERSION}\""),
    );
    ensure!(text != bumped, "kit/Cargo.toml has no version 0.1.0");
    fs::write(&manifest, bumped)?;
    fs::remove_file(next.path().join("kit/CHANGELOG.md"))?;
    commit(next.path())?;

    let url = format!("file://{}", next.path().display());
    let upgrade = documented("git fetch URL")?.replace("URL", &url);
    command(project, "sh", &["-c", &upgrade])?;
    let expected = contents(&next.path().join("kit"))?;
    assert!(contents(&project.join("kit"))? == expected, "kit/ differs");
    assert_eq!(
        git(project, &["status", "--porcelain", "--", ".", ":!kit"])?,
        ""
    );
    test(project)?;
    let lock = fs::read_to_string(project.join("Cargo.lock"))?;
    assert!(lock.contains(&format!("version = \"{NEXT_VERSION}\"")));
    commit(project)?;
    Ok(next)
}

/// The three documented commands replace kit/ with an installed command and a git dependency.
fn detach(project: &Path, next: &Path) -> Result<()> {
    step("without kit/");
    git(next, &["tag", "v0.1.0"])?;
    let url = format!("file://{}", next.display());
    let bin = tempfile::tempdir()?;
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", bin.path().join("bin").display());
    let shell = |line: &str| -> Result<()> {
        let output = copy::clean("sh")
            .current_dir(project)
            .args(["-c", line])
            .env("CARGO_INSTALL_ROOT", bin.path())
            .env("PATH", &path)
            .output()?;
        ensure!(
            output.status.success(),
            "{line} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    };
    for documented in [
        documented("cargo install --locked --git URL")?,
        documented("cargo add --dev")?,
        documented("git rm -rq kit")?,
    ] {
        let line = documented.replace("URL", &url);
        // An unoptimized build takes a third of the time.
        let line = format!("export CARGO_PROFILE_RELEASE_OPT_LEVEL=0; {line}");
        shell(&line)?;
    }
    assert!(!project.join("kit").exists());
    let files = own_files(project)?;
    assert!(files.len() <= MAX_FILES, "{} files: {files:?}", files.len());
    step("cargo make image and cargo make test without kit/");
    shell("cargo make image")?;
    shell("cargo make test")?;
    shell("cargo make lint")?;
    // As in CI, where the toolkit version of Cargo.lock may already be installed.
    shell("cargo make install-toolkit")?;
    shell("cargo make check")
}

/// The line of the README that begins with `start`.
fn documented(start: &str) -> Result<String> {
    let readme = fs::read_to_string(template().join("README.md"))?;
    let mut lines = readme.lines().map(str::trim);
    let line = lines.find(|line| line.starts_with(start));
    Ok(line
        .with_context(|| format!("the README does not show {start}"))?
        .to_owned())
}
