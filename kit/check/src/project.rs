//! Checks a project: the files of its image, and whether the project's files agree.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use proxy_wasm_image::manifest;

use crate::check::{CheckOptions, check_with};
use crate::report::{ProjectFacts, Report};
use crate::yaml::{self, Node};
use compare::{Comparison, ProjectValues};
pub use description::ProjectDescription;

mod compare;
#[cfg(feature = "trial")]
mod configuration;
mod definitions;
mod description;
mod resources;
mod schema;

/// The maximum length of a file under `deploy/`, in bytes.
const MAX_LENGTH: u64 = 1 << 20;

/// The maximum number of files under `deploy/` that are read.
const MAX_FILES: usize = 100;

/// Checks the files of a project's image, and compares `manifest.yaml`, the package, and the
/// resources and filters in `deploy/*.yaml` with each other. With the feature `trial`, the module
/// is configured with the configuration in each of these files.
///
/// The last part of an image's repository must be the package's name, and its tag the package's
/// version. Files of other kinds are ignored.
pub fn check_project(project: &ProjectDescription, options: &CheckOptions) -> Report {
    let mut report = check_with(project.image_root, options);
    let Some(manifest) = read_manifest(&mut report, project) else {
        return report;
    };
    let expected = ProjectValues::new(project, &manifest);
    #[cfg(feature = "trial")]
    let module = startable_module(&report, project, &expected);
    compare_manifest(&mut report, project, &manifest);
    let mut files = Vec::new();
    for file in deploy_files(&mut report, project.root) {
        let Some(documents) = read(&mut report, project.root, &file) else {
            continue;
        };
        let mut comparison = Comparison::new(&mut report, &file, &expected);
        #[cfg(feature = "trial")]
        {
            comparison.module = module.as_deref();
        }
        for document in &documents {
            resources::compare(&mut comparison, document);
        }
        if comparison.has_compared {
            files.push(file);
        }
    }
    report.project = Some(ProjectFacts { files });
    report
}

/// Checks a file under `deploy/` that is about to be applied: the fields of its resources, and, with
/// the feature `trial`, whether the module accepts the configuration. If the
/// file has several extensions, the module is the one with this name.
///
/// Unlike [`check_project`], this compares neither names nor images nor the order of extensions with
/// the project.
pub fn check_deployment(file: &str, text: &str, name: &str, module: &[u8]) -> Report {
    let mut report = Report::default();
    #[cfg(not(feature = "trial"))]
    let _ = module;
    let expected = ProjectValues {
        name: name.to_owned(),
        ..ProjectValues::default()
    };
    if let Some(documents) = parse(&mut report, file, text) {
        let mut comparison = Comparison::new(&mut report, file, &expected);
        comparison.compares_project = false;
        #[cfg(feature = "trial")]
        {
            comparison.module = Some(module);
        }
        for document in &documents {
            resources::compare(&mut comparison, document);
        }
    }
    report
}

/// Reads the manifest. The check of the image has already reported its errors.
fn read_manifest(report: &mut Report, project: &ProjectDescription) -> Option<Node> {
    let mut documents = read(report, project.root, manifest::FILE_NAME)?;
    (!documents.is_empty()).then(|| documents.swap_remove(0))
}

fn compare_manifest(report: &mut Report, project: &ProjectDescription, manifest: &Node) {
    for (key, expected) in [("name", project.name), ("version", project.version)] {
        let Some(node) = manifest.get(&[key]).filter(|node| node.is_set()) else {
            continue;
        };
        if !node.is(expected) {
            report.project_error(
                node.place(manifest::FILE_NAME),
                format!("{key} is {node}, but {expected:?} in Cargo.toml"),
                format!("write {key}: {expected}"),
            );
        }
    }
    if let Some(expected) = project.description
        && let Some(node) = manifest.get(&["description"])
        && !node.is(expected)
    {
        report.warning(
            node.place(manifest::FILE_NAME),
            format!("description is {node}, but {expected:?} in Cargo.toml"),
            "write the same in both: the image gets the one in manifest.yaml",
        );
    }
}

/// The module, if the check of the image has started it.
#[cfg(feature = "trial")]
fn startable_module(
    report: &Report,
    project: &ProjectDescription,
    expected: &ProjectValues,
) -> Option<Vec<u8>> {
    let trial = report.module.as_ref()?.trial.as_ref()?;
    if trial.started != Some(true) {
        return None;
    }
    let path = project.image_root.join(expected.module_path.as_ref()?);
    std::fs::read(path).ok()
}

/// The YAML files in `deploy/`, sorted, by their paths in the project.
fn deploy_files(report: &mut Report, root: &Path) -> Vec<String> {
    let Ok(entries) = root.join("deploy").read_dir() else {
        // A project need not have any.
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
        .map(|name| format!("deploy/{name}"))
        .collect();
    files.sort();
    if files.len() > MAX_FILES {
        report.warning(
            "deploy",
            format!("it has {} YAML files", files.len()),
            format!("keep other files elsewhere: the first {MAX_FILES} are compared"),
        );
        files.truncate(MAX_FILES);
    }
    files
}

/// The documents of a YAML file in the project, or a finding.
fn read(report: &mut Report, root: &Path, file: &str) -> Option<Vec<Node>> {
    let mut text = String::new();
    let read = File::open(root.join(file))
        .and_then(|opened| opened.take(MAX_LENGTH + 1).read_to_string(&mut text));
    if let Err(error) = read {
        report.project_error(
            file,
            format!("it cannot be read: {error}"),
            "make it a readable file with UTF-8 text",
        );
        return None;
    }
    if text.len() as u64 > MAX_LENGTH {
        let problem = format!("it is longer than {MAX_LENGTH} bytes");
        report.project_error(file, problem, "keep it shorter");
        return None;
    }
    parse(report, file, &text)
}

/// The documents of a YAML text, or a finding.
fn parse(report: &mut Report, file: &str, text: &str) -> Option<Vec<Node>> {
    match yaml::documents(file, text) {
        Ok(documents) => Some(documents),
        Err((place, problem)) => {
            report.project_error(
                place,
                format!("it is not YAML: {problem}"),
                "fix it, or move it out of deploy/ if it is a template for another tool",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests;
