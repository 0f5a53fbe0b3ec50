//! The image that each container engine builds, and the image that the toolkit writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::id;
use std::time::Duration;

use anyhow::{Context, Result};
use proxy_wasm_e2e::pulled::{Archive, Files, copy_out};
use proxy_wasm_e2e::{
    copy, deployed, image_root, module_path, name, run, start_upstream, template, toolkit,
};
use proxy_wasm_image::manifest::Manifest;
use proxy_wasm_image::{Package, WasmConfig};
use proxy_wasm_test::envoy::Envoy;
use proxy_wasm_test::http;
use serde_json::Value;

/// The files of the image's root.
fn expected() -> Result<Files> {
    let module = fs::read(module_path())?;
    let manifest = fs::read(template().join("manifest.yaml"))?;
    Ok(Files::from([
        ("extension.wasm".to_owned(), module.clone()),
        ("manifest.yaml".to_owned(), manifest),
        ("plugin.wasm".to_owned(), module),
    ]))
}

/// The image that the toolkit writes without an engine.
fn package() -> Result<Package> {
    let manifest = Manifest::read(&template().join("manifest.yaml"))?;
    Ok(Package::compat(image_root(), &manifest.annotations())?)
}

/// Runs `cargo proxy-wasm image` in a project with staged files, and returns its output, by label.
fn print_image(project: &Path, arguments: &[&str]) -> Result<BTreeMap<String, String>> {
    let arguments = [&["image"], arguments].concat();
    let printed = copy::command(project, &toolkit().to_string_lossy(), &arguments)?;
    Ok(printed
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(label, value)| (label.to_owned(), value.trim().to_owned()))
        .collect())
}

/// What an engine lists about an image. It may list an image several times, once for each name.
fn list(engine: &str, format: &str, image: &str) -> Result<String> {
    let arguments = ["images", "--no-trunc", "--format", format, image];
    let listed = run(engine, &arguments)?;
    Ok(listed.lines().next().unwrap_or_default().to_owned())
}

/// Builds the template's image with an engine, and returns its name and the image ID.
fn build_with(engine: &str) -> Result<(String, String)> {
    let _ = image_root();
    // podman and buildah share their storage, so the images have different names.
    let image = format!("localhost/test-{engine}:{}", id());
    let printed = print_image(template(), &["--engine", engine, "--image", &image])?;
    assert_eq!(
        printed["Image"],
        format!("{image} (in {engine}'s storage)"),
        "{printed:?}"
    );
    // There is no digest yet: an engine compresses the layers when it pushes the image.
    assert_eq!(printed.get("Digest"), None, "{printed:?}");
    let listed = list(engine, "{{.ID}}", &image)?;
    assert_eq!(printed["Image ID"], listed);
    Ok((image, listed))
}

/// Asserts that Envoy serves the module of an image.
fn assert_serves(files: &Files) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let module = directory.path().join("from-image.wasm");
    fs::write(&module, &files["extension.wasm"])?;
    let configuration = deployed::configuration(template())?;
    let envoy = Envoy::start(&module, &configuration, start_upstream()?)?;
    let response = http::get(&envoy.url("/"))?;
    assert_eq!(response.status, 200);
    deployed::assert_configured(&response);
    Ok(())
}

/// The digests of an image's uncompressed layers, from its configuration.
fn diff_ids(engine: &str, image: &str) -> Result<String> {
    let format = if engine == "buildah" {
        "{{range .OCIv1.RootFS.DiffIDs}}{{.}} {{end}}"
    } else {
        "{{range .RootFS.Layers}}{{.}} {{end}}"
    };
    run(
        engine,
        &["inspect", "--type", "image", "--format", format, image],
    )
}

#[test]
fn manifest_agrees_with_the_cargo_package() -> Result<()> {
    let manifest = Manifest::read(&template().join("manifest.yaml"))?;
    let package = cargo_package()?;
    assert_eq!(manifest.name.as_deref(), package["name"].as_str());
    assert_eq!(manifest.version.as_deref(), package["version"].as_str());
    assert_eq!(
        manifest.description.as_deref(),
        package["description"].as_str()
    );
    Ok(())
}

