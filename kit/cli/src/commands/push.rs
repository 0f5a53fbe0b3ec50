//! `cargo proxy-wasm push`.

use anyhow::Result;
use proxy_wasm_image::{ImageReference, Package};

use crate::cli::Packaging;
#[cfg(feature = "push")]
use crate::progress;
use crate::pushed::Pushed;
use crate::stdio::print_line;

/// Packages the staged files, and pushes them.
pub fn push(packaging: &Packaging, image: &str) -> Result<()> {
    let image = ImageReference::parse(image)?;
    let engine = packaging.engine()?;
    let staged = packaging.checked()?;
    let pushed = match engine {
        Some(engine) => {
            staged.build(engine, image.as_str())?;
            image.with_digest(&engine.push(&image)?)
        }
        None => push_without_engine(&staged.package(packaging.variant)?, &image)?,
    };
    if let Some(target) = staged.target() {
        Pushed::write(target, &image, &pushed)?;
    }
    print_line!("Pushed: {pushed}")?;
    Ok(())
}

#[cfg(feature = "push")]
fn push_without_engine(package: &Package, image: &ImageReference) -> Result<String> {
    use proxy_wasm_image::{credentials, push};

    let known = credentials::find(image, &credentials::files())?;
    Ok(push(package, image, known.as_ref(), progress::show)?)
}

#[cfg(not(feature = "push"))]
fn push_without_engine(_package: &Package, _image: &ImageReference) -> Result<String> {
    anyhow::bail!(
        "this build of cargo proxy-wasm has no registry client, so it needs a container engine to push; \
         install podman, or build it with the feature `push`"
    )
}
