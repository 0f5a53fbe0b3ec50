//! The extension in other languages: the same cases in both proxies, and images that meshes read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proxy_wasm_e2e::pulled::{Archive, Files, copy_out};
use proxy_wasm_e2e::registry::Registry;
use proxy_wasm_e2e::{copy, module_path, run, sdks, start_upstream, template, toolkit};
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::{Proxy, http};

const EVERY_MESH: &str = "istio,envoy-gateway,maistra";

/// The meshes that accept a module of Go or Emscripten, which imports what Maistra's Envoys do not
/// offer.
const NEWER_MESHES: &str = "istio,envoy-gateway";

const EMSCRIPTEN: &str = include_str!("sdks/emscripten.wat");
const EMSCRIPTEN_CASES: &str = include_str!("sdks/emscripten.yaml");
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
            meshes: NEWER_MESHES,
        }
    }

    /// A module with the structure of those that Emscripten compiles from the C++ SDK.
    fn emscripten(directory: &Path) -> Result<Self> {
        let module = directory.join("cpp.wasm");
        fs::write(&module, wat::parse_str(EMSCRIPTEN)?)?;
        let manifest = directory.join("manifest.yaml");
        fs::write(&manifest, EMSCRIPTEN_MANIFEST)?;
        Ok(Self {
            module,
            manifest,
            meshes: NEWER_MESHES,
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

/// Each case passes in the embedded proxy and in Envoy.
fn assert_cases_pass(module: &Path, cases: &Path) -> Result<()> {
    let (module, cases) = (module.to_string_lossy(), cases.to_string_lossy());
    let arguments = ["test", "--proxy", "both", "--module", &module, &cases];
    let printed = copy::command(&sdks::directory(), &toolkit().to_string_lossy(), &arguments)?;
    let failed_or_skipped = printed.lines().filter(|line| !line.ends_with(" ... ok"));
    let rest = failed_or_skipped.collect::<Vec<_>>().join("\n");
    assert!(rest.ends_with("; 0 failed; 0 skipped"), "{rest}");
    Ok(())
}

fn cases() -> PathBuf {
    sdks::directory().join("cases.yaml")
}

/// Envoy serves a module with an empty root ID, which meshes pass by default.
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
fn rust_module_passes_the_cases_of_every_language() -> Result<()> {
    assert_cases_pass(&module_path(), &cases())
}

#[test]
#[cfg_attr(missing_npm, ignore = "needs Node with npm: install it")]
fn assemblyscript_module_passes_the_same_cases() -> Result<()> {
    assert_cases_pass(sdks::assemblyscript(), &cases())
}

#[test]
#[cfg_attr(missing_go, ignore = "needs Go 1.24 or later: install it")]
fn go_module_passes_the_same_cases() -> Result<()> {
    assert_cases_pass(sdks::go(), &cases())
}

#[test]
fn module_of_emscripten_runs_in_both_proxies() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let extension = Extension::emscripten(directory.path())?;
    let cases = directory.path().join("cases.yaml");
    fs::write(&cases, EMSCRIPTEN_CASES)?;
    assert_cases_pass(&extension.module, &cases)
}

#[test]
fn module_of_emscripten_reports_memory_growth_to_the_proxy() -> Result<()> {
    let module = wat::parse_str(EMSCRIPTEN)?;
    let proxy = Proxy::load(module)?.configure("test")?;
    let response = proxy.request("GET", "/").respond(200)?;
    assert_eq!(response.header("custom-header"), ["test"]);
    assert_eq!(proxy.memory_pages(), 3);
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
fn meshes_with_newer_envoys_read_the_image_of_a_module_of_emscripten() -> Result<()> {
    let directory = tempfile::tempdir()?;
    Extension::emscripten(directory.path())?.assert_is_pulled()
}

/// The accepted difference between a figure on the page and the measured one, in percent. It
/// depends on the versions of the compilers.
const TOLERANCE: u64 = 25;

/// The figures of Rust, AssemblyScript and Go in a row of the page's table.
fn figures(page: &str, row: &str) -> Result<[u64; 3]> {
    let start = format!("| {row} | ");
    let line = page.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.with_context(|| format!("languages.md has no row {row:?}"))?;
    let mut cells = line.split(" | ").map(|cell| cell.replace(',', "").parse());
    let mut next = || cells.next().context("too few columns");
    Ok([next()??, next()??, next()??])
}

#[test]
#[cfg_attr(
    any(missing_go, missing_npm),
    ignore = "needs Go, and Node with npm: install them"
)]
fn page_has_the_figures_of_the_modules() -> Result<()> {
    let page = fs::read_to_string(template().join("kit/docs/languages.md"))?;
    let mut measured = [[0; 3]; 3];
    for (index, path) in [&module_path(), sdks::assemblyscript(), sdks::go()]
        .into_iter()
        .enumerate()
    {
        let module = fs::read(path)?;
        measured[0][index] = module.len() as u64;
        let proxy = Proxy::load(module)?.configure(r#"{"x-header-001": "value-001"}"#)?;
        // The first request also allocates what later ones use again.
        proxy.request("GET", "/").respond(200)?;
        let response = proxy.request("GET", "/").respond(200)?;
        measured[1][index] = response.host_calls().len() as u64;
        measured[2][index] = response.fuel();
    }
    for (row, measured) in [
        "module, in bytes",
        "host calls for a response with one header",
        "fuel of a request whose response gets one header",
    ]
    .into_iter()
    .zip(measured)
    {
        let written = figures(&page, row)?;
        for (written, measured) in written.into_iter().zip(measured) {
            assert!(
                written.abs_diff(measured) * 100 <= measured * TOLERANCE,
                "languages.md has {written} as the {row}; it is {measured}"
            );
        }
    }
    Ok(())
}