/// The template's Cargo metadata.
fn cargo_package() -> Result<Value> {
    let path = template().join("Cargo.toml");
    let path = path.to_string_lossy();
    let arguments = ["metadata", "--no-deps", "--format-version=1"];
    let arguments = [&arguments[..], &["--manifest-path", &path]].concat();
    let mut metadata: Value = serde_json::from_str(&run("cargo", &arguments)?)?;
    Ok(metadata["packages"][0].take())
}

#[test]
fn archive_contains_the_image_files_and_envoy_serves_the_module() -> Result<()> {
    let package = package()?;
    let archive = package.to_archive("localhost/a:1")?;
    assert_eq!(archive, package.to_archive("localhost/a:1")?);

    let directory = tempfile::tempdir()?;
    let path = directory.path().join("image.tar");
    fs::write(&path, archive)?;
    let files = Archive::read(&path)?.layer_files()?;
    assert_eq!(files, expected()?);
    assert_serves(&files)
}

#[test]
#[cfg_attr(missing_skopeo, ignore = "needs skopeo: install it")]
fn skopeo_reports_the_digest_that_the_command_prints() -> Result<()> {
    let _ = image_root();
    let printed = print_image(template(), &["--engine", "none"])?;
    let (archive, _) = printed["Image"].split_once(' ').context("no path")?;
    let source = format!("oci-archive:{}", template().join(archive).display());
    assert_eq!(
        run("skopeo", &["inspect", "--format", "{{.Digest}}", &source])?,
        printed["Digest"]
    );
    assert_eq!(printed.get("Image ID"), None);
    Ok(())
}

#[test]
#[cfg_attr(missing_podman, ignore = "needs podman: install it")]
fn maistra_reads_the_image_that_podman_builds() -> Result<()> {
    let (image, _) = build_with("podman")?;
    let files = copy_out("podman", &image)?;
    run("podman", &["rmi", &image])?;
    assert_eq!(files, expected()?);
    assert_serves(&files)
}

#[test]
#[cfg_attr(missing_buildah, ignore = "needs buildah: install it")]
fn istio_reads_the_image_that_buildah_builds() -> Result<()> {
    let (image, _) = build_with("buildah")?;
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("image.tar");
    let destination = format!("oci-archive:{}", archive.display());
    run("buildah", &["push", &image, &destination])?;
    run("buildah", &["rmi", &image])?;
    let files = Archive::read(&archive)?.layer_files()?;
    assert_eq!(files, expected()?);
    assert_serves(&files)
}

#[test]
#[cfg_attr(missing_docker, ignore = "needs a Docker engine: start one")]
fn maistra_reads_the_image_that_docker_builds() -> Result<()> {
    let (image, _) = build_with("docker")?;
    let files = copy_out("docker", &image)?;
    run("docker", &["rmi", &image])?;
    assert_eq!(files, expected()?);
    assert_serves(&files)
}

#[test]
#[cfg_attr(
    any(missing_buildah, missing_podman),
    ignore = "needs buildah and podman: install them"
)]
fn podman_and_buildah_build_the_layer_that_the_toolkit_writes() -> Result<()> {
    let package = package()?;
    let config: Value = serde_json::from_slice(package.config().bytes())?;
    let expected = config["rootfs"]["diff_ids"][0]
        .as_str()
        .context("no layer")?;
    let mut images = Vec::new();
    for engine in ["podman", "buildah"] {
        let name = format!("localhost/layers-{engine}:{}", id());
        let printed = print_image(template(), &["--engine", engine, "--image", &name])?;
        let layers = diff_ids(engine, &name);
        let digest = list(engine, "{{.Digest}}", &name);
        run(engine, &["rmi", &name])?;
        assert_eq!(layers?, expected, "{engine}");
        images.push((printed["Image ID"].clone(), digest?));
    }
    assert_eq!(images[0], images[1], "the engines differ");
    Ok(())
}

#[test]
fn same_source_gives_the_same_module_and_image_in_another_directory() -> Result<()> {
    let elsewhere = copy::without_git()?;
    copy::share_target(elsewhere.path())?;
    copy::command(elsewhere.path(), &toolkit().to_string_lossy(), &["build"])?;
    let built = elsewhere.path().join("target/image");
    assert!(
        fs::read(built.join("extension.wasm"))? == fs::read(module_path())?,
        "the modules differ"
    );
    let manifest = Manifest::read(&built.join("manifest.yaml"))?;
    assert_eq!(
        Package::compat(&built, &manifest.annotations())?.digest(),
        package()?.digest()
    );
    Ok(())
}

