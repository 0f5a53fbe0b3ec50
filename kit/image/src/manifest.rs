//! `manifest.yaml`, which Maistra reads from an extension's image.

use std::fs;
use std::path::{Component, Path};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_saphyr::{MessageFormatter, UserMessageFormatter};

use crate::annotations::{Annotations, VARIANT};
use crate::error::{Error, Result};

/// The file's name at the image's root.
pub const FILE_NAME: &str = "manifest.yaml";

/// A valid manifest: see [`Manifest::parse`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of this format, which is 1.
    pub schema_version: u32,
    /// The name of the extension and its image.
    pub name: Option<String>,
    /// A one-line description of the extension.
    pub description: Option<String>,
    /// The version of the extension, and the tag of its image.
    pub version: Option<String>,
    /// Where in the proxy's filter chain the extension runs.
    pub phase: Phase,
    /// The order among the extensions of one phase: the higher priority runs first.
    #[serde(deserialize_with = "priority")]
    pub priority: i32,
    /// The module's path, relative to the image's root.
    pub module: String,
}

/// Deserializes the priority. The error says which values are valid.
fn priority<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<i32, D::Error> {
    i32::deserialize(deserializer).map_err(|_| {
        D::Error::custom(format!(
            "priority is not an integer from {} to {}; write one",
            i32::MIN,
            i32::MAX
        ))
    })
}

/// A phase of Maistra: a position in the proxy's filter chain.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Phase {
    /// Before authentication.
    PreAuthN,
    /// After authentication.
    PostAuthN,
    /// Before authorization.
    PreAuthZ,
    /// After authorization.
    PostAuthZ,
    /// Before statistics are collected.
    PreStats,
    /// After statistics are collected.
    PostStats,
}

/// The names of the phases, in the order in which a request passes through them.
pub const PHASES: [&str; 6] = [
    "PreAuthN",
    "PostAuthN",
    "PreAuthZ",
    "PostAuthZ",
    "PreStats",
    "PostStats",
];

/// Whether a module's path is relative to the image's root and stays below it.
pub fn is_inside_image(module: &str) -> bool {
    // The components of a path do not show a trailing `/` or `/.`.
    !module.is_empty()
        && !module.ends_with(['/', '.'])
        && Path::new(module)
            .components()
            .all(|component| matches!(component, Component::Normal(_)))
}

impl Manifest {
    /// Parses a manifest.
    ///
    /// `schemaVersion`, `phase`, `priority` and `module` are required. Unknown keys are rejected.
    ///
    /// # Errors
    ///
    /// [`Error::Manifest`], with line and column if they are known.
    pub fn parse(yaml: &str) -> Result<Self> {
        Self::parse_file(yaml, FILE_NAME)
    }

    /// Reads and parses a manifest file.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file cannot be read, and [`Error::Manifest`] as [`Manifest::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
        Self::parse_file(&text, &path.display().to_string())
    }

    fn parse_file(yaml: &str, file: &str) -> Result<Self> {
        let invalid = |problem: String| Error::Manifest {
            place: file.to_owned(),
            problem,
        };
        let manifest: Self = serde_saphyr::from_str(yaml).map_err(|error| {
            let problem = UserMessageFormatter.format_message(error.without_snippet());
            Error::Manifest {
                place: match error.location() {
                    Some(at) => format!("{file}:{}:{}", at.line(), at.column()),
                    None => file.to_owned(),
                },
                problem: problem.into_owned(),
            }
        })?;
        if manifest.schema_version != 1 {
            let version = manifest.schema_version;
            return Err(invalid(format!(
                "schemaVersion is {version}; write 1, the only version of this format"
            )));
        }
        if !is_inside_image(&manifest.module) {
            return Err(invalid(format!(
                "module is {:?}; write a path relative to the image's root, without `..`",
                manifest.module
            )));
        }
        Ok(manifest)
    }

    /// The annotations of the extension's image: title, version and description, if the manifest
    /// has them, and [`VARIANT`].
    pub fn annotations(&self) -> Annotations {
        [
            ("title", &self.name),
            ("version", &self.version),
            ("description", &self.description),
        ]
        .into_iter()
        .filter_map(|(key, value)| {
            let value = value.clone()?;
            Some((format!("org.opencontainers.image.{key}"), value))
        })
        .chain([(VARIANT.to_owned(), "compat".to_owned())])
        .collect()
    }
}

#[cfg(test)]
mod tests;
