//! The files of an image's root directory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use proxy_wasm_image::ISTIO_MODULE;
use proxy_wasm_image::manifest;

/// Writes exactly these files into an empty directory: the module at the path in its manifest, a
/// copy of it for Istio and Envoy Gateway, and the manifest.
///
/// # Errors
///
/// If the manifest cannot be read, or a file cannot be written.
pub fn write_image_files(
    root: &Path,
    module: &[u8],
    module_path: &str,
    manifest: &Path,
) -> Result<()> {
    let module_path = root.join(module_path);
    if let Some(parent) = module_path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(module_path, module)?;
    fs::write(root.join(ISTIO_MODULE), module)?;
    fs::copy(manifest, root.join(manifest::FILE_NAME))
        .with_context(|| format!("cannot copy {}", manifest.display()))?;
    make_readable(root)
}

/// Only the owner can read a temporary directory, but container engines may run as another user.
#[cfg(unix)]
fn make_readable(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(
        directory,
        fs::Permissions::from_mode(0o755),
    )?)
}

#[cfg(not(unix))]
fn make_readable(_directory: &Path) -> Result<()> {
    Ok(())
}
