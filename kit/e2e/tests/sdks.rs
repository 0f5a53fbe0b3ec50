//! The extension in other languages: what meshes do with it, and whether they read its image.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proxy_wasm_e2e::pulled::{Archive, Files, copy_out};
use proxy_wasm_e2e::registry::Registry;
use proxy_wasm_e2e::{copy, run, sdks, start_upstream, toolkit};
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::http;

const EVERY_MESH: &str = "istio,envoy-gateway,maistra";

/// The meshes that accept a module of Go, which imports what Maistra's Envoys do not offer.
const GO_MESHES: &str = "istio,envoy-gateway";

const EMSCRIPTEN: &str = include_str!("sdks/emscripten.wat");
const EMSCRIPTEN_MANIFEST: &str = include_str!("sdks/manifest.yaml");

/// The module of an SDK, and the manifest with which it is packaged.
struct Extension {
    module: PathBuf,
    manifest: PathBuf,
    meshes: &'static str,
}

impl Extension {
    fn assemblyscript() -> Self {
        Self {
            module: sdks::assemblyscript().to_owned(),
            manifest: sdks::directory().join("assemblyscript/manifest.yaml"),
            meshes: EVERY_MESH,
        }
    }

    fn go() -> Self {
        Self {
            module: sdks::go().to_owned(),
            manifest: sdks::directory().join("go/manifest.yaml"),
            meshes: GO_MESHES,
        }
    }

    /// A module with the structure of those that Emscripten makes of the C++ SDK.
    fn emscripten(directory: &Path) -> Result<Self> {
        let module = directory.join("cpp.wasm");
        fs::write(&module, wat::parse_str(EMSCRIPTEN)?)?;
        let manifest = directory.join("manifest.yaml");
        fs::write(&manifest, EMSCRIPTEN_MANIFEST)?;
        Ok(Self {
            module,
            manifest,
            meshes: EVERY_MESH,
        })
    }

    /// Pushes the module to a registry, and returns the reference by digest.
    fn push(&self, registry: &Registry) -> Result<String> {
        let image = registry.image("team/extension:1")?;
        let (module, manifest) = (
            self.module.to_string_lossy(),
            self.manifest.to_string_lossy(),
        );
        let arguments = [
            "push",
            "--engine",
            "none",
            "--image",
            image.as_str(),
            "--module",
            &module,
            "--manifest",
            &manifest,
            "--for",
            self.meshes,
        ];
        let printed = copy::command(&sdks::directory(), &toolkit().to_string_lossy(), &arguments)?;
        let pushed = printed
            .lines()
            .find_map(|line| line.strip_prefix("Pushed: "));
        Ok(pushed.context(printed.clone())?.to_owned())
    }

    /// The files that the image has to have.
    fn files(&self) -> Result<Files> {
        let module = fs::read(&self.module)?;
        Ok(Files::from([
            ("extension.wasm".to_owned(), module.clone()),
            ("manifest.yaml".to_owned(), fs::read(&self.manifest)?),
            ("plugin.wasm".to_owned(), module),
        ]))
    }

    /// Every mesh that accepts the module reads its image from a registry, and Envoy serves it.
    fn assert_is_pulled(&self) -> Result<()> {
        let registry = Registry::start("")?;
        let image = self.push(&registry)?;
        let directory = tempfile::tempdir()?;

        // As Istio and Envoy Gateway do.
        let archive = directory.path().join("image.tar");
        let (from, to) = (
            format!("docker://{image}"),
            format!("oci-archive:{}", archive.display()),
        );
        run("skopeo", &["copy", "--src-tls-verify=false", &from, &to])?;
        assert_eq!(Archive::read(&archive)?.layer_files()?, self.files()?);
        let report = proxy_wasm_check::check(&archive, None);
        for mesh in EVERY_MESH.split(',') {
            let is_expected = self.meshes.split(',').any(|accepting| accepting == mesh);
            assert_eq!(report.accepts(mesh), is_expected, "{mesh}: {report}");
        }

        // As Maistra does.
        run("podman", &["pull", "--tls-verify=false", &image])?;
        let files = copy_out("podman", &image)?;
        run("podman", &["rmi", &image])?;
        assert_eq!(files, self.files()?);

        let pulled = directory.path().join("pulled.wasm");
        fs::write(&pulled, &files["plugin.wasm"])?;
        assert_serves(&pulled)
    }
}

/// Envoy serves a module, without a root ID as the meshes do.
fn assert_serves(module: &Path) -> Result<()> {
    let configuration = Configuration::Text("test".to_owned());
    let envoy = Envoy::builder(module, start_upstream()?)
        .listener("http", "", &configuration)
        .start()?;
    let response = http::get(&envoy.url("/"))?;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("custom-header"), ["test"]);
    Ok(())
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_npm, missing_podman, missing_skopeo),
    ignore = "needs docker-registry, Node with npm, podman and skopeo: install them"
)]
fn every_mesh_reads_the_image_of_the_assemblyscript_module() -> Result<()> {
    Extension::assemblyscript().assert_is_pulled()
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_go, missing_podman, missing_skopeo),
    ignore = "needs docker-registry, Go, podman and skopeo: install them"
)]
fn istio_and_envoy_gateway_read_the_image_of_the_go_module() -> Result<()> {
    Extension::go().assert_is_pulled()
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_podman, missing_skopeo),
    ignore = "needs docker-registry, podman and skopeo: install them"
)]
fn every_mesh_reads_the_image_of_a_module_of_emscripten() -> Result<()> {
    let directory = tempfile::tempdir()?;
    Extension::emscripten(directory.path())?.assert_is_pulled()
}
