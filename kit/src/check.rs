//! Says everything that would go wrong with an extension in a mesh, before the mesh does.
//!
//! An error is what no present proxy or mesh takes; a warning is what some do not take, or what
//! few mean. Findings are data: a person reads them one a line, and a machine as JSON.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::image::read::{self, Entry};
use crate::manifest::{self, Manifest};
use crate::module;

mod image;
mod manifest_file;
mod module_file;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No present proxy or mesh takes it.
    Error,
    /// Some do not take it, or it is hardly meant.
    Warning,
}

/// One thing that would go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is: a file, with line and column if it has any; or a part of the image.
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong.
    #[serde(rename = "what")]
    pub problem: String,
    /// How to mend it.
    #[serde(rename = "how")]
    pub remedy: String,
}

/// `error: manifest.yaml:5:8: phase is missing; write one of …`
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        // What was read may hold line breaks and escape sequences; a finding is one line of text.
        let line = format!("{}: {}; {}", self.place, self.problem, self.remedy);
        write!(formatter, "{severity}: ")?;
        for character in line.chars() {
            if character.is_control() {
                write!(formatter, "{}", character.escape_default())?;
            } else {
                write!(formatter, "{character}")?;
            }
        }
        Ok(())
    }
}

/// What a consumer would read from the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// The consumer: Maistra or Istio.
    pub consumer: &'static str,
    /// The module's path.
    pub path: String,
    /// The module's size in bytes.
    pub bytes: usize,
    /// The module's digest, `sha256:…`.
    pub digest: String,
}

impl Reading {
    fn new(consumer: &'static str, path: &str, module: &[u8]) -> Self {
        Self {
            consumer,
            path: path.to_owned(),
            bytes: module.len(),
            digest: format!("sha256:{:x}", Sha256::digest(module)),
        }
    }
}

/// The facts of the module that meshes read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModuleFacts {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// The ABI versions that it speaks.
    pub abi: Vec<String>,
    /// The callbacks that it exports.
    pub callbacks: Vec<String>,
    /// The WebAssembly proposals that it needs.
    pub proposals: Vec<&'static str>,
    /// The oldest proxies that load it.
    pub oldest: &'static str,
    /// The memory that it starts with, in bytes.
    pub memory: Option<u64>,
    /// What its memory can grow to, in bytes; `None` without a bound.
    pub memory_bound: Option<u64>,
}

/// Everything that a check found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What would go wrong, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// The facts of the module, if there is a valid one.
    pub module: Option<ModuleFacts>,
    /// What each consumer would read.
    pub reads: Vec<Reading>,
}

impl Report {
    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }

    fn error(
        &mut self,
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity: Severity::Error,
            place: place.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    fn warning(
        &mut self,
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity: Severity::Warning,
            place: place.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }
}

/// The findings, one a line, then the facts.
impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        for finding in &self.findings {
            writeln!(formatter, "{finding}")?;
        }
        if let Some(module) = &self.module {
            writeln!(
                formatter,
                "Module:  {}, {} bytes, ABI {}, {} callbacks",
                module.path.escape_debug(),
                module.bytes,
                module.abi.join(" and ").escape_debug(),
                module.callbacks.len()
            )?;
            let needs = if module.proposals.is_empty() {
                "nothing beyond the first WebAssembly".to_owned()
            } else {
                module.proposals.join(", ")
            };
            writeln!(formatter, "Needs:   {needs}")?;
            writeln!(formatter, "Loads:   from {} on", module.oldest)?;
            if let Some(memory) = module.memory {
                let bound = module.memory_bound.map_or_else(
                    || "without a bound".to_owned(),
                    |bound| format!("up to {bound} bytes"),
                );
                writeln!(
                    formatter,
                    "Memory:  {memory} bytes at the start of each VM, {bound}"
                )?;
            }
        }
        for reading in &self.reads {
            writeln!(
                formatter,
                "{:<9}reads /{}, {} bytes, {}",
                format!("{}:", reading.consumer),
                reading.path.escape_debug(),
                reading.bytes,
                reading.digest
            )?;
        }
        let counted = |count: usize, what: &str| {
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} {what}{plural}")
        };
        write!(
            formatter,
            "Checked: {}, {}",
            counted(self.errors(), "error"),
            counted(self.warnings(), "warning")
        )
    }
}

