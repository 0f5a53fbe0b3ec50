#![cfg(any())]
//! The image, as each engine makes it and as the kit writes it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::id;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use extension_kit::project::Project;
use extension_kit::testing::{module, project};
use extension_kit::{http, provenance};
use proxy_wasm_e2e::tools::available;
use proxy_wasm_e2e::{print_line, run};
use proxy_wasm_image::Engine;
use proxy_wasm_image::Package;
use proxy_wasm_test::envoy::{self, Envoy};
use serde_json::Value;

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
    let configuration = deployed::configuration(Path::new("."))?;
    let envoy = Envoy::start(&module, &configuration, start_upstream()?)?;
    let response = http::get(&envoy.url("/"))?;
    assert_eq!(response.status, 200);
    deployed::assert_in_force(&response);
    Ok(())
}

/// What a consumer of the oci variant reads: two layers of its own media types, unpacked by nobody.
fn read_wasm_artifact(path: &Path) -> Result<(Value, Vec<u8>)> {
    let archive = untar(fs::File::open(path)?)?;
    let blob = |descriptor: &Value| -> Result<&Vec<u8>> {
        let digest = descriptor["digest"]
            .as_str()
            .context("a descriptor without digest")?;
        archive
            .get(&format!("blobs/{}", digest.replace(':', "/")))
            .context("a blob is missing")
    };
    let index: Value = serde_json::from_slice(&archive["index.json"])?;
    let manifest: Value = serde_json::from_slice(blob(&index["manifests"][0])?)?;
    let layers = manifest["layers"].as_array().context("no layers")?;
    ensure!(layers.len() == 2, "{} layers", layers.len());
    let of = |media_type: &str| {
        layers
            .iter()
            .find(|layer| layer["mediaType"] == media_type)
            .with_context(|| format!("no layer of {media_type}"))
    };
    let config = blob(of("application/vnd.module.wasm.config.v1+json")?)?;
    let module = blob(of("application/vnd.module.wasm.content.layer.v1+wasm")?)?;
    Ok((serde_json::from_slice(config)?, module.clone()))
}

/// The digests of an image's layers, not compressed, from its configuration.
fn diff_ids(engine: &str, reference: &str) -> Result<String> {
    run(
        engine,
        &[
            "inspect",
            "--type",
            "image",
            "--format",
            if engine == "buildah" {
                "{{range .OCIv1.RootFS.DiffIDs}}{{.}} {{end}}"
            } else {
                "{{range .RootFS.Layers}}{{.}} {{end}}"
            },
            reference,
        ],
    )
}

fn build_with(engine: Engine) -> Result<String> {
    // podman and buildah share their storage, so each has a name of its own.
    let reference = format!("localhost/test-{}:{}", engine.command(), id());
    let image_root = image_root();
    engine.build(
        Path::new("Containerfile"),
        &image_root,
        &reference,
        &provenance::annotations(project()),
    )?;
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
    let package = Package::compat(&image_root(), &provenance::annotations(project()))?;
    let written = package.write_archive("localhost/a:1", &first)?;
    package.write_archive("localhost/a:1", &second)?;
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
        print_line("no docker engine answers here, so docker builds no image");
        return Ok(());
    }
    let reference = build_with(Engine::Docker)?;
    let files = copy_out("docker", &reference)?;
    run("docker", &["rmi", &reference])?;
    assert_eq!(files, expected()?);
    Ok(())
}

#[test]
fn the_same_source_gives_the_same_module_and_image_in_another_folder() -> Result<()> {
    let folder = copy::without_git()?;
    let elsewhere = Project::at(folder.path())?;
    let built = elsewhere.build()?.folder;
    assert!(
        fs::read(built.join("extension.wasm"))? == fs::read(module())?,
        "the modules differ"
    );
    // The revision is the git work tree's, and the copy is in none.
    let annotations = provenance::annotations(&elsewhere);
    assert_eq!(
        Package::compat(&built, &annotations)?.digest(),
        Package::compat(&image_root(), &annotations)?.digest()
    );
    Ok(())
}

