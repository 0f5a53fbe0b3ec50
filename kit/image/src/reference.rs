//! Image references: registry, repository, tag and digest (OCI distribution specification, "Pulling
//! manifests").

use std::fmt;

use crate::error::{Error, Result};

/// The maximum length of a tag, in bytes.
const MAX_TAG_LENGTH: usize = 128;

/// An image in a registry: `REGISTRY/REPOSITORY`, then `:TAG`, `@DIGEST`, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    text: String,
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageReference {
    /// Parses a reference that names its registry.
    ///
    /// The first part is a registry if it looks like a host name: it contains a `.` or a `:`, or is
    /// `localhost`.
    ///
    /// # Errors
    ///
    /// [`Error::Reference`] if the registry or the repository is missing, or if a part contains
    /// characters that registries do not allow.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = split(text).map_err(|problem| Error::Reference {
            reference: text.to_owned(),
            problem,
            correct: corrected(text).unwrap_or_else(|| "REGISTRY/TEAM/NAME:TAG".to_owned()),
        })?;
        Ok(Self {
            text: text.to_owned(),
            registry: parts.registry.to_owned(),
            repository: parts.repository.to_owned(),
            tag: parts.tag.map(str::to_owned),
            digest: parts.digest.map(str::to_owned),
        })
    }

    /// The registry's host, with its port if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry, for example `team/extension`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest: `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The text of the reference.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The reference of an image in the same repository by its digest. Unlike a tag, it always
    /// means the same image.
    pub fn with_digest(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.registry, self.repository)
    }

    /// Whether the registry is on this machine. Such a registry is used over plain HTTP, because
    /// what is sent does not leave the machine.
    pub fn is_local(&self) -> bool {
        let host = match self.registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => self.registry.as_str(),
        };
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The parts of a reference.
struct Parts<'a> {
    registry: &'a str,
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

/// The parts of a text that begins with a registry. They need not be valid.
fn parts(text: &str) -> Option<Parts<'_>> {
    let (registry, path) = text.split_once('/')?;
    let (path, digest) = match path.split_once('@') {
        Some((path, digest)) => (path, Some(digest)),
        None => (path, None),
    };
    let (repository, tag) = match path.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (path, None),
    };
    Some(Parts {
        registry,
        repository,
        tag,
        digest,
    })
}

/// The parts of a valid reference, or what is wrong with it.
fn split(text: &str) -> Result<Parts<'_>, &'static str> {
    if text.contains("://") {
        return Err("it has a scheme");
    }
    let parts = parts(text).ok_or("it has no registry")?;
    let registry = parts.registry;
    if !registry.contains(['.', ':']) && registry != "localhost" {
        return Err("it has no registry");
    }
    if !registry
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    {
        return Err("its registry is not a host name");
    }
    if parts.repository.is_empty() {
        return Err("it has no repository");
    }
    if !parts.repository.split('/').all(is_repository_component) {
        return Err(
            "a repository consists of lower-case letters and digits, with ., _, - and / \
                    between them",
        );
    }
    if parts.tag == Some("") {
        return Err("its tag is empty");
    }
    if !parts.tag.is_none_or(is_tag) {
        return Err("a tag consists of at most 128 letters, digits, ., _ and -");
    }
    if !parts.digest.is_none_or(is_digest) {
        return Err("a digest is sha256: and 64 hexadecimal digits in lower case");
    }
    Ok(parts)
}

/// A valid reference that was probably meant, if there is one. In place of `+`, which versions have
/// and tags cannot have, it has `_`, as Helm writes.
fn corrected(text: &str) -> Option<String> {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let parts = parts(text)?;
    let mut correct = format!("{}/{}", parts.registry, parts.repository.to_lowercase());
    match parts.tag {
        Some("") => correct.push_str(":TAG"),
        Some(tag) => correct = format!("{correct}:{}", tag.replace('+', "_")),
        None => {}
    }
    if let Some(digest) = parts.digest {
        correct = format!("{correct}@{}", digest.to_lowercase());
    }
    split(&correct).is_ok().then_some(correct)
}

/// Whether this is a component of a repository's name (OCI distribution specification, "Pulling
/// manifests").
pub fn is_repository_component(component: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    bytes.first().is_some_and(is_alphanumeric)
        && bytes.last().is_some_and(is_alphanumeric)
        && bytes
            .iter()
            .all(|byte| is_alphanumeric(byte) || b"._-".contains(byte))
}

/// Whether this is a tag (OCI distribution specification, "Pulling manifests").
pub fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG_LENGTH
        && tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|byte| is_word(byte) || b".-".contains(&byte))
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests;
