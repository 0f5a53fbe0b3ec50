//! The check of a path: a directory, an OCI layout or archive, or a module.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_image::read;
use proxy_wasm_module as module;

use crate::error::Error;
use crate::report::Report;
use crate::{image, manifest_file, module_file};

/// Checks what is at a path: a directory with the files of an image's root, an OCI layout, an OCI
/// archive, or a module with its manifest. The manifest of a module is the file `manifest`, or else
/// the `manifest.yaml` beside it.
///
/// If the path cannot be read, that is a finding, like anything else that would go wrong.
pub fn check(path: &Path, manifest: Option<&Path>) -> Report {
    let mut report = Report::default();
    if let Err(error) = checked(&mut report, path, manifest) {
        report.error(
            path.display().to_string(),
            error.to_string(),
            "give a directory, an OCI layout or archive, or a .wasm file with its manifest.yaml",
        );
    }
    report
}

/// Checks the text of a manifest. Returns the manifest, too, if a mesh would read it.
pub fn check_manifest(bytes: &[u8]) -> (Report, Option<Manifest>) {
    let mut report = Report::default();
    let manifest = manifest_file::check(&mut report, manifest::FILE_NAME, bytes);
    (report, manifest)
}

/// Checks the bytes of a module.
pub fn check_module(bytes: &[u8]) -> Report {
    let mut report = Report::default();
    module_file::check(&mut report, "module", bytes);
    report
}

fn checked(report: &mut Report, path: &Path, manifest: Option<&Path>) -> Result<(), Error> {
    let kind = fs::metadata(path)?;
    if kind.is_dir() {
        if read::is_layout(path) {
            image::image(report, &read::layout(path)?);
        } else {
            image::root(report, &read::directory(path)?.into_iter().collect());
        }
        return Ok(());
    }
    if !kind.is_file() {
        return Err(Error::NotADirectoryOrFile);
    }
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

fn module_and_manifest(report: &mut Report, module: &Path, manifest: &Path) -> Result<(), Error> {
    let manifest_place = manifest.display().to_string();
    match read_file(manifest, manifest_file::MAX_LENGTH) {
        Ok(bytes) => {
            if let Some(manifest) = manifest_file::check(report, &manifest_place, &bytes) {
                let name = module.file_name().unwrap_or_default();
                if Path::new(&manifest.module).file_name() != Some(name) {
                    report.warning(
                        &manifest_place,
                        format!(
                            "module is {:?}, and the checked module is {:?}",
                            manifest.module,
                            name.to_string_lossy()
                        ),
                        "make sure that the image has the module under the manifest's name",
                    );
                }
            }
        }
        Err(error) => report.error(
            &manifest_place,
            error.to_string(),
            "put the manifest beside the module, or name it with --manifest",
        ),
    }
    let bytes = read_file(module, module::MAX_LENGTH)?;
    module_file::check(report, &module.display().to_string(), &bytes);
    Ok(())
}

/// The bytes of a regular file that is not longer than `max_length`.
fn read_file(path: &Path, max_length: u64) -> Result<Vec<u8>, Error> {
    if !fs::metadata(path)?.is_file() {
        return Err(Error::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(max_length + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_length {
        return Err(Error::TooLong { max_length });
    }
    Ok(bytes)
}
