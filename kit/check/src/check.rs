//! The check of a path: a directory, an OCI layout or archive, or a module.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_image::read;
use proxy_wasm_module as module;

use crate::report::Report;
use crate::{image, manifest_file, module_file};

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
            image::root(report, &read::directory(path)?.into_iter().collect());
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
    let bytes = bounded(module, module::MAX_LENGTH)?;
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
