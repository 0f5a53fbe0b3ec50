//! Container engines: podman, buildah and docker.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

/// A container engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
    /// # Errors
    ///
    /// When the engine fails; it has said why on standard error.
    pub fn build(self, containerfile: &Path, image_root: &Path, reference: &str) -> Result<Stored> {
        let mut command = Command::new(self.command());
        command.arg("build").arg("--file").arg(containerfile);
        command.args(["--target", "prebuilt", "--tag", reference]);
        if self == Self::Docker {
            command.env("SOURCE_DATE_EPOCH", "0");
        } else {
            command.args(["--timestamp", "0"]);
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
