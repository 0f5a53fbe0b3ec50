//! What `cargo make` lists, held against Makefile.toml.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use toml::Table;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn tasks() -> Result<Table> {
    let file: Table = toml::from_str(&fs::read_to_string(root().join("Makefile.toml"))?)?;
    let tasks = file.get("tasks").and_then(|tasks| tasks.as_table());
    Ok(tasks.context("Makefile.toml has no tasks")?.clone())
}

#[test]
fn the_list_has_every_public_task_with_its_description() -> Result<()> {
    let tasks = tasks()?;
    let task = tasks.get("default").context("there is no default task")?;
    let arguments: Vec<&str> = task
        .get("args")
        .and_then(|arguments| arguments.as_array())
        .context("the default task has no arguments")?
        .iter()
        .filter_map(|argument| argument.as_str())
        .collect();
    let output = Command::new("awk")
        .args(arguments)
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let listed: BTreeSet<(String, String)> = String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| line.strip_prefix("cargo make ")?.split_once(' '))
        .map(|(name, description)| (name.to_owned(), description.trim().to_owned()))
        .collect();

    let is_public = |task: &toml::Value| {
        let private = task.get("private").and_then(toml::Value::as_bool);
        private != Some(true)
    };
    let text = |task: &toml::Value| {
        let description = task.get("description").and_then(toml::Value::as_str);
        description.unwrap_or_default().to_owned()
    };
    let expected: BTreeSet<(String, String)> = tasks
        .iter()
        .filter(|(name, task)| *name != "default" && is_public(task))
        .map(|(name, task)| (name.clone(), text(task)))
        .collect();
    assert_eq!(listed, expected);
    Ok(())
}

#[test]
fn an_author_who_begins_reads_first_how_to_run_the_extension() -> Result<()> {
    let output = Command::new("awk")
        .args(["-f", "kit/tasks.awk", "Makefile.toml"])
        .current_dir(root())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .filter(|name| ["run", "test", "image", "deploy"].contains(name))
        .collect();
    assert_eq!(names, ["run", "test", "image", "deploy"]);
    Ok(())
}
