//! Credential helpers: programs `docker-credential-NAME`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::credentials::login::Credentials;
use crate::error::{Error, Result};

/// The output of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperOutput {
    username: String,
    secret: String,
}

/// Gets the credentials for a registry from a helper. `None` if it has none.
pub fn get(helper: &str, registry: &str) -> Result<Option<Credentials>> {
    // A path in place of a name could run any program.
    if Path::new(helper).file_name() != Some(helper.as_ref()) {
        return Err(Error::Credentials(format!(
            "credential helper {helper:?} is not the name of a program; correct the file"
        )));
    }
    get_from(&format!("docker-credential-{helper}"), registry)
}

/// Runs a program as docker does: its input is the registry, its output JSON.
fn get_from(program: &str, registry: &str) -> Result<Option<Credentials>> {
    let cannot_run = |error| {
        Error::Credentials(format!(
            "cannot run {program}: {error}; install it, or log in again"
        ))
    };
    let mut process = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(cannot_run)?;
    if let Some(mut input) = process.stdin.take() {
        // If it exits without reading its input, the exit status says whether it failed.
        let _ = input.write_all(registry.as_bytes());
    }
    let output = process.wait_with_output().map_err(cannot_run)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stdout);
        let message = message.trim();
        if message.contains("not found") {
            return Ok(None);
        }
        return Err(Error::Credentials(format!(
            "{program} get failed: {}: {message}",
            output.status
        )));
    }
    // The output may contain the password, so the error does not repeat it.
    let answer: HelperOutput = serde_json::from_slice(&output.stdout).map_err(|_| {
        Error::Credentials(format!("{program} get did not print Username and Secret"))
    })?;
    if answer.username == "<token>" {
        return Err(Error::Credentials(format!(
            "{program} has an identity token, which only container engines can use; push with podman or docker"
        )));
    }
    Ok(Some(Credentials {
        username: answer.username,
        password: answer.secret,
    }))
}

#[cfg(all(test, unix))]
mod tests;
