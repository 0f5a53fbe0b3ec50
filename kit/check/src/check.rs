//! Checks a path: a directory, an OCI layout or archive, or a module.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_image::read;
use proxy_wasm_module as module;

use crate::consumers::{self, ModuleSource};
use crate::error::Error;
use crate::report::Report;
use crate::{image, manifest_file, module_file};

/// The options of a check.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CheckOptions {
    /// The manifest for packaging a module. It is checked, too.
    pub manifest: Option<PathBuf>,
    /// The configuration for trying modules. Without it, modules are only started.
    #[cfg(feature = "trial")]
    pub configuration: Option<Vec<u8>>,
    /// The plugin's root ID for trying modules. `None` if it is not known.
    #[cfg(feature = "trial")]
    pub root_id: Option<String>,
}

/// Checks a path: see [`check_with`].
pub fn check(path: &Path, manifest: Option<&Path>) -> Report {
    let manifest = manifest.map(Path::to_owned);
    check_with(
        path,
        &CheckOptions {
            manifest,
            ..CheckOptions::default()
        },
    )
}

/// Checks a path: a directory with the files of an image's root, an OCI layout, an OCI archive, an
/// archive of `docker save` or `podman save`, or a module.
///
/// A module in a file is checked without an image, for all consumers.
///
/// A path that cannot be read is a finding, like any other problem.
pub fn check_with(path: &Path, options: &CheckOptions) -> Report {
    let mut report = Report::default();
    #[cfg(feature = "trial")]
    {
        let settings = &mut report.trials.settings;
        settings.configuration.clone_from(&options.configuration);
        settings.root_id.clone_from(&options.root_id);
    }
    if let Err(error) = checked(&mut report, path, options.manifest.as_deref()) {
        let place = path.display().to_string();
        if let Error::Image(proxy_wasm_image::Error::Limit(problem)) = &error {
            let remedy =
                "unpack a compressed archive with gunzip; leave out what no proxy or mesh reads";
            report.not_checked(&consumers::all(), place, problem, remedy);
            return report.conclude();
        }
        let remedy = match error {
            Error::Image(proxy_wasm_image::Error::Platform { .. }) => {
                "build for --platform linux/amd64, on any machine: meshes select this image from an \
                 index; or push an image without an index"
            }
            Error::TooLong { .. } => "make it smaller: this is a limit of V8 in Envoy",
            _ => "pass a directory, an OCI layout or archive, or a .wasm file",
        };
        report.error(&consumers::all(), place, error.to_string(), remedy);
    }
    report.conclude()
}

/// Checks the text of a manifest. Also returns the manifest, if it is valid.
pub fn check_manifest(bytes: &[u8]) -> (Report, Option<Manifest>) {
    let mut report = Report::default();
    manifest_file::check(&mut report, manifest::FILE_NAME, bytes);
    let manifest = manifest_file::parse(&report, bytes);
    (report, manifest)
}

/// Checks the bytes of a module.
pub fn check_module(bytes: &[u8]) -> Report {
    let mut report = Report::default();
    bare_module(&mut report, "module", bytes);
    report.conclude()
}

fn checked(report: &mut Report, path: &Path, manifest: Option<&Path>) -> Result<(), Error> {
    let kind = fs::metadata(path)?;
    if kind.is_dir() {
        if read::is_layout(path) {
            image::image(report, &read::layout(path)?);
        } else {
            image::directory(report, &read::directory(path)?);
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
        if let Some(manifest) = manifest {
            manifest_of_module(report, path, manifest);
        }
        let place = path.display().to_string();
        module_file::check_length(report, &consumers::all(), &place, kind.len());
        let bytes = read_file(path, module::MAX_LENGTH)?;
        bare_module(report, &place, &bytes);
    } else {
        image::image(report, &read::archive(path)?);
    }
    Ok(())
}

/// Checks a module in a file, for all consumers.
fn bare_module(report: &mut Report, place: &str, bytes: &[u8]) {
    let readers = consumers::all();
    let oldest = module_file::check(report, &readers, place, bytes);
    report.read(&readers, place, oldest);
}

/// Checks the manifest for packaging a module.
fn manifest_of_module(report: &mut Report, module: &Path, manifest: &Path) {
    let place = manifest.display().to_string();
    match read_file(manifest, manifest_file::MAX_LENGTH) {
        Ok(bytes) => {
            let Some(path) = manifest_file::check(report, &place, &bytes) else {
                return;
            };
            let name = module.file_name().unwrap_or_default();
            if Path::new(&path).file_name() != Some(name) {
                report.warning(
                    place,
                    format!(
                        "module is {path:?}, but the checked module is {:?}",
                        name.to_string_lossy()
                    ),
                    "make sure that the image has the module under the name in the manifest",
                );
            }
        }
        Err(error) => report.error(
            &consumers::reading(ModuleSource::Manifest),
            place,
            error.to_string(),
            "pass a manifest.yaml with --manifest, or leave the option out",
        ),
    }
}

/// Reads a regular file of at most `max_length` bytes.
fn read_file(path: &Path, max_length: u64) -> Result<Vec<u8>, Error> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile);
    }
    if metadata.len() > max_length {
        return Err(Error::TooLong { max_length });
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
