//! OCI annotations of a package's image.

use std::path::Path;
use std::process::{Command, Stdio};

use proxy_wasm_image::Annotations;

use crate::project::Project;

/// The annotations of a package's image: those of its manifest, and the package's license, source
/// and revision, if it has them.
///
/// The revision is set only if the git work tree is clean. No annotation depends on the time, the
/// machine or the directory, so the same commit has the same annotations.
pub fn of_project(project: &Project) -> Annotations {
    let package = project.package.package();
    let fields = [
        ("licenses", package.license.clone()),
        ("source", package.repository.clone()),
        ("revision", revision(project.package.root())),
    ];
    let mut all = project.manifest.annotations();
    all.extend(
        fields
            .into_iter()
            .filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?))),
    );
    all
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
