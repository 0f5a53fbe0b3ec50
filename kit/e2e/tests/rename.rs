//! The template with another name, from `cargo proxy-wasm rename` and `cargo generate`.

use std::fs;

use anyhow::Result;
use proxy_wasm_e2e::copy::{self, command, commit, contents, git};
use proxy_wasm_e2e::{MAX_FILES, name, template, toolkit};

fn rename(directory: &std::path::Path, to: &str) -> Result<String> {
    command(directory, &toolkit().to_string_lossy(), &["rename", to])
}

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn kit_does_not_contain_the_template_name() -> Result<()> {
    let names = [name().to_owned(), name().replace('-', "_")];
    for (path, (bytes, _)) in contents(&template().join("kit"))? {
        let text = String::from_utf8_lossy(&bytes);
        for name in &names {
            assert!(!text.contains(name), "kit/{}: {name}", path.display());
        }
    }
    Ok(())
}

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn author_owns_few_files() -> Result<()> {
    let mut files = contents(template())?;
    files.retain(|path, _| !path.starts_with("kit"));
    assert!(files.len() <= MAX_FILES, "{} files", files.len());
    let tests = files.keys().filter(|path| {
        path.starts_with("tests") && path.extension().is_some_and(|extension| extension == "rs")
    });
    assert!(tests.count() <= 4);
    Ok(())
}

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn second_rename_gives_the_same_project_as_one_rename() -> Result<()> {
    let (direct, twice) = (copy::project()?, copy::project()?);
    rename(direct.path(), "yet-one")?;
    rename(twice.path(), "quite-another")?;
    commit(twice.path())?;
    rename(twice.path(), "yet-one")?;
    assert!(contents(direct.path())? == contents(twice.path())?);
    assert_eq!(
        git(twice.path(), &["status", "--porcelain", "--", "kit"])?,
        ""
    );
    Ok(())
}

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn code_is_formatted_with_the_longest_name() -> Result<()> {
    let directory = copy::project()?;
    rename(directory.path(), &format!("z-{}", "z".repeat(61)))?;
    command(directory.path(), "cargo", &["fmt", "--check"])?;
    Ok(())
}

#[test]
#[cfg_attr(missing_cargo_generate, ignore = "needs cargo-generate: install it")]
fn cargo_generate_gives_the_same_project_as_a_renamed_clone() -> Result<()> {
    const NEW_NAME: &str = "my-generated";
    let template = copy::project()?;
    let destination = tempfile::tempdir()?;
    let generated = destination.path().join(NEW_NAME);
    let url = format!("file://{}", template.path().display());
    let output = copy::clean("cargo")
        .args(["generate", "--git", &*url, "--destination"])
        .arg(destination.path())
        .args(["--name", NEW_NAME, "--allow-commands"])
        .output()?;
    assert!(output.status.success(), "{output:?}");
    rename(template.path(), NEW_NAME)?;
    let expected = contents(template.path())?;
    // The hook leaves compiled files, which the next build needs.
    fs::remove_dir_all(generated.join("target"))?;
    let found = contents(&generated)?;
    assert!(found.keys().eq(expected.keys()), "{:?}", found.keys());
    assert!(found == expected, "the files differ");
    // The repository is new, without a commit.
    commit(&generated)?;
    assert_eq!(git(&generated, &["rev-list", "--count", "HEAD"])?, "1");
    Ok(())
}
