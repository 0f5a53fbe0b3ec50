//! The manifest format: what Maistra reads from an extension's image.

use std::fs;
use std::path::{Component, Path};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// The file's name at the image's root.
pub const FILE_NAME: &str = "manifest.yaml";

/// A manifest that has been checked: see [`Manifest::parse`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format. There is only 1.
    pub schema_version: u32,
    /// The extension's name, and so its image's.
    pub name: Option<String>,
    /// What the extension does, in a line.
    pub description: Option<String>,
    /// The extension's version, and so its image's tag.
    pub version: Option<String>,
    /// Where in the proxy's chain of filters the extension runs.
    pub phase: Phase,
    /// The order among the extensions of one phase: the higher one comes first.
    pub priority: i32,
    /// The module's path, relative to the image's root.
    pub module: String,
}

/// The places in the proxy's chain of filters that Maistra offers.
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
    /// Before the collection of statistics.
    PreStats,
    /// After the collection of statistics.
    PostStats,
}

/// The names of the phases, in the order in which a request meets them.
pub const PHASES: [&str; 6] = [
    "PreAuthN",
    "PostAuthN",
    "PreAuthZ",
    "PostAuthZ",
    "PreStats",
    "PostStats",
];

/// Whether a module's path is relative to the image's root and stays inside it.
pub fn stays_inside(module: &str) -> bool {
    // A trailing `/` or `/.` would vanish among the components.
    !module.is_empty()
        && !module.ends_with(['/', '.'])
        && Path::new(module)
            .components()
            .all(|component| matches!(component, Component::Normal(_)))
}

impl Manifest {
    /// Reads a manifest's text and checks it: `schemaVersion`, `phase`, `priority` and `module`
    /// have to be there and valid, and `module` has to stay inside the image.
    ///
    /// # Errors
    ///
    /// What is wrong, with its line and column where the text itself is.
    pub fn parse(yaml: &str) -> Result<Self> {
        let manifest: Self = serde_saphyr::from_str(yaml)?;
        ensure!(
            manifest.schema_version == 1,
            "schemaVersion is {}; the only one there is is 1",
            manifest.schema_version
        );
        if !stays_inside(&manifest.module) {
            bail!(
                "module is {:?}; write a path relative to the image's root, without `..`",
                manifest.module
            );
        }
        Ok(manifest)
    }

    /// Reads and checks a manifest file.
    ///
    /// # Errors
    ///
    /// As [`Manifest::parse`], and when the file can't be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not valid", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "schemaVersion: 1\nname: a\ndescription: b\nversion: 1.0.0\n\
                         phase: PreStats\npriority: -3\nmodule: extension.wasm\n";

    fn error(from: &str, to: &str) -> String {
        assert!(VALID.contains(from));
        let text = VALID.replace(from, to);
        format!("{:#}", Manifest::parse(&text).expect_err(&text))
    }

    #[test]
    fn a_valid_manifest() -> Result<()> {
        let manifest = Manifest::parse(VALID)?;
        assert_eq!(manifest.phase, Phase::PreStats);
        assert_eq!(manifest.priority, -3);
        assert_eq!(manifest.module, "extension.wasm");
        Ok(())
    }

    #[test]
    fn metadata_may_be_missing() {
        let text = VALID.replace("name: a\ndescription: b\nversion: 1.0.0\n", "");
        Manifest::parse(&text).expect("valid without metadata");
    }

    #[test]
    fn what_is_required_is_named() {
        for (line, key) in [
            ("schemaVersion: 1\n", "schemaVersion"),
            ("phase: PreStats\n", "phase"),
            ("priority: -3\n", "priority"),
            ("module: extension.wasm\n", "module"),
        ] {
            let error = error(line, "");
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(error("schemaVersion: 1", "schemaVersion: 2").contains("the only one there is"));
        assert!(error("PreStats", "Sometimes").contains("PostAuthN"));
        assert!(error("-3", "soon").contains("line 6"));
        assert!(error("name: a", "nmae: a").contains("nmae"));
        assert!(error("name: a", "name: a\nname: b").contains("name"));
    }

    #[test]
    fn a_module_stays_in_the_image() {
        for path in [
            "/extension.wasm",
            "../extension.wasm",
            "a/../../b",
            "a/",
            "''",
        ] {
            assert!(error("extension.wasm", path).contains("relative"), "{path}");
        }
    }
}
