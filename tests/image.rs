//! The image, as each engine makes it and as the kit writes it.
#![cfg(not(target_family = "wasm"))]

mod support;
#[path = "support/upstream.rs"]
mod upstream;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, id};

use anyhow::{Context, Result, ensure};
use extension_kit::engine::Engine;
use extension_kit::envoy::{self, Configuration, Envoy};
use extension_kit::project::Project;
use extension_kit::testing::{module, project};
use extension_kit::{http, image};
use serde_json::Value;
use support::{available, say};

type Files = BTreeMap<String, Vec<u8>>;

/// The files that every image has to hold, exactly.
fn expected() -> Result<Files> {
    let module = fs::read(module())?;
    Ok(Files::from([
        ("extension.wasm".to_owned(), module.clone()),
        ("manifest.yaml".to_owned(), fs::read("manifest.yaml")?),
        ("plugin.wasm".to_owned(), module),
    ]))
}

fn run(command: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(command)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {command}"))?;
    ensure!(
        output.status.success(),
        "{command} {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn untar(archive: impl Read) -> Result<Files> {
    let mut files = Files::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        ensure!(
            entry.header().entry_type().is_file(),
            "{:?} is no file",
            entry.path()?
        );
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(path, bytes);
    }
    Ok(files)
}

/// Reads an OCI archive as Istio does: the last layer, which has to be a gzip one, and the only one.
fn read_archive(path: &Path) -> Result<Files> {
    let archive = untar(fs::File::open(path)?)?;
    let json = |name: &str| -> Result<Value> {
        let bytes = archive
            .get(name)
            .with_context(|| format!("{name} is missing"))?;
        Ok(serde_json::from_slice(bytes)?)
    };
    let blob = |descriptor: &Value| -> Result<String> {
        let digest = descriptor["digest"]
            .as_str()
            .context("a descriptor without digest")?;
        Ok(format!("blobs/{}", digest.replace(':', "/")))
    };
    let manifest = json(&blob(&json("index.json")?["manifests"][0])?)?;
    let layers = manifest["layers"].as_array().context("no layers")?;
    ensure!(layers.len() == 1, "{} layers", layers.len());
    ensure!(
        layers[0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip",
        "{}",
        layers[0]
    );
    untar(flate2::read::GzDecoder::new(
        archive[&blob(&layers[0])?].as_slice(),
    ))
}

/// Maistra's controller takes these steps to the letter; docker knows them, too.
fn copy_out(engine: &str, reference: &str) -> Result<Files> {
    let container = run(engine, &["create", reference, "."])?;
    let folder = tempfile::tempdir()?;
    let mut files = Files::new();
    for name in ["manifest.yaml", "extension.wasm", "plugin.wasm"] {
        let to = folder.path().join(name);
        run(
            engine,
            &["cp", &format!("{container}:/{name}"), &to.to_string_lossy()],
        )?;
        files.insert(name.to_owned(), fs::read(to)?);
    }
    run(engine, &["rm", &container])?;
    Ok(files)
}

/// The module from an image is the one that Envoy serves.
fn assert_serves(files: &Files) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let module = folder.path().join("from-image.wasm");
    fs::write(&module, &files["extension.wasm"])?;
    let binary = envoy::find_or_fetch(&project().target())?;
    let envoy = Envoy::start(
        &binary,
        &module,
        &Configuration::Text("test".to_owned()),
        upstream::start()?,
    )?;
    assert_eq!(
        http::get(&envoy.url("/"))?.header("custom-header"),
        ["test"]
    );
    Ok(())
}

fn build_with(engine: Engine) -> Result<String> {
    // podman and buildah share their storage, so each has a name of its own.
    let reference = format!("localhost/test-{}:{}", engine.command(), id());
    let image_root = project().image_root();
    engine.build(Path::new("Containerfile"), &image_root, &reference)?;
    Ok(reference)
}

#[test]
fn the_manifest_agrees_with_the_package() {
    let manifest = &project().manifest;
    assert_eq!(manifest.name.as_deref(), Some(env!("CARGO_PKG_NAME")));
    assert_eq!(manifest.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(
        manifest.description.as_deref(),
        Some(env!("CARGO_PKG_DESCRIPTION"))
    );
}

#[test]
fn without_an_engine() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [first, second] = ["first.tar", "second.tar"].map(|name| folder.path().join(name));
    let written = image::write_archive(&project().image_root(), "localhost/a:1", &first)?;
    image::write_archive(&project().image_root(), "localhost/a:1", &second)?;
    assert_eq!(fs::read(&first)?, fs::read(&second)?);

    let files = read_archive(&first)?;
    assert_eq!(files, expected()?);
    assert_serves(&files)?;
    if available("skopeo", "--version") {
        let source = format!("oci-archive:{}", first.display());
        assert_eq!(
            run("skopeo", &["inspect", "--format", "{{.Digest}}", &source])?,
            written.digest
        );
    }
    Ok(())
}

#[test]
fn by_podman_as_maistra_reads_it() -> Result<()> {
    if !available("podman", "info") {
        return Ok(());
    }
    let reference = build_with(Engine::Podman)?;
    let files = copy_out("podman", &reference)?;
    run("podman", &["rmi", &reference])?;
    assert_eq!(files, expected()?);
    assert_serves(&files)?;
    Ok(())
}

#[test]
fn by_buildah() -> Result<()> {
    if !available("buildah", "info") {
        return Ok(());
    }
    let reference = build_with(Engine::Buildah)?;
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("image.tar");
    run(
        "buildah",
        &[
            "push",
            &reference,
            &format!("oci-archive:{}", archive.display()),
        ],
    )?;
    run("buildah", &["rmi", &reference])?;
    assert_eq!(read_archive(&archive)?, expected()?);
    Ok(())
}

#[test]
fn by_docker_where_an_engine_answers() -> Result<()> {
    if !Engine::Docker.answers() {
        say("no docker engine answers here, so docker builds no image");
        return Ok(());
    }
    let reference = build_with(Engine::Docker)?;
    let files = copy_out("docker", &reference)?;
    run("docker", &["rmi", &reference])?;
    assert_eq!(files, expected()?);
    Ok(())
}

#[test]
fn the_same_source_gives_the_same_module_in_another_folder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for name in ["Cargo.toml", "Cargo.lock", "manifest.yaml", "src", "kit"] {
        run("cp", &["-R", name, &folder.path().to_string_lossy()])?;
    }
    let elsewhere = Project::at(folder.path())?;
    let built = elsewhere.build()?.module;
    assert!(
        fs::read(built)? == fs::read(module())?,
        "the modules differ"
    );
    Ok(())
}