/// Checks what `path` names: a folder that holds what an image's root holds, an OCI layout, an OCI
/// archive, or a module with its manifest. The manifest of a module is the file that `manifest`
/// names, or the `manifest.yaml` beside it.
///
/// What can't be read is a finding, like anything else that would go wrong.
pub fn check(path: &Path, manifest: Option<&Path>) -> Report {
    let mut report = Report::default();
    if let Err(error) = checked(&mut report, path, manifest) {
        report.error(
            path.display().to_string(),
            format!("{error:#}"),
            "give a folder, an OCI layout or archive, or a .wasm file with its manifest.yaml",
        );
    }
    report
}

/// Checks a manifest's text, and gives the manifest if a mesh would read it.
pub fn manifest(bytes: &[u8]) -> (Report, Option<Manifest>) {
    let mut report = Report::default();
    let manifest = manifest_file::check(&mut report, manifest::FILE_NAME, bytes);
    (report, manifest)
}

/// Checks a module's bytes.
pub fn module(bytes: &[u8]) -> Report {
    let mut report = Report::default();
    module_file::check(&mut report, "module", bytes);
    report
}

fn checked(report: &mut Report, path: &Path, manifest: Option<&Path>) -> Result<()> {
    let kind = fs::metadata(path).context("cannot be read")?;
    if kind.is_dir() {
        if read::is_layout(path) {
            image::image(report, &read::layout(path)?);
        } else {
            image::root(report, &read::folder(path)?.into_iter().collect());
        }
        return Ok(());
    }
    ensure!(kind.is_file(), "is neither a folder nor a file");
    let mut start = Vec::new();
    File::open(path)?
        .take(module::MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    let named_wasm = path
        .extension()
        .is_some_and(|extension| extension == "wasm");
    if named_wasm || start == module::MAGIC {
        let beside = path.with_file_name(manifest::FILE_NAME);
        module_and_manifest(report, path, manifest.unwrap_or(&beside))
    } else {
        image::image(report, &read::archive(path)?);
        Ok(())
    }
}

fn module_and_manifest(report: &mut Report, module: &Path, manifest: &Path) -> Result<()> {
    let manifest_place = manifest.display().to_string();
    match bounded(manifest, manifest_file::LONGEST) {
        Ok(bytes) => {
            if let Some(manifest) = manifest_file::check(report, &manifest_place, &bytes) {
                let name = module.file_name().unwrap_or_default();
                if Path::new(&manifest.module).file_name() != Some(name) {
                    report.warning(
                        &manifest_place,
                        format!(
                            "module is {:?}, and the module at hand is {:?}",
                            manifest.module,
                            name.to_string_lossy()
                        ),
                        "see that the image holds the module under the manifest's name",
                    );
                }
            }
        }
        Err(error) => report.error(
            &manifest_place,
            format!("{error:#}"),
            "put the manifest beside the module, or name it with --manifest",
        ),
    }
    let bytes = bounded(module, module::LONGEST)?;
    module_file::check(report, &module.display().to_string(), &bytes);
    Ok(())
}

/// The bytes of a regular file that is no longer than `longest`.
fn bounded(path: &Path, longest: u64) -> Result<Vec<u8>> {
    let kind = fs::metadata(path).context("cannot be read")?;
    ensure!(kind.is_file(), "is no regular file");
    let mut bytes = Vec::new();
    File::open(path)
        .context("cannot be read")?
        .take(longest + 1)
        .read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= longest,
        "is longer than {longest} bytes"
    );
    Ok(bytes)
}

/// Why an entry of an image can't be read as a file.
fn no_file(entry: &Entry) -> Option<String> {
    match entry {
        Entry::File(_) => None,
        Entry::Folder => Some("is a folder".to_owned()),
        Entry::Link { target } => Some(format!("is a link to {target:?}")),
        Entry::Special => Some("is a device, a pipe, a socket or a sparse file".to_owned()),
    }
}

/// A text from outside, quoted for a finding: escaped, and not longer than a line can take.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
