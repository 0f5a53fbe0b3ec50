//! Deploying: a file under `deploy/` with the image, tried in the module and applied with kubectl.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use proxy_wasm_check::Report;
use proxy_wasm_image::ImageReference;

use crate::pushed::Pushed;

/// The placeholder of the image's registry and team in the files.
const PLACEHOLDER: &str = "registry.example/team/";

/// A file that can be applied.
#[derive(Debug)]
pub struct Deployment {
    file: String,
    text: String,
}

impl Deployment {
    /// Reads the file for a mesh from a directory, and writes the image into it.
    ///
    /// # Errors
    ///
    /// If there is no file for the mesh, if it does not contain the placeholder exactly once outside
    /// comments, or if Maistra would not pull the image.
    pub fn read(directory: &Path, mesh: &str, image: &ImageReference) -> Result<Self> {
        let file = directory.join(format!("{mesh}.yaml"));
        let meshes = meshes(directory)?;
        ensure!(
            meshes.iter().any(|known| known == mesh),
            "{} has no file for the mesh {mesh:?}; pass --mesh with one of {}, or set the variable MESH",
            directory.display(),
            meshes.join(", ")
        );
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        ensure!(
            image.tag().is_some()
                || image.digest().is_some()
                || !text.contains("\nkind: ServiceMeshExtension\n"),
            "{image} has neither tag nor digest, and Maistra needs one; write {image}:TAG"
        );
        Ok(Self {
            text: with_image(&text, image.as_str())
                .with_context(|| format!("{}", file.display()))?,
            file: format!("deploy/{mesh}.yaml"),
        })
    }

    /// Checks the fields of the resource, and configures the module as the resource says.
    pub fn check(&self, name: &str, module: &[u8]) -> Report {
        proxy_wasm_check::check_deployment(&self.file, &self.text, name, module)
    }

    /// The text that is applied.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Validates it in the cluster, without changing anything. A diff would leave out unknown
    /// fields.
    ///
    /// # Errors
    ///
    /// If kubectl is missing, or if the cluster rejects it; kubectl has written why to standard
    /// error.
    pub fn validate(&self) -> Result<()> {
        let status = self.kubectl(
            &["apply", "--dry-run=server", "--filename", "-"],
            Stdio::null(),
        )?;
        ensure!(
            status.success(),
            "kubectl apply --dry-run=server failed: {status}; the lines above say why; nothing is changed"
        );
        Ok(())
    }

    /// Shows what applying it would change in the cluster. `false` if nothing.
    ///
    /// # Errors
    ///
    /// If kubectl is missing, or if the cluster rejects it; kubectl has written why to standard
    /// error.
    pub fn show_changes(&self) -> Result<bool> {
        let status = self.kubectl(&["diff", "--filename", "-"], Stdio::inherit())?;
        match status.code() {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            _ => {
                bail!("kubectl diff failed: {status}; the lines above say why; nothing is changed")
            }
        }
    }

    /// Applies it.
    ///
    /// # Errors
    ///
    /// If kubectl fails; it has written why to standard error.
    pub fn apply(&self) -> Result<()> {
        let status = self.kubectl(&["apply", "--filename", "-"], Stdio::inherit())?;
        ensure!(
            status.success(),
            "kubectl apply failed: {status}; the lines above say why"
        );
        Ok(())
    }

    fn kubectl(&self, arguments: &[&str], output: Stdio) -> Result<ExitStatus> {
        let mut process = Command::new("kubectl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output)
            .spawn()
            .context("cannot run kubectl; install it, and log in to the cluster")?;
        if let Some(mut input) = process.stdin.take() {
            // If kubectl ends without reading, its status is an error.
            let _ = input.write_all(self.text.as_bytes());
        }
        Ok(process.wait()?)
    }
}

/// The image to deploy: the given one, or that of the last push. If the given one is that of the
/// last push, it is named by its digest.
///
/// # Errors
///
/// If there is neither, or if it is not a reference with a registry.
pub fn image(given: Option<&str>, pushed: Option<Pushed>) -> Result<ImageReference> {
    match (given, pushed) {
        (Some(given), Some(pushed)) if given == pushed.image => {
            Ok(ImageReference::parse(&pushed.by_digest)?)
        }
        (Some(given), _) => Ok(ImageReference::parse(given)?),
        (None, Some(pushed)) => Ok(ImageReference::parse(&pushed.by_digest)?),
        (None, None) => bail!(
            "the image is missing; push it first, pass --image REGISTRY/TEAM/NAME:TAG, or set the variable IMAGE"
        ),
    }
}

/// The meshes for which there is a file. `envoy.yaml` is left out: it is not a Kubernetes resource.
fn meshes(directory: &Path) -> Result<Vec<String>> {
    let mut meshes = Vec::new();
    for entry in
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?
    {
        let path = entry?.path();
        if path.extension() == Some("yaml".as_ref())
            && let Some(name) = path.file_stem()
            && name != "envoy"
        {
            meshes.push(name.to_string_lossy().into_owned());
        }
    }
    meshes.sort();
    Ok(meshes)
}

/// Replaces the image that has the placeholder, outside comments.
fn with_image(text: &str, image: &str) -> Result<String> {
    let mut replaced = 0;
    let lines: Vec<_> = text
        .lines()
        .map(|line| {
            let Some(start) = line.find(PLACEHOLDER) else {
                return line.to_owned();
            };
            if line.trim_start().starts_with('#') {
                return line.to_owned();
            }
            replaced += 1;
            let (before, rest) = line.split_at(start);
            let end = rest.find([' ', '"', '\'']).unwrap_or(rest.len());
            let (_, after) = rest.split_at(end);
            format!("{before}{image}{after}")
        })
        .collect();
    ensure!(
        replaced == 1,
        "it contains {PLACEHOLDER} {replaced} times; write it once, in the field of the image"
    );
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn image_replaces_the_placeholder() -> Result<()> {
        let text = "# registry.example/team/a:1\nurl: \"oci://registry.example/team/a:1\" # mine\n";
        assert_eq!(
            with_image(text, "127.0.0.1:5000/b@sha256:00")?,
            "# registry.example/team/a:1\nurl: \"oci://127.0.0.1:5000/b@sha256:00\" # mine\n"
        );
        for text in [
            "",
            "a: registry.example/team/a\nb: registry.example/team/b\n",
        ] {
            assert!(with_image(text, "a.example/b").is_err());
        }
        Ok(())
    }

    #[test]
    fn image_that_was_pushed_is_named_by_its_digest() -> Result<()> {
        let by_digest = format!("registry.example/a@{DIGEST}");
        let pushed = || {
            Some(Pushed {
                image: "registry.example/a:1".to_owned(),
                by_digest: by_digest.clone(),
            })
        };
        for (given, pushed, expected) in [
            (None, pushed(), by_digest.as_str()),
            (Some("registry.example/a:1"), pushed(), &by_digest),
            (
                Some("registry.example/a:2"),
                pushed(),
                "registry.example/a:2",
            ),
            (Some("registry.example/a:1"), None, "registry.example/a:1"),
        ] {
            assert_eq!(image(given, pushed)?.as_str(), expected);
        }
        assert!(image(None, None).is_err());
        Ok(())
    }
}
