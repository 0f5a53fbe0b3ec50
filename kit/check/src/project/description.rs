//! The description of a project.

use std::path::Path;

/// A project to check: a Cargo package that builds an extension.
#[derive(Clone, Copy, Debug)]
pub struct ProjectDescription<'a> {
    /// The directory with `Cargo.toml`, `manifest.yaml` and `deploy/`.
    pub root: &'a Path,
    /// The directory with the files of the image's root.
    pub image_root: &'a Path,
    /// The name of the package.
    pub name: &'a str,
    /// The version of the package.
    pub version: &'a str,
    /// The description of the package.
    pub description: Option<&'a str>,
}
