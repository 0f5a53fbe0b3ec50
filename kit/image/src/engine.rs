//! Container engines: podman, buildah and docker, by their commands.

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
/// Its digest in a registry is not known yet: engines compress the layers when they push.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredImage {
    /// The engine's identifier of the image, `sha256:…`.
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

    /// Whether the engine responds. A docker client without an engine does not.
    pub fn is_available(self) -> bool {
        Command::new(self.command())
            .arg("info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Builds the image `name` from a directory that holds the files of the image's root, by the
    /// stage `prebuilt` of a Containerfile. The engine reports its progress on standard error.
    ///
    /// With podman and buildah, the same files and annotations give the same image. Docker ignores
    /// the annotations: its classic builder has no option for them and writes the time into the
    /// image. An image that docker pushes is a single manifest, not an index with an attestation.
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
            // A layer of an earlier build would bring that build's labels with it.
            command.args(["--timestamp", "0", "--identity-label=false", "--no-cache"]);
            for (name, value) in annotations {
                command.arg("--annotation").arg(format!("{name}={value}"));
            }
        }
        command.arg(image_root).stdout(Stdio::null());
        self.run(command, "build")?;
        self.inspect(name)
    }

    /// Pushes an image from the engine's storage to the registry that its name contains, and returns
    /// its digest there. The engine reports its progress, and uses its own credentials.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if the engine fails.
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
                "{error}. To log in: {self} login {}. A second push completes the first",
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

    /// What the engine's list of images says about one.
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
            .ok_or_else(|| {
                Error::Engine(format!("{self} does not list {name} after building it"))
            })?;
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

/// The digest that docker has stored with an image that it pushed.
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
        .ok_or_else(|| Error::Engine(format!("docker has no digest of {image} after pushing it")))
}