#[test]
fn the_same_files_give_the_same_image_a_minute_later_elsewhere() -> Result<()> {
    let first = image_root();
    let elsewhere = tempfile::tempdir()?;
    // In another order, with other times.
    for name in ["plugin.wasm", "manifest.yaml", "extension.wasm"] {
        let copy = elsewhere.path().join(name);
        fs::copy(first.join(name), &copy)?;
        let later = fs::metadata(first.join(name))?.modified()? + Duration::from_secs(60);
        fs::File::options()
            .write(true)
            .open(&copy)?
            .set_modified(later)?;
    }
    let annotations = provenance::annotations(project());
    let one = Package::compat(&first, &annotations)?;
    let other = Package::compat(elsewhere.path(), &annotations)?;
    assert_eq!(one.manifest.bytes, other.manifest.bytes);
    assert_eq!(one.digest(), other.digest());
    Ok(())
}

#[test]
fn every_engine_makes_the_layer_that_the_kit_writes() -> Result<()> {
    let package = Package::compat(&image_root(), &provenance::annotations(project()))?;
    let config: Value = serde_json::from_slice(&package.config.bytes)?;
    let expected = config["rootfs"]["diff_ids"][0]
        .as_str()
        .context("a layer")?;
    let mut images = Vec::new();
    for engine in [Engine::Podman, Engine::Buildah] {
        if !available(engine.command(), "info") {
            continue;
        }
        let reference = format!("localhost/layers-{}:{}", engine.command(), id());
        let stored = engine.build(
            Path::new("Containerfile"),
            &image_root(),
            &reference,
            &provenance::annotations(project()),
        )?;
        let found = diff_ids(engine.command(), &reference);
        run(engine.command(), &["rmi", &reference])?;
        assert_eq!(found?, expected, "{}", engine.command());
        images.push(stored.digest);
    }
    images.dedup();
    assert!(images.len() < 2, "the engines differ: {images:?}");
    Ok(())
}

#[test]
fn the_image_says_what_it_is() -> Result<()> {
    let annotations = provenance::annotations(project());
    let package = Package::compat(&image_root(), &annotations)?;
    let manifest: Value = serde_json::from_slice(&package.manifest.bytes)?;
    for (name, value) in [
        ("org.opencontainers.image.title", env!("CARGO_PKG_NAME")),
        (
            "org.opencontainers.image.version",
            env!("CARGO_PKG_VERSION"),
        ),
        (
            "org.opencontainers.image.description",
            env!("CARGO_PKG_DESCRIPTION"),
        ),
        (
            "org.opencontainers.image.licenses",
            env!("CARGO_PKG_LICENSE"),
        ),
        ("module.wasm.image/variant", "compat"),
    ] {
        assert_eq!(manifest["annotations"][name], value, "{name}");
    }
    Ok(())
}

#[test]
fn the_revision_is_that_of_a_clean_work_tree_alone() -> Result<()> {
    const REVISION: &str = "org.opencontainers.image.revision";
    if !available("git", "--version") {
        return Ok(());
    }
    let folder = copy::project()?;
    let annotations = || -> Result<_> { Ok(provenance::annotations(&Project::at(folder.path())?)) };
    assert_eq!(
        annotations()?.get(REVISION),
        Some(&copy::git(folder.path(), &["rev-parse", "HEAD"])?)
    );
    fs::write(folder.path().join("notes.txt"), "")?;
    assert_eq!(annotations()?.get(REVISION), None);
    Ok(())
}

#[test]
fn the_oci_variant_is_what_the_specification_says() -> Result<()> {
    let module = fs::read(module())?;
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("wasm.tar");
    Package::oci(&module, "a", &provenance::annotations(project()))?
        .write_archive("localhost/a:1", &archive)?;
    let (config, content) = read_wasm_artifact(&archive)?;
    assert_eq!(
        config,
        serde_json::json!({
            "type": "envoy_proxy",
            "abiVersions": ["v0.2.1"],
            "config": { "rootIds": ["a"] },
        })
    );
    assert!(content == module, "the module differs");

    let report = proxy_wasm_check::check(&archive, None);
    assert_eq!(report.errors(), 0, "{report}");
    assert_eq!(report.reads.len(), 1, "{report}");
    assert_eq!(report.reads[0].consumer, "Istio");
    Ok(())
}
