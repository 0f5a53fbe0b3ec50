//! The guide in `kit/docs`: its first change works as described, its code is in the files that it
//! shows, and its links are valid.

#[path = "guide/links.rs"]
mod links;
#[path = "guide/markdown.rs"]
mod markdown;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use markdown::{CodeBlock, code_blocks};
use proxy_wasm_e2e::registry::Registry;
use proxy_wasm_e2e::{console, copy, sdks, template};
use proxy_wasm_test::cases::Cases;

/// The guide's directory.
fn docs() -> PathBuf {
    template().join("kit/docs")
}

/// The READMEs and the guide's pages.
fn pages() -> Result<Vec<PathBuf>> {
    let mut pages = vec![
        template().join("README.md"),
        template().join("kit/README.md"),
    ];
    for entry in fs::read_dir(docs())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

#[test]
fn every_link_is_valid() -> Result<()> {
    let mut broken = Vec::new();
    for page in pages()? {
        broken.extend(links::broken(&page)?);
    }
    ensure!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    Ok(())
}

#[test]
fn index_lists_every_page() -> Result<()> {
    let index = fs::read_to_string(docs().join("README.md"))?;
    for page in pages()? {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        let is_listed = index.contains(&format!("({name})"));
        ensure!(
            is_listed || name == "README.md",
            "kit/docs/README.md lacks {name}"
        );
    }
    Ok(())
}

#[test]
fn code_of_the_guide_is_in_the_files_that_it_shows() -> Result<()> {
    let mut sources = Vec::new();
    for directory in ["src", "tests", "kit/examples", "kit/e2e/tests/recipes"] {
        for entry in fs::read_dir(template().join(directory))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(markdown::unindented(&fs::read_to_string(path)?));
            }
        }
    }
    for page in pages()? {
        // These pages show calls that are not in a file. The examples of the test crate are
        // compiled as doc tests.
        if page.ends_with("testing.md") || !page.starts_with(docs()) {
            continue;
        }
        for block in code_blocks(&fs::read_to_string(&page)?) {
            if block.language != "rust" {
                continue;
            }
            for part in markdown::unindented(&block.text).split("\n…\n") {
                ensure!(
                    sources.iter().any(|source| source.contains(part)),
                    "{} shows what no file in src/, tests/, kit/examples or the recipes' tests has:\n{part}",
                    page.display()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn cases_on_the_guides_pages_are_valid() -> Result<()> {
    let mut cases = 0;
    for page in pages()? {
        for block in code_blocks(&fs::read_to_string(&page)?) {
            if block.language != "yaml" || !block.text.starts_with("- case: ") {
                continue;
            }
            let file = tempfile::NamedTempFile::new()?;
            fs::write(file.path(), &block.text)?;
            Cases::read(file.path()).with_context(|| page.display().to_string())?;
            cases += 1;
        }
    }
    ensure!(cases > 0, "the guide shows no case");
    Ok(())
}

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn first_change_works_as_described() -> Result<()> {
    let page = fs::read_to_string(docs().join("first-change.md"))?;
    let tree = copy::project()?;
    copy::share_target(tree.path())?;
    let mut steps = 0;
    for CodeBlock { language, text } in code_blocks(&page) {
        match language.as_str() {
            "diff" => apply(&text, tree.path())?,
            "console" => console::run(&text, tree.path())?,
            _ => continue,
        }
        steps += 1;
    }
    ensure!(steps > 0, "first-change.md has no steps");
    Ok(())
}

/// The registry in the guide's commands.
const EXAMPLE_REGISTRY: &str = "registry.example/";

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_npm),
    ignore = "needs docker-registry, and Node with npm: install them"
)]
fn module_in_another_language_becomes_an_image_in_five_commands() -> Result<()> {
    let registry = Registry::start("")?;
    let page = fs::read_to_string(docs().join("languages.md"))?;
    let page = page.replace(EXAMPLE_REGISTRY, &format!("{}/", registry.address()));
    let directory = tempfile::tempdir()?;
    fs::copy(sdks::assemblyscript(), directory.path().join("filter.wasm"))?;
    let mut commands = 0;
    for CodeBlock { language, text } in code_blocks(&page) {
        if language == "console" {
            console::run(&text, directory.path())?;
            commands += 1;
        } else if let Some(file) = language.strip_prefix("yaml ") {
            fs::write(directory.path().join(file), text)?;
        }
    }
    assert_eq!(commands, 5);
    Ok(())
}

fn apply(diff: &str, tree: &Path) -> Result<()> {
    let mut git = Command::new("git")
        .arg("apply")
        .current_dir(tree)
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = git.stdin.take().context("git has no standard input")?;
    input.write_all(diff.as_bytes())?;
    drop(input);
    ensure!(
        git.wait()?.success(),
        "this diff no longer applies to the code; fix first-change.md:\n{diff}"
    );
    Ok(())
}
