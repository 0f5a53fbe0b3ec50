//! Container engines: podman, buildah and docker.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::annotations::Annotations;
use crate::reference::{Target, is_local};

/// A container engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// podman.
    Podman,
    /// buildah.
    Buildah,
    /// docker.
    Docker,
}

/// An image in an engine's storage.
#[derive(Debug)]
pub struct Stored {
    /// The digest that the engine knows it by.
    pub digest: String,
    /// Its size, as the engine words it.
    pub size: String,
}

impl Engine {
    /// All engines, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Podman, Self::Buildah, Self::Docker];

    /// The engine's command.
    pub fn command(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Buildah => "buildah",
            Self::Docker => "docker",
        }
    }

    /// The first engine that answers.
    pub fn find() -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.answers())
    }

    /// Whether the engine works here. A docker client without an engine does not.
    pub fn answers(self) -> bool {
        Command::new(self.command())
            .arg("info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Packages a staged image root, by the Containerfile's stage `prebuilt`.
    ///
    /// Nothing in the image depends on the time, the machine or the engine's version. Docker leaves
    /// the annotations out: not every one of its builders takes any.
    ///
    /// # Errors
    ///
    /// When the engine fails; it has said why on standard error.
    pub fn build(
        self,
        containerfile: &Path,
        image_root: &Path,
        reference: &str,
        annotations: &Annotations,
    ) -> Result<Stored> {
        let mut command = Command::new(self.command());
        command.arg("build").arg("--file").arg(containerfile);
        command.args(["--target", "prebuilt", "--tag", reference]);
        if self == Self::Docker {
            command.env("SOURCE_DATE_EPOCH", "0");
        } else {
            // A layer of an earlier build would bring that build's labels along.
            command.args(["--timestamp", "0", "--identity-label=false", "--no-cache"]);
            for (name, value) in annotations {
                command.arg("--annotation").arg(format!("{name}={value}"));
            }
        }
        let status = command
            .arg(image_root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {}", self.command()))?;
        ensure!(
            status.success(),
            "{} build failed: {status}; the lines above say why. CONTAINER_ENGINE=none needs no engine",
            self.command()
        );
        self.inspect(reference)
    }

    /// Pushes an image from the engine's storage to the registry that its reference names, and
    /// gives its digest there. The engine shows its progress, and knows the credentials.
    ///
    /// # Errors
    ///
    /// When the engine fails; it has said why on standard error.
    pub fn push(self, reference: &str) -> Result<String> {
        let target = Target::of(reference)?;
        let digest_file = tempfile::NamedTempFile::new()?;
        let mut command = Command::new(self.command());
        command.arg("push");
        if self != Self::Docker {
            command.arg("--digestfile").arg(digest_file.path());
            if is_local(&target.registry) {
                command.arg("--tls-verify=false");
            }
        }
        let status = command
            .arg(reference)
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {}", self.command()))?;
        ensure!(
            status.success(),
            "{} push failed: {status}; the lines above say why. To log in: {} login {}. A second \
             push completes the first",
            self.command(),
            self.command(),
            target.registry
        );
        if self != Self::Docker {
            return Ok(fs::read_to_string(digest_file.path())?.trim().to_owned());
        }
        let output = Command::new("docker")
            .args([
                "inspect",
                "--format",
                "{{join .RepoDigests \"\\n\"}}",
                reference,
            ])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let repository = target.by_digest("");
        text.lines()
            .find_map(|line| line.strip_prefix(&repository))
            .map(str::to_owned)
            .with_context(|| format!("docker knows no digest of {reference} after pushing it"))
    }

    fn inspect(self, reference: &str) -> Result<Stored> {
        let output = Command::new(self.command())
            .args([
                "images",
                "--no-trunc",
                "--format",
                "{{.ID}}|{{.Digest}}|{{.Size}}",
                reference,
            ])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut fields = text
            .lines()
            .next()
            .unwrap_or_default()
            .split('|')
            .map(str::trim);
        let (Some(id), Some(digest), Some(size)) = (fields.next(), fields.next(), fields.next())
        else {
            bail!(
                "{} does not list {reference} after building it",
                self.command()
            );
        };
        // Docker gives an image a digest only when it is pushed.
        let digest = if digest == "<none>" { id } else { digest };
        Ok(Stored {
            digest: digest.to_owned(),
            size: size.to_owned(),
        })
    }
}
