//! The guide in `docs/`: its first change works as it is written, its code is that of the files which
//! it shows, and its links lead somewhere.
#![cfg(not(target_family = "wasm"))]

#[path = "support/copy.rs"]
mod copy;
#[path = "guide/links.rs"]
mod links;
#[path = "guide/markdown.rs"]
mod markdown;
mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use markdown::{Block, blocks};
use support::say;

/// The page that is about this example alone, which authors of others delete.
const FIRST_CHANGE: &str = "docs/first-change.md";

/// The README and the guide's pages, as paths from the package's folder.
fn pages() -> Result<Vec<PathBuf>> {
    let mut pages = vec![PathBuf::from("README.md")];
    for entry in fs::read_dir("docs")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let mut broken = Vec::new();
    for page in pages()? {
        broken.extend(links::broken(&page)?);
    }
    ensure!(
        broken.is_empty(),
        "links that break:\n{}",
        broken.join("\n")
    );
    Ok(())
}

#[test]
fn the_index_lists_every_page() -> Result<()> {
    let index = fs::read_to_string("docs/README.md")?;
    for page in pages()? {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        let is_listed = index.contains(&format!("({name})"));
        ensure!(
            is_listed || name == "README.md",
            "docs/README.md lacks {name}"
        );
    }
    Ok(())
}

#[test]
fn the_page_on_testing_says_what_becomes_of_each_test() -> Result<()> {
    let page = fs::read_to_string("docs/testing.md")?;
    for entry in fs::read_dir("tests")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = format!("`{}`", path.display());
            ensure!(page.contains(&name), "docs/testing.md lacks {name}");
        }
    }
    Ok(())
}

#[test]
fn the_guides_code_is_in_the_files_that_it_shows() -> Result<()> {
    let mut sources = Vec::new();
    for folder in ["src", "examples", "tests"] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(markdown::unindented(&fs::read_to_string(path)?));
            }
        }
    }
    for page in pages()? {
        // It shows the kit's calls and not the lines of a file: kit/src/proxy compiles its own.
        if page.ends_with("testing.md") {
            continue;
        }
        for block in blocks(&fs::read_to_string(&page)?) {
            if block.language != "rust" {
                continue;
            }
            for part in markdown::unindented(&block.text).split("\n…\n") {
                ensure!(
                    sources.iter().any(|source| source.contains(part)),
                    "{} shows what no file in src/, examples/ or tests/ has:\n{part}",
                    page.display()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_first_change_works_as_it_is_written() -> Result<()> {
    if !Path::new(FIRST_CHANGE).exists() {
        say("There is no docs/first-change.md any more, so there is nothing to try");
        return Ok(());
    }
    let page = fs::read_to_string(FIRST_CHANGE)?;
    let tree = copy::kept("guide", &copy::contents(Path::new("."))?)?;
    // For `git apply`, which otherwise looks at the repository around it.
    copy::git(&tree, &["init", "--quiet"])?;
    let mut steps = 0;
    for Block { language, text } in blocks(&page) {
        match language.as_str() {
            "diff" => apply(&text, &tree)?,
            "console" => run(&text, &tree)?,
            _ => continue,
        }
        steps += 1;
    }
    ensure!(steps > 0, "{FIRST_CHANGE} has no steps");
    Ok(())
}

fn apply(diff: &str, tree: &Path) -> Result<()> {
    let mut git = Command::new("git")
        .arg("apply")
        .current_dir(tree)
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = git.stdin.take().context("git reads nothing")?;
    input.write_all(diff.as_bytes())?;
    drop(input);
    ensure!(
        git.wait()?.success(),
        "this does not apply to the code any more. Mend {FIRST_CHANGE}, or delete it:\n{diff}"
    );
    Ok(())
}

/// Runs the command after the `$`, and looks for the lines below it in what it prints.
fn run(console: &str, tree: &Path) -> Result<()> {
    let mut lines = console.lines();
    let Some(command) = lines.next().and_then(|line| line.strip_prefix("$ ")) else {
        bail!("no command in {console}");
    };
    let output = copy::command("sh", tree).args(["-c", command]).output()?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    for line in lines.filter(|line| *line != "…") {
        ensure!(
            printed.contains(line),
            "{command} does not print {line:?} but:\n{printed}"
        );
    }
    Ok(())
}
