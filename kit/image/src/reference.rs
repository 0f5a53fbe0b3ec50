//! Registries: where an image is pushed to, by an engine or without one.

use anyhow::{Result, ensure};

/// Where an image goes: the parts of a reference `REGISTRY/REPOSITORY:TAG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The registry's host, with its port if there is one.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
}

impl Target {
    /// Takes the parts of a reference that names its registry.
    ///
    /// # Errors
    ///
    /// When it names none, or no repository. Whoever pushes judges the rest.
    pub fn of(reference: &str) -> Result<Self> {
        let (registry, path) = reference.split_once('/').unwrap_or_default();
        let path = path.split('@').next().unwrap_or_default();
        let repository = match path.rsplit_once(':') {
            Some((repository, _)) => repository,
            None => path,
        };
        // The format's own rule: the first part is a registry if it could be a host.
        let host = registry.contains(['.', ':']) || registry == "localhost";
        ensure!(
            host && !repository.is_empty(),
            "{reference:?} names no registry; write REGISTRY/TEAM/NAME:TAG"
        );
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
        })
    }

    /// The reference by digest, which always names the same image.
    pub fn by_digest(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.registry, self.repository)
    }
}

/// Whether a registry is on this machine, where nobody listens in.
pub fn is_local(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    };
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
