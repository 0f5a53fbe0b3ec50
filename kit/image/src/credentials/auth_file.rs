//! The format of podman's `auth.json` and docker's `config.json`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::credentials::helper;
use crate::credentials::login::Credentials;
use crate::error::{Error, Result};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthFile {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// Finds the credentials for a repository in a file's text.
pub fn look_up(text: &[u8], registry: &str, repository: &str) -> Result<Option<Credentials>> {
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let file: AuthFile = serde_json::from_slice(text).map_err(|error| {
        Error::Credentials(format!("{error}; correct the file, or log in again"))
    })?;
    let names = names(registry, repository);
    for name in &names {
        if let Some(helper) = file.cred_helpers.get(name)
            && let Some(found) = helper::get(helper, name)?
        {
            return Ok(Some(found));
        }
        if let Some(auth) = file.auths.get(name)
            && let Some(found) = decode(auth)
                .map_err(|problem| Error::Credentials(format!("auths, {name}: {problem}")))?
        {
            return Ok(Some(found));
        }
    }
    if let Some(helper) = file.creds_store.filter(|helper| !helper.is_empty()) {
        // A credential store has credentials by registry, under one of several names, not by
        // repository.
        let repositories = format!("{registry}/");
        for name in names.iter().filter(|name| !name.starts_with(&repositories)) {
            if let Some(found) = helper::get(&helper, name)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// The names under which credentials for a repository may be stored, the most specific first.
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
    for url in [format!("https://{registry}"), format!("http://{registry}")] {
        names.extend([url.clone(), format!("{url}/v1/"), format!("{url}/v2/")]);
    }
    if registry == "docker.io" {
        names.push("https://index.docker.io/v1/".to_owned());
    }
    names
}

fn decode(auth: &Auth) -> Result<Option<Credentials>, &'static str> {
    if auth
        .identitytoken
        .as_deref()
        .is_some_and(|token| !token.is_empty())
    {
        return Err(
            "it is an identity token, which only container engines can use; push with podman or docker",
        );
    }
    if let (Some(username), Some(password)) = (&auth.username, &auth.password) {
        return Ok(Some(Credentials {
            username: username.clone(),
            password: password.clone(),
        }));
    }
    let Some(auth) = auth.auth.as_deref().filter(|auth| !auth.is_empty()) else {
        return Ok(None);
    };
    let bytes = STANDARD
        .decode(auth.trim())
        .map_err(|_| "auth is not base64; log in again")?;
    let text = String::from_utf8(bytes).map_err(|_| "auth is not UTF-8; log in again")?;
    let (username, password) = text
        .split_once(':')
        .ok_or("auth is not NAME:PASSWORD; log in again")?;
    Ok(Some(Credentials {
        username: username.to_owned(),
        // Old versions of docker pad the password with NUL.
        password: password.trim_end_matches('\0').to_owned(),
    }))
}

#[cfg(test)]
mod tests;
