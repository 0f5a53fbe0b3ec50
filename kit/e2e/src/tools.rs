//! Tools of this machine that some tests need, and which of them it lacks.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

/// Whether a tool that a test needs works here: it has to end well when asked. If it does not, a line
/// says so, and [`missing`] will.
///
/// # Panics
///
/// With `CI=true`, where it has to work.
pub fn available(tool: &str, probe: &str) -> bool {
    let answers = quietly(Command::new(tool).arg(probe)).is_ok_and(|status| status.success());
    report(tool, answers, &format!("`{tool} {probe}` does not answer"))
}

/// Whether a tool that a test needs is installed. If it is not, a line says so, and [`missing`] will.
///
/// # Panics
///
/// With `CI=true`, where it has to be.
pub fn installed(tool: &str) -> bool {
    let starts = quietly(&mut Command::new(tool)).is_ok();
    report(tool, starts, &format!("there is no {tool}"))
}

/// For each tool for want of which a test was left out the last time, what is wrong and how to mend it.
///
/// # Errors
///
/// When what was kept below `target`, Cargo's folder for what it makes, can't be read.
pub fn missing(target: &Path) -> Result<Vec<String>> {
    let folder = notes(target);
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut found = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                found.push(read(&entry?.path())?);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (),
        Err(error) => return Err(error).context(format!("cannot read {}", folder.display())),
    }
    found.sort();
    Ok(found)
}

fn notes(target: &Path) -> PathBuf {
    target.join("missing-tools")
}

fn quietly(command: &mut Command) -> io::Result<ExitStatus> {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status()
}

fn report(tool: &str, available: bool, problem: &str) -> bool {
    let installer = if tool.starts_with("cargo-") {
        "cargo install --locked"
    } else {
        "apt-get install"
    };
    let line = format!("{problem}; install {tool}, for example with {installer} {tool}");
    assert!(
        available || env::var("CI").as_deref() != Ok("true"),
        "{line}"
    );
    let folder = notes(&super::project().target());
    let note = folder.join(tool);
    let kept = if available {
        match fs::remove_file(&note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    } else {
        // Past the test runner, which keeps the output of a test that passes to itself.
        let _ = writeln!(io::stderr(), "SKIPPED: {line}");
        fs::create_dir_all(&folder).and_then(|()| fs::write(&note, &line))
    };
    kept.unwrap_or_else(|error| panic!("cannot keep {}: {error}", note.display()));
    available
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missing_is_told_once_for_each_tool() -> Result<()> {
        let target = tempfile::tempdir()?;
        assert_eq!(missing(target.path())?, [""; 0]);
        fs::create_dir(notes(target.path()))?;
        fs::write(notes(target.path()).join("wrk"), "there is no wrk")?;
        fs::write(notes(target.path()).join("podman"), "there is no podman")?;
        assert_eq!(
            missing(target.path())?,
            ["there is no podman", "there is no wrk"]
        );
        Ok(())
    }
}
