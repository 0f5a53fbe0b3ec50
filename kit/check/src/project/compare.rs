//! Compares the values in a file with the package and `manifest.yaml`.

use std::path::PathBuf;

use proxy_wasm_image::is_tag;

use super::description::ProjectDescription;
use crate::report::{Report, excerpt};
#[cfg(feature = "trial")]
use crate::trial::{self, TrialProblem, TrialSettings};
use crate::yaml::Node;

/// The values that the files under `deploy/` must have.
#[derive(Debug, Default)]
pub struct ProjectValues {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The phase in `manifest.yaml`.
    pub phase: Option<String>,
    /// The priority in `manifest.yaml`.
    pub priority: Option<String>,
    /// The module's path in `manifest.yaml`.
    pub module_path: Option<String>,
    /// The directory of the project, and that with the files of the image's root.
    pub directories: Option<(PathBuf, PathBuf)>,
}

impl ProjectValues {
    pub fn new(project: &ProjectDescription, manifest: &Node) -> Self {
        let value = |key| manifest.get(&[key]).and_then(Node::scalar);
        Self {
            name: project.name.to_owned(),
            version: project.version.to_owned(),
            phase: value("phase"),
            priority: value("priority"),
            module_path: value("module"),
            directories: Some((project.root.to_owned(), project.image_root.to_owned())),
        }
    }
}

/// The comparison of one file.
pub struct Comparison<'a> {
    pub report: &'a mut Report,
    pub expected: &'a ProjectValues,
    file: &'a str,
    /// Whether the file has something to compare.
    pub has_compared: bool,
    /// Whether names, images and the order of extensions have to agree with the project. What is
    /// deployed may be another version, and operators may change the order.
    pub compares_project: bool,
    /// The module, if it starts in the embedded proxy.
    #[cfg(feature = "trial")]
    pub module: Option<&'a [u8]>,
}

impl<'a> Comparison<'a> {
    pub fn new(report: &'a mut Report, file: &'a str, expected: &'a ProjectValues) -> Self {
        Self {
            report,
            expected,
            file,
            has_compared: false,
            compares_project: true,
            #[cfg(feature = "trial")]
            module: None,
        }
    }

    /// Reports an error at a value.
    pub fn error(&mut self, at: &Node, problem: impl Into<String>, remedy: impl Into<String>) {
        self.report
            .project_error(at.place(self.file), problem, remedy);
    }

    /// Reports a warning at a value.
    pub fn warning(&mut self, at: &Node, problem: impl Into<String>, remedy: impl Into<String>) {
        self.report.warning(at.place(self.file), problem, remedy);
    }

    /// Compares the value at a path with the one in `source`. `default` is the meaning of a missing
    /// value.
    pub fn value(
        &mut self,
        parent: &Node,
        path: &[&str],
        expected: &str,
        source: &str,
        default: Option<&str>,
    ) {
        if !self.compares_project {
            return;
        }
        let key = path.join(".");
        let remedy = format!("write {}: {expected}", path.last().unwrap_or(&""));
        match parent.get(path).filter(|node| node.is_set()) {
            Some(node) if node.is(expected) => {}
            Some(node) => {
                let problem = format!("{key} is {node}, but {source}");
                self.error(node, problem, remedy);
            }
            None if default == Some(expected) => {}
            None => self.error(parent, format!("{key} is missing, but {source}"), remedy),
        }
    }

    /// Compares a name with the name of the package.
    pub fn name(&mut self, parent: &Node, path: &[&str]) {
        let expected = self.expected;
        let source = format!("Cargo.toml has the name {:?}", expected.name);
        self.value(parent, path, &expected.name, &source, None);
    }

    /// Compares a mesh's phase with the phase in the manifest. `translate` returns the mesh's name
    /// of a phase, and `default` is the mesh's default.
    pub fn phase(
        &mut self,
        parent: &Node,
        path: &[&str],
        translate: impl Fn(&str) -> String,
        default: Option<&str>,
    ) {
        let expected = self.expected;
        if let Some(phase) = &expected.phase {
            let translated = translate(phase);
            let source = if translated == *phase {
                format!("manifest.yaml has {phase}")
            } else {
                format!("manifest.yaml has {phase}, which is {translated} here")
            };
            self.value(parent, path, &translated, &source, default);
        }
    }

    /// Compares a mesh's priority with the priority in the manifest.
    pub fn priority(&mut self, parent: &Node, path: &[&str]) {
        let expected = self.expected;
        if let Some(priority) = &expected.priority {
            let source = format!("manifest.yaml has {priority}");
            self.value(parent, path, priority, &source, None);
        }
    }

    /// Compares the repository and the tag of an image's reference, which has no scheme, with the
    /// name and the version of the package.
    pub fn image(&mut self, at: &Node, reference: &str) {
        if !self.compares_project {
            return;
        }
        let expected = self.expected;
        let (reference, has_digest) = match reference.split_once('@') {
            Some((reference, _)) => (reference, true),
            None => (reference, false),
        };
        let last = reference.rsplit('/').next().unwrap_or_default();
        let (repository, tag) = match last.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (last, None),
        };
        let ProjectValues { name, version, .. } = expected;
        if repository != name {
            self.error(
                at,
                format!(
                    "the image's repository ends in {}, but Cargo.toml has the name {name:?}",
                    excerpt(repository)
                ),
                format!("write …/{name}:{version}"),
            );
        }
        // A version with build metadata, such as 1.0.0+build, cannot be a tag.
        if !is_tag(version) {
            return;
        }
        match tag {
            Some(tag) if tag == version => {}
            None if has_digest => {}
            tag => {
                let has = match tag {
                    Some(tag) => format!("the image's tag is {}", excerpt(tag)),
                    None => "the image has neither tag nor digest".to_owned(),
                };
                self.error(
                    at,
                    format!("{has}, but Cargo.toml has the version {version:?}"),
                    format!("write …/{name}:{version}"),
                );
            }
        }
    }

    /// Configures the module with the configuration in the file.
    #[cfg(feature = "trial")]
    pub fn configure(&mut self, at: &Node, settings: Result<TrialSettings, TrialProblem>) {
        let Some(module) = self.module else {
            return;
        };
        let problem = match settings {
            Ok(settings) => {
                let (trial, problem) = trial::run(module, &settings);
                let not_tried = trial.not_tried.map(|why| TrialProblem {
                    is_error: false,
                    what: format!(
                        "whether the module accepts the configuration is not known: {why}"
                    ),
                    how: "try it in Envoy".to_owned(),
                });
                problem.or(not_tried)
            }
            Err(problem) => Some(problem),
        };
        match problem {
            Some(problem) if problem.is_error => self.error(at, problem.what, problem.how),
            Some(problem) => self.warning(at, problem.what, problem.how),
            None => {}
        }
    }
}
