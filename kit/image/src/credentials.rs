//! Credentials from where podman and docker keep them.
//!
//! podman's `auth.json` and docker's `config.json` have one format: `auths` by registry (podman
//! also by repository), or the name of a program that knows, `docker-credential-NAME`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::reference::Target;

/// A user and the password, or a token in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// The password stays out of every message.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "Credentials of {:?}", self.username)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Store {
    auths: BTreeMap<String, Login>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Finds the credentials for a repository in the first of some files that knows any; `None` if
/// nobody has logged in. A file that is not there knows none.
///
/// # Errors
///
/// When a file or a program that should know is broken.
pub fn find(target: &Target, files: &[PathBuf]) -> Result<Option<Credentials>> {
    for file in files {
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let found = look_up(&text, &target.registry, &target.repository)
            .with_context(|| format!("{} is of no use; mend it, or log in anew", file.display()))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The files of this user, in the order in which podman looks for them: the one that
/// `REGISTRY_AUTH_FILE` names, podman's own, then docker's.
pub fn files() -> Vec<PathBuf> {
    let named = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = env::home_dir();
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let containers = |folder: PathBuf| folder.join("containers/auth.json");
    [
        named("REGISTRY_AUTH_FILE"),
        named("XDG_RUNTIME_DIR").map(containers),
        named("XDG_CONFIG_HOME")
            .or_else(|| in_home(".config"))
            .map(containers),
        named("DOCKER_CONFIG")
            .or_else(|| in_home(".docker"))
            .map(|folder| folder.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn look_up(text: &[u8], registry: &str, repository: &str) -> Result<Option<Credentials>> {
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let store: Store = serde_json::from_slice(text)?;
    let names = names(registry, repository);
    for name in &names {
        if let Some(helper) = store.cred_helpers.get(name)
            && let Some(found) = ask(helper, name)?
        {
            return Ok(Some(found));
        }
        if let Some(login) = store.auths.get(name)
            && let Some(found) = decoded(login).with_context(|| format!("auths, {name}"))?
        {
            return Ok(Some(found));
        }
    }
    if let Some(helper) = store.creds_store.filter(|helper| !helper.is_empty()) {
        // The store knows registries, not repositories, and each under one of a few names.
        let of_repositories = format!("{registry}/");
        for name in names
            .iter()
            .filter(|name| !name.starts_with(&of_repositories))
        {
            if let Some(found) = ask(&helper, name)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// Under which names credentials may be stored, the closest first.
fn names(registry: &str, repository: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut path = format!("{registry}/{repository}");
    loop {
        names.push(path.clone());
        match path.rsplit_once('/') {
            Some((parent, _)) => path = parent.to_owned(),
            None => break,
        }
    }
    for form in [format!("https://{registry}"), format!("http://{registry}")] {
        names.extend([form.clone(), format!("{form}/v1/"), format!("{form}/v2/")]);
    }
    if registry == "docker.io" {
        names.push("https://index.docker.io/v1/".to_owned());
    }
    names
}

fn decoded(login: &Login) -> Result<Option<Credentials>> {
    if login
        .identitytoken
        .as_deref()
        .is_some_and(|token| !token.is_empty())
    {
        bail!("it is an identity token, which a container engine can use; push with one");
    }
    if let (Some(username), Some(password)) = (&login.username, &login.password) {
        return Ok(Some(Credentials {
            username: username.clone(),
            password: password.clone(),
        }));
    }
    let Some(auth) = login.auth.as_deref().filter(|auth| !auth.is_empty()) else {
        return Ok(None);
    };
    let bytes = STANDARD
        .decode(auth.trim())
        .context("auth is not in base64")?;
    let text = String::from_utf8(bytes).context("auth is not UTF-8")?;
    let (username, password) = text.split_once(':').context("auth is not NAME:PASSWORD")?;
    Ok(Some(Credentials {
        username: username.to_owned(),
        // Docker once padded the password with NUL.
        password: password.trim_end_matches('\0').to_owned(),
    }))
}

/// Asks a credential helper.
fn ask(helper: &str, registry: &str) -> Result<Option<Credentials>> {
    ensure!(
        Path::new(helper).file_name() == Some(helper.as_ref()),
        "credential helper {helper:?} is no name"
    );
    ask_program(&format!("docker-credential-{helper}"), registry)
}

/// Asks a program, as docker does: the registry in, JSON out.
fn ask_program(program: &str, registry: &str) -> Result<Option<Credentials>> {
    let mut process = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("cannot run {program}; install it, or log in anew"))?;
    if let Some(mut input) = process.stdin.take() {
        // One that ends without reading says so by its status.
        let _ = input.write_all(registry.as_bytes());
    }
    let output = process.wait_with_output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if message.contains("not found") {
            return Ok(None);
        }
        bail!("{program} get failed: {}: {message}", output.status);
    }
    // What it answered may hold the password, so it is not part of the error.
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| anyhow::anyhow!("{program} get did not answer with Username and Secret"))?;
    ensure!(
        answer.username != "<token>",
        "{program} knows an identity token, which a container engine can use; push with one"
    );
    Ok(Some(Credentials {
        username: answer.username,
        password: answer.secret,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<Credentials> {
        look_up(text.as_bytes(), "registry.example", "team/a").expect(text)
    }

    fn of(username: &str, password: &str) -> Option<Credentials> {
        Some(Credentials {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }

    #[test]
    fn both_files_are_read() {
        // "me:pass:word"
        assert_eq!(
            found(r#"{"auths": {"registry.example": {"auth": "bWU6cGFzczp3b3Jk"}}}"#),
            of("me", "pass:word")
        );
        assert_eq!(
            found(r#"{"auths": {"https://registry.example/v1/": {"auth": "bWU6cGFzczp3b3Jk"}}}"#),
            of("me", "pass:word")
        );
        assert_eq!(
            found(r#"{"auths": {"registry.example": {"username": "a", "password": "b"}}}"#),
            of("a", "b")
        );
    }

    #[test]
    fn the_closest_repository_wins() {
        let text = r#"{"auths": {
            "registry.example": {"username": "far", "password": ""},
            "registry.example/team": {"username": "near", "password": ""},
            "registry.example/team/b": {"username": "beside", "password": ""}}}"#;
        assert_eq!(found(text), of("near", ""));
    }

    #[test]
    fn nobody_has_logged_in() {
        for text in [
            "",
            "{}",
            r#"{"auths": {"registry.example": {}}}"#,
            r#"{"auths": {"registry.example.org": {"auth": "bWU6cGFzczp3b3Jk"}}}"#,
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_helper_is_asked_for_the_registry() -> Result<()> {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir()?;
        let program = folder.path().join("docker-credential-test");
        fs::write(
            &program,
            r#"#!/bin/sh
case "$1 $(cat)" in
    "get registry.example") echo '{"ServerURL": "x", "Username": "me", "Secret": "sesame"}' ;;
    "get unknown.example") echo "credentials not found"; exit 1 ;;
    "get locked.example") echo "the keyring is locked"; exit 1 ;;
    *) echo "no JSON" ;;
esac
"#,
        )?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        let ask = |registry| ask_program(&program.to_string_lossy(), registry);
        assert_eq!(ask("registry.example")?, of("me", "sesame"));
        assert_eq!(ask("unknown.example")?, None);
        let message = |registry| format!("{:#}", ask(registry).expect_err("a failure"));
        assert!(message("locked.example").contains("the keyring is locked"));
        assert!(message("odd.example").contains("did not answer with Username and Secret"));
        Ok(())
    }

    #[test]
    fn a_store_is_asked_for_a_registry_that_is_named_like_the_repository() {
        let text = r#"{"credsStore": "of-nobody-at-all"}"#;
        let error = look_up(text.as_bytes(), "team.example", "team").expect_err("no helper");
        assert!(format!("{error:#}").contains("cannot run docker-credential-of-nobody-at-all"));
    }

    #[test]
    fn what_is_broken_is_an_error_without_the_secret() {
        for (text, part) in [
            ("{", "EOF"),
            (
                r#"{"auths": {"registry.example": {"auth": "c2VjcmV0"}}}"#,
                "NAME:PASSWORD",
            ),
            (
                r#"{"auths": {"registry.example": {"auth": "secret!"}}}"#,
                "base64",
            ),
            (
                r#"{"auths": {"registry.example": {"identitytoken": "secret"}}}"#,
                "identity token",
            ),
            (
                r#"{"credHelpers": {"registry.example": "../secret"}}"#,
                "is no name",
            ),
            (
                r#"{"credsStore": "of-nobody-at-all"}"#,
                "cannot run docker-credential-of-nobody-at-all",
            ),
        ] {
            let error = look_up(text.as_bytes(), "registry.example", "team/a").expect_err(text);
            let error = format!("{error:#}");
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
    }
}
