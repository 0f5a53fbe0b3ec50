//! The error of this crate.

use std::io;
use std::path::{Path, PathBuf};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image cannot be read, built or pushed.
///
/// The message says what is wrong, where, and what to do. It is complete:
/// [`std::error::Error::source`] adds nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or a directory cannot be read or written.
    #[error("cannot {action} {}: {reason}", path.display())]
    File {
        /// The operation that failed, for example `read`.
        action: &'static str,
        /// The file or the directory.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// `manifest.yaml` is not valid.
    #[error("{place}: {problem}")]
    Manifest {
        /// The file, with line and column if they are known.
        place: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// An image, a layer or a directory is damaged.
    #[error("{0}")]
    Image(String),
    /// An image, a layer or a directory exceeds a limit of this crate, or has a format that it does
    /// not read. It may be valid.
    #[error("{0}")]
    Limit(String),
    /// An index has no image that Istio and Envoy Gateway select.
    #[error("no child with platform linux/amd64 in index (it has {platforms:?})")]
    Platform {
        /// The platforms that it has.
        platforms: String,
    },
    /// A string is not an image reference with a registry.
    #[error("{reference:?} is not an image in a registry: {problem}; write {correct}")]
    Reference {
        /// The string.
        reference: String,
        /// What is wrong with it.
        problem: &'static str,
        /// The correct form.
        correct: String,
    },
    /// A container engine failed.
    #[error("{0}")]
    Engine(String),
    /// Stored credentials cannot be read.
    #[cfg(feature = "push")]
    #[error("{0}")]
    Credentials(String),
    /// The registry requires credentials, or rejected them.
    #[cfg(feature = "push")]
    #[error(
        "{}; log in with podman login {registry}, or docker login {registry} ({reason})",
        if *with_credentials {
            format!("{registry} rejected the stored credentials")
        } else {
            format!("no credentials are stored for {registry}")
        }
    )]
    Unauthorized {
        /// The registry.
        registry: String,
        /// Whether credentials were sent.
        with_credentials: bool,
        /// The registry's error message.
        reason: String,
    },
    /// The user may not write to the repository.
    #[cfg(feature = "push")]
    #[error(
        "{registry} rejected the push to {repository}; check that the repository exists and that \
         you may write to it ({reason})"
    )]
    Denied {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// The registry's error message.
        reason: String,
    },
    /// The repository does not exist.
    #[cfg(feature = "push")]
    #[error(
        "{registry} has no repository {repository}, or is not a registry; create the repository, or \
         correct the name ({reason})"
    )]
    RepositoryNotFound {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// The registry's error message.
        reason: String,
    },
    /// The connection to the registry failed. Another push continues this one.
    #[cfg(feature = "push")]
    #[error(
        "the connection to {registry} failed; push again: blobs that the registry has already are not \
         sent again ({reason})"
    )]
    Connection {
        /// The registry.
        registry: String,
        /// Why it failed.
        reason: String,
    },
    /// A push failed for another reason.
    #[cfg(feature = "push")]
    #[error("the push to {registry} failed; push again to complete it ({reason})")]
    Push {
        /// The registry.
        registry: String,
        /// Why it failed.
        reason: String,
    },
}

impl Error {
    /// An error of the file system, for `map_err`.
    pub(crate) fn file(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |reason| Self::File {
            action,
            path,
            reason,
        }
    }

    /// Adds the part of the image or of the credentials that the error is about.
    pub(crate) fn in_part(self, part: &str) -> Self {
        match self {
            Self::Image(problem) => Self::Image(format!("{part}: {problem}")),
            Self::Limit(problem) => Self::Limit(format!("{part}: {problem}")),
            #[cfg(feature = "push")]
            Self::Credentials(problem) => Self::Credentials(format!("{part}: {problem}")),
            other => other,
        }
    }
}
