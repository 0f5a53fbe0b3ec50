//! What an image says of itself: the annotations that people and registries look for.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::image::Annotations;
use crate::manifest::Manifest;
use crate::project::Project;

/// The annotation that tells Istio that an image is a container image with the module in a layer.
pub const VARIANT: &str = "module.wasm.image/variant";

/// The annotations of a package's image (OCI image specification, "Pre-Defined Annotation Keys";
/// the last one is Istio's), each only where the package says it.
///
/// The revision is that of a clean git work tree alone: what is not committed has no name. Nothing
/// here depends on the time, the machine or the folder, so the same commit gives the same ones.
pub fn annotations(project: &Project) -> Annotations {
    let package = project.package();
    let fields = [
        (
            "licenses",
            package.and_then(|package| package.license.clone()),
        ),
        (
            "source",
            package.and_then(|package| package.repository.clone()),
        ),
        ("revision", revision(project.root())),
    ];
    let mut annotations = of_manifest(&project.manifest);
    annotations.extend(named(fields));
    annotations
}

/// The annotations that a manifest alone gives.
pub fn of_manifest(manifest: &Manifest) -> Annotations {
    let fields = [
        ("title", manifest.name.clone()),
        ("version", manifest.version.clone()),
        ("description", manifest.description.clone()),
    ];
    named(fields)
        .chain([(VARIANT.to_owned(), "compat".to_owned())])
        .collect()
}

fn named(fields: [(&'static str, Option<String>); 3]) -> impl Iterator<Item = (String, String)> {
    fields
        .into_iter()
        .filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?)))
}

fn revision(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changes = git(&["status", "--porcelain", "."])?;
    if !changes.is_empty() {
        return None;
    }
    git(&["rev-parse", "--verify", "HEAD"])
}
