//! The container engines podman, buildah and docker. This crate runs their commands.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::annotations::Annotations;
use crate::error::{Error, Result};
use crate::reference::ImageReference;

/// A container engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// podman.
    Podman,
    /// buildah.
    Buildah,
    /// docker.
    Docker,
}

/// An image in an engine's storage.
///
/// It has no digest yet: an engine compresses the layers when it pushes the image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredImage {
    /// The image ID, `sha256:…`.
    pub id: String,
    /// Its size, as the engine prints it.
    pub size: String,
}

impl Engine {
    /// All engines, in the order in which [`Engine::find`] tries them.
    pub const ALL: [Self; 3] = [Self::Podman, Self::Buildah, Self::Docker];

    /// The engine's command.
    pub fn command(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Buildah => "buildah",
            Self::Docker => "docker",
        }
    }

    /// The first engine that is available.
    pub fn find() -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.is_available())
    }

    /// Whether the engine responds. A docker client without a running engine does not.
    pub fn is_available(self) -> bool {
        Command::new(self.command())
            .arg("info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Builds the image `name` with the stage `prebuilt` of a Containerfile. The build context is a
    /// directory with the files of the image's root. The engine prints its progress to standard
    /// error.
    ///
    /// With podman and buildah, the same files and annotations give the same image. Docker's
    /// classic builder has no option for annotations, so they are ignored, and it writes the time
    /// into the image. An image that docker pushes is a single manifest, not an index with an
    /// attestation.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if the engine fails.
    pub fn build(
        self,
        containerfile: &Path,
        image_root: &Path,
        name: &str,
        annotations: &Annotations,
    ) -> Result<StoredImage> {
        let mut command = self.subcommand("build");
        command.arg("--file").arg(containerfile);
        command.args(["--target", "prebuilt", "--tag", name]);
        if self == Self::Docker {
            command.env("SOURCE_DATE_EPOCH", "0");
            // Only buildx reads this. The option --provenance=false would do the same, but the
            // classic builder rejects it.
            command.env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
        } else {
            // Without this, a cached layer would add the labels of an earlier build.
            command.args(["--timestamp", "0", "--identity-label=false", "--no-cache"]);
            for (name, value) in annotations {
                command.arg("--annotation").arg(format!("{name}={value}"));
            }
        }
        command.arg(image_root).stdout(Stdio::null());
        self.run(command, "build")?;
        self.inspect(name)
    }

    /// Pushes an image from the engine's storage to the registry in its name, and returns its
    /// digest. The engine prints its progress, and uses its own credentials.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if the engine fails, and [`Error::File`] if the file for the digest cannot be
    /// created or read.
    pub fn push(self, image: &ImageReference) -> Result<String> {
        let mut command = self.subcommand("push");
        if self == Self::Docker {
            command.arg(image.as_str());
            self.run_push(command, image)?;
            return digest_after_push(image);
        }
        let digest_file = tempfile::NamedTempFile::new()
            .map_err(Error::file("create a file in", std::env::temp_dir()))?;
        command.arg("--digestfile").arg(digest_file.path());
        if image.is_local() {
            command.arg("--tls-verify=false");
        }
        command.arg(image.as_str());
        self.run_push(command, image)?;
        let digest = fs::read_to_string(digest_file.path())
            .map_err(Error::file("read", digest_file.path()))?;
        Ok(digest.trim().to_owned())
    }

    fn run_push(self, command: Command, image: &ImageReference) -> Result<()> {
        self.run(command, "push").map_err(|error| {
            Error::Engine(format!(
                "{error}. To log in: {self} login {}. To continue this push, push again",
                image.registry()
            ))
        })
    }

    fn subcommand(self, name: &str) -> Command {
        let mut command = Command::new(self.command());
        command.arg(name).stdin(Stdio::null());
        command
    }

    fn run(self, mut command: Command, name: &str) -> Result<()> {
        let status = command.status().map_err(|error| self.cannot_run(&error))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Engine(format!(
            "{self} {name} failed: {status}; the lines above say why"
        )))
    }

    fn cannot_run(self, error: &std::io::Error) -> Error {
        Error::Engine(format!("cannot run {self}: {error}"))
    }

    /// An image, as the engine lists it.
    fn inspect(self, name: &str) -> Result<StoredImage> {
        let output = self
            .subcommand("images")
            .args(["--no-trunc", "--format", "{{.ID}}|{{.Size}}", name])
            .output()
            .map_err(|error| self.cannot_run(&error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (id, size) = text
            .lines()
            .next()
            .and_then(|line| line.split_once('|'))
            .ok_or_else(|| Error::Engine(format!("{self} built {name}, but does not list it")))?;
        Ok(StoredImage {
            id: id.trim().to_owned(),
            size: size.trim().to_owned(),
        })
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.command())
    }
}

/// The digest that docker stored when it pushed an image.
fn digest_after_push(image: &ImageReference) -> Result<String> {
    let output = Engine::Docker
        .subcommand("inspect")
        .args(["--type", "image", "--format"])
        .args(["{{join .RepoDigests \"\\n\"}}", image.as_str()])
        .output()
        .map_err(|error| Engine::Docker.cannot_run(&error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let prefix = image.with_digest("");
    text.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .map(str::to_owned)
        .ok_or_else(|| {
            Error::Engine(format!(
                "docker pushed {image}, but does not list its digest"
            ))
        })
}
