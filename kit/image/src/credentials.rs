//! The credentials that `podman login` and `docker login` store.
//!
//! podman's `auth.json` and docker's `config.json` have the same format: credentials by registry
//! (podman: also by repository), or the name of a credential helper, a program
//! `docker-credential-NAME`.

mod auth_file;
mod helper;
mod login;

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::reference::ImageReference;

pub use login::Credentials;

/// Finds the credentials for an image's repository, in the first of these files that has them.
///
/// `None` if no file has them. Missing files are skipped.
///
/// # Errors
///
/// [`Error::File`] if a file cannot be read, and [`Error::Credentials`] if it is not valid, or if a
/// credential helper fails. The message does not contain passwords.
pub fn find(image: &ImageReference, files: &[PathBuf]) -> Result<Option<Credentials>> {
    for file in files {
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::file("read", file)(error)),
        };
        let found = auth_file::look_up(&text, image.registry(), image.repository())
            .map_err(|error| error.in_part(&file.display().to_string()))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The current user's credential files, in the order in which podman reads them: the file in the
/// environment variable `REGISTRY_AUTH_FILE`, podman's, then docker's.
pub fn files() -> Vec<PathBuf> {
    let variable = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = env::home_dir();
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let containers = |directory: PathBuf| directory.join("containers/auth.json");
    [
        variable("REGISTRY_AUTH_FILE"),
        variable("XDG_RUNTIME_DIR").map(containers),
        variable("XDG_CONFIG_HOME")
            .or_else(|| in_home(".config"))
            .map(containers),
        variable("DOCKER_CONFIG")
            .or_else(|| in_home(".docker"))
            .map(|directory| directory.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}