#[test]
fn same_files_give_the_same_image_later_and_in_another_directory() -> Result<()> {
    let elsewhere = tempfile::tempdir()?;
    // Files in another order and with other times.
    for name in ["plugin.wasm", "manifest.yaml", "extension.wasm"] {
        let original = image_root().join(name);
        let copy = elsewhere.path().join(name);
        fs::copy(&original, &copy)?;
        let later = fs::metadata(&original)?.modified()? + Duration::from_secs(60);
        fs::File::options()
            .write(true)
            .open(&copy)?
            .set_modified(later)?;
    }
    let manifest = Manifest::read(&template().join("manifest.yaml"))?;
    let one = package()?;
    let other = Package::compat(elsewhere.path(), &manifest.annotations())?;
    assert_eq!(one.manifest().bytes(), other.manifest().bytes());
    assert_eq!(one.digest(), other.digest());
    Ok(())
}

/// The annotations of the image that the toolkit writes for a project with staged files.
fn annotations(project: &Path) -> Result<Value> {
    let printed = print_image(project, &["--engine", "none"])?;
    let (archive, _) = printed["Image"].split_once(' ').context("no path")?;
    let mut manifest = Archive::read(&project.join(archive))?.manifest()?;
    Ok(manifest["annotations"].take())
}

/// A copy of the template with staged files.
fn staged_copy() -> Result<tempfile::TempDir> {
    let project = copy::project()?;
    let staged = project.path().join("target/image");
    for (name, bytes) in expected()? {
        copy::write(&staged.join(name), &bytes)?;
    }
    Ok(project)
}

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn annotations_are_those_of_the_cargo_package() -> Result<()> {
    let project = staged_copy()?;
    let annotations = annotations(project.path())?;
    let package = cargo_package()?;
    for (annotation, field) in [
        ("title", "name"),
        ("version", "version"),
        ("description", "description"),
        ("licenses", "license"),
    ] {
        let annotation = format!("org.opencontainers.image.{annotation}");
        assert_eq!(annotations[&annotation], package[field], "{annotation}");
        assert_ne!(package[field], Value::Null, "{field}");
    }
    assert_eq!(annotations["org.opencontainers.image.title"], name());
    assert_eq!(annotations["module.wasm.image/variant"], "compat");
    Ok(())
}

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn revision_is_set_only_for_a_clean_work_tree() -> Result<()> {
    const REVISION: &str = "org.opencontainers.image.revision";
    let project = staged_copy()?;
    let project = project.path();
    assert_eq!(
        annotations(project)?[REVISION],
        copy::git(project, &["rev-parse", "HEAD"])?
    );
    fs::write(project.join("notes.txt"), "")?;
    assert_eq!(annotations(project)?[REVISION], Value::Null);
    Ok(())
}

#[test]
fn oci_variant_follows_the_specification() -> Result<()> {
    let module = fs::read(module_path())?;
    let config = WasmConfig {
        abi_versions: vec!["v0.2.1".to_owned()],
        root_ids: vec!["a".to_owned()],
    };
    let manifest = Manifest::read(&template().join("manifest.yaml"))?;
    let package = Package::oci(&module, &config, &manifest.annotations())?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("wasm.tar");
    fs::write(&path, package.to_archive("localhost/a:1")?)?;
    assert_wasm_artifact(&path, "a")
}

#[test]
fn command_writes_the_oci_variant() -> Result<()> {
    let _ = image_root();
    let printed = print_image(template(), &["--variant", "oci"])?;
    let (archive, _) = printed["Image"].split_once(' ').context("no path")?;
    assert_wasm_artifact(&template().join(archive), name())
}

fn assert_wasm_artifact(path: &Path, root_id: &str) -> Result<()> {
    let archive = Archive::read(path)?;
    let (config, content) = archive.wasm_artifact()?;
    assert_eq!(
        config,
        serde_json::json!({
            "type": "envoy_proxy",
            "abiVersions": ["v0.2.1"],
            "config": { "rootIds": [root_id] },
        })
    );
    assert!(content == fs::read(module_path())?, "the module differs");

    let report = proxy_wasm_check::check(path, None);
    for consumer in &report.consumers {
        let is_maistra = consumer.name == "maistra";
        assert_eq!(consumer.accepts, !is_maistra, "{report}");
        assert_eq!(consumer.reads.is_none(), is_maistra, "{report}");
    }
    Ok(())
}
