//! A mesh told to use the extension: one of the files under `deploy/`, applied with kubectl.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use proxy_wasm_image::ImageReference;

/// What stands in the files where the image's registry and team are to be.
pub const PLACEHOLDER: &str = "registry.example/team/";

/// A file that can be applied.
#[derive(Debug)]
pub struct Deployment {
    text: String,
}

impl Deployment {
    /// Reads the file for a mesh from `folder`, and names the image in it.
    ///
    /// # Errors
    ///
    /// When there is no file for the mesh, when it does not name an image once, or when the image
    /// has no registry.
    pub fn read(folder: &Path, mesh: &str, image: &str) -> Result<Self> {
        ImageReference::parse(image).context("IMAGE names what was pushed")?;
        let file = folder.join(format!("{mesh}.yaml"));
        ensure!(
            meshes(folder)?.iter().any(|known| known == mesh),
            "there is no {}; MESH is one of {}",
            file.display(),
            meshes(folder)?.join(", ")
        );
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self {
            text: with_image(&text, image).with_context(|| format!("{}", file.display()))?,
        })
    }

    /// The text that is applied.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Shows what applying it would change in the cluster. `false` if nothing.
    ///
    /// # Errors
    ///
    /// When kubectl is missing, or when the cluster would not take it; kubectl has said why on
    /// standard error.
    pub fn show_changes(&self) -> Result<bool> {
        let status = self.kubectl(&["diff", "--filename", "-"])?;
        match status.code() {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            _ => {
                bail!("kubectl diff failed: {status}; the lines above say why, nothing is changed")
            }
        }
    }

    /// Applies it.
    ///
    /// # Errors
    ///
    /// When kubectl fails; it has said why on standard error.
    pub fn apply(&self) -> Result<()> {
        let status = self.kubectl(&["apply", "--filename", "-"])?;
        ensure!(
            status.success(),
            "kubectl apply failed: {status}; the lines above say why"
        );
        Ok(())
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<ExitStatus> {
        let mut process = Command::new("kubectl")
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot run kubectl; install it, and log in to the cluster")?;
        if let Some(mut input) = process.stdin.take() {
            // One that ends without reading says so by its status.
            let _ = input.write_all(self.text.as_bytes());
        }
        Ok(process.wait()?)
    }
}

/// The meshes that there is a file for. A plain Envoy's is not for kubectl.
fn meshes(folder: &Path) -> Result<Vec<String>> {
    let mut meshes = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
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

/// Puts an image in the place of the one that stands for it, outside comments.
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
        "it names an image of {PLACEHOLDER} {replaced} times; it has to be once, in place of yours"
    );
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_takes_its_place() -> Result<()> {
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
}
