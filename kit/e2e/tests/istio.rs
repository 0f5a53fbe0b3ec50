//! Istio's own code: its agent fetches what the toolkit and the engines push, and agrees with the
//! check on generated images; istiod validates the files under `deploy/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use proxy_wasm_e2e::registry::Registry;
use proxy_wasm_e2e::{copy, deployed, go, image_root, print_line, template, toolkit};
use serde_json::{Value, json};

#[path = "../../check/tests/images/layout.rs"]
#[expect(dead_code, reason = "it is shared with the tests of the check")]
mod layout;

use layout::{
    DOCKER_GZIP, DOCKER_INDEX, DOCKER_MANIFEST, DOCKER_TAR, ERROR_PAGE, Layout, MANIFEST,
    OCI_CONFIG, OCI_GZIP, OCI_INDEX, OCI_MANIFEST, OCI_TAR, OCI_ZSTD, WASM_CONFIG, WASM_CONTENT,
    gzip, hex, module, tar, three_files, with_platform, zstd,
};

/// What the program prints, a line for each argument.
fn istio(arguments: &[&str]) -> Result<Vec<Value>> {
    let program = go::build("istio")?;
    let output = Command::new(program).args(arguments).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

/// Pushes with the command, and lets Istio's agent fetch the image by its tag and by its digest.
fn assert_fetches_what_is_pushed(engine: &str, variant: &str) -> Result<()> {
    let registry = Registry::start("")?;
    let image = registry.image(&format!("{engine}-{variant}:1"))?;
    let staged = fs::read(image_root().join("plugin.wasm"))?;
    let arguments = [
        "push",
        "--engine",
        engine,
        "--variant",
        variant,
        "--image",
        image.as_str(),
    ];
    let printed = copy::command(template(), &toolkit().to_string_lossy(), &arguments)?;
    let pushed = printed
        .lines()
        .find_map(|line| line.strip_prefix("Pushed: "));
    let by_digest = pushed.with_context(|| printed.clone())?;
    for fetched in istio(&["fetch", image.as_str(), by_digest])? {
        assert_eq!(fetched["sha256"], hex(&staged), "{fetched}");
    }
    Ok(())
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_go),
    ignore = "needs docker-registry and go: install them"
)]
fn agent_fetches_both_variants_that_the_toolkit_pushes() -> Result<()> {
    assert_fetches_what_is_pushed("none", "compat")?;
    assert_fetches_what_is_pushed("none", "oci")
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_go, missing_podman),
    ignore = "needs docker-registry, go and podman: install them"
)]
fn agent_fetches_what_podman_pushes() -> Result<()> {
    assert_fetches_what_is_pushed("podman", "compat")
}

#[test]
#[cfg_attr(
    any(missing_buildah, missing_docker_registry, missing_go),
    ignore = "needs buildah, docker-registry and go: install them"
)]
fn agent_fetches_what_buildah_pushes() -> Result<()> {
    assert_fetches_what_is_pushed("buildah", "compat")
}

#[test]
#[cfg_attr(
    any(missing_docker, missing_docker_registry, missing_go),
    ignore = "needs a Docker engine, docker-registry and go: start and install them"
)]
fn agent_fetches_what_docker_pushes() -> Result<()> {
    assert_fetches_what_is_pushed("docker", "compat")
}

/// Image layouts in one directory, and what the check says of them for Istio.
struct Images {
    directory: tempfile::TempDir,
    verdicts: BTreeMap<String, String>,
}

impl Images {
    fn new() -> Result<Self> {
        Ok(Self {
            directory: tempfile::tempdir()?,
            verdicts: BTreeMap::new(),
        })
    }

    fn add(&mut self, name: &str, layout: Layout, manifest: Value) -> Result<()> {
        let report = layout.check(&[manifest]);
        let verdict = layout::verdict(&report, "istio");
        fs::rename(layout.directory.keep(), self.directory.path().join(name))?;
        let known = self.verdicts.insert(name.to_owned(), verdict);
        ensure!(known.is_none(), "two images have the name {name}");
        Ok(())
    }
}

/// The files of a layer: where the module is, and what else there is.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let module = module();
    vec![
        ("three-files", three_files()),
        ("with-dot", tar(&[("./plugin.wasm", &module)])),
        ("absolute", tar(&[("/plugin.wasm", &module)])),
        (
            "in-directory",
            tar(&[("a/", b""), ("a/plugin.wasm", &module)]),
        ),
        (
            "another-name",
            tar(&[("a.wasm", &module), ("manifest.yaml", MANIFEST)]),
        ),
        ("no-module", tar(&[("plugin.wasm", ERROR_PAGE)])),
        (
            "link",
            tar(&[("a.wasm", &module), ("plugin.wasm -> a.wasm", b"")]),
        ),
        (
            "first-is-page",
            tar(&[("b/plugin.wasm", ERROR_PAGE), ("plugin.wasm", &module)]),
        ),
        (
            "first-is-module",
            tar(&[("b/plugin.wasm", &module), ("plugin.wasm", ERROR_PAGE)]),
        ),
        (
            "whiteout",
            tar(&[(".wh.plugin.wasm", b""), ("plugin.wasm", &module)]),
        ),
        ("empty", tar(&[])),
    ]
}

/// Every kind of manifest with a layer of every kind.
fn single_layers(images: &mut Images) -> Result<()> {
    for (manifest_name, stated) in [
        ("oci", Some(OCI_MANIFEST)),
        ("docker", Some(DOCKER_MANIFEST)),
        ("none", None),
    ] {
        for (type_name, media_type) in [
            ("oci-gzip", OCI_GZIP),
            ("oci-tar", OCI_TAR),
            ("oci-zstd", OCI_ZSTD),
            ("docker-gzip", DOCKER_GZIP),
            ("docker-tar", DOCKER_TAR),
            ("wasm", WASM_CONTENT),
        ] {
            for (content_name, content) in contents() {
                for (name, bytes) in [
                    ("gzip", gzip(&content)),
                    ("tar", content.clone()),
                    ("zstd", zstd(&content)),
                ] {
                    let layout = Layout::new();
                    let image = layout.image_with(stated, OCI_CONFIG, &[(media_type, bytes)]);
                    let name = format!("{manifest_name}-{type_name}-{content_name}-{name}");
                    images.add(&name, layout, image)?;
                }
            }
        }
    }
    Ok(())
}

/// Several layers: only the last counts, or two are an artifact.
fn several_layers(images: &mut Images) -> Result<()> {
    let good = || (OCI_GZIP, gzip(&three_files()));
    let other = || (OCI_GZIP, gzip(&tar(&[("a", b"")])));
    let text = || ("text/plain", b"text".to_vec());
    let bare = || (WASM_CONTENT, module());
    let config = || (WASM_CONFIG, b"{}".to_vec());
    for (name, layers) in [
        ("good-last", vec![other(), good()]),
        ("good-first", vec![good(), other()]),
        ("text-below", vec![text(), good()]),
        ("text-above", vec![good(), text()]),
        ("artifact", vec![bare(), config()]),
        ("artifact-reversed", vec![config(), bare()]),
        ("artifact-with-text", vec![text(), bare()]),
        ("artifact-alone", vec![bare()]),
        ("artifact-of-three", vec![bare(), config(), text()]),
        (
            "artifact-of-page",
            vec![(WASM_CONTENT, ERROR_PAGE.to_vec()), config()],
        ),
        ("artifact-twice", vec![bare(), bare()]),
        ("cncf", vec![("application/wasm", module())]),
        ("no-layers", vec![]),
    ] {
        for (manifest_name, media_type) in [("oci", OCI_MANIFEST), ("docker", DOCKER_MANIFEST)] {
            let layout = Layout::new();
            let image = layout.image(media_type, &layers);
            images.add(&format!("{manifest_name}-{name}"), layout, image)?;
        }
    }
    Ok(())
}

/// Indexes with images for several platforms.
fn indexes(images: &mut Images) -> Result<()> {
    for (type_name, index_type) in [("oci", OCI_INDEX), ("docker", DOCKER_INDEX)] {
        for (name, platforms) in [
            ("amd64", &["linux/amd64"][..]),
            ("arm64", &["linux/arm64"]),
            ("both", &["linux/arm64", "linux/amd64"]),
            ("wasi", &["wasi/wasm"]),
            ("attestation", &["linux/amd64", "unknown/unknown"]),
            ("attestation-first", &["unknown/unknown", "linux/amd64"]),
            ("variant", &["linux/amd64/v2"]),
            ("none", &[""]),
            ("none-after-arm64", &["linux/arm64", ""]),
            ("empty", &[]),
        ] {
            for nested in [false, true] {
                let layout = Layout::new();
                let children: Vec<Value> = platforms
                    .iter()
                    .map(|platform| {
                        let layers = [(OCI_GZIP, gzip(&three_files()))];
                        let image = layout.image(OCI_MANIFEST, &layers);
                        match *platform {
                            "" => image,
                            platform => with_platform(image, platform),
                        }
                    })
                    .collect();
                let mut index = layout.index(index_type, &children);
                if nested {
                    index = layout.index(index_type, &[index]);
                }
                images.add(&format!("index-{type_name}-{name}-{nested}"), layout, index)?;
            }
        }
    }
    Ok(())
}

#[test]
#[cfg_attr(missing_go, ignore = "needs go: install it")]
fn agent_agrees_with_the_check_on_generated_images() -> Result<()> {
    let mut images = Images::new()?;
    single_layers(&mut images)?;
    several_layers(&mut images)?;
    indexes(&mut images)?;
    let module = hex(&module());
    let directory = images.directory.path().to_string_lossy().into_owned();
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut differences = Vec::new();
    for fetched in istio(&["layouts", &directory])? {
        let name = fetched["name"].as_str().context("no name")?;
        let verdict = images
            .verdicts
            .remove(name)
            .with_context(|| name.to_owned())?;
        let accepts = verdict.starts_with("accepts");
        let kind = verdict.split(' ').next().unwrap_or_default();
        let agrees = match fetched.get("sha256") {
            Some(digest) => accepts && *digest == module,
            None => !accepts,
        };
        *counts
            .entry(match kind {
                "accepts" => "accepted",
                "rejects" => "rejected",
                _ => "not checked",
            })
            .or_default() += 1;
        // By its digest, an index is rejected: Istio compares the digest with that of the image in
        // it.
        let by_digest = fetched["digestError"].as_str().unwrap_or_default();
        let agrees = agrees
            && match name.starts_with("index-") {
                true => !accepts || by_digest.contains("which does not match"),
                false => accepts == by_digest.is_empty(),
            };
        if !agrees {
            differences.push(format!("{name}: the check: {verdict}; Istio: {fetched}"));
        }
    }
    ensure!(
        images.verdicts.is_empty(),
        "not fetched: {:?}",
        images.verdicts.keys()
    );
    print_line(&format!("Generated images: {counts:?}"));
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(
        counts["accepted"] > 50 && counts["rejected"] > 100,
        "{counts:?}"
    );
    Ok(())
}

fn write(directory: &Path, name: &str, resource: &Value) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, resource.to_string())?;
    Ok(path)
}

fn validate(file: &Path) -> Result<Value> {
    let file = file.to_str().context("a path that is not UTF-8")?;
    istio(&["validate", file])?.pop().context("no result")
}

#[test]
#[cfg_attr(missing_go, ignore = "needs go: install it")]
fn istiod_accepts_the_files_and_their_options() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for (mesh, kind) in [
        ("istio", "WasmPlugin"),
        ("istio-1.30", "TrafficExtension"),
        ("istio-envoyfilter", "EnvoyFilter"),
    ] {
        let with_options = deployed::with_options(template(), mesh)?;
        for file in [
            template().join(format!("deploy/{mesh}.yaml")),
            write(directory.path(), "options.yaml", &with_options)?,
        ] {
            let validated = validate(&file)?;
            assert_eq!(validated["kind"], kind);
            assert!(validated["error"].is_null(), "{validated}");
            // Istio has a warning for every EnvoyFilter.
            let warning = validated["warning"].as_str().unwrap_or_default();
            let is_expected =
                warning.starts_with("EnvoyFilter exposes internal implementation details");
            assert_eq!(is_expected, kind == "EnvoyFilter", "{validated}");
            assert!(
                !warning.contains('\n') && (is_expected || warning.is_empty()),
                "{validated}"
            );
        }
    }
    Ok(())
}

#[test]
#[cfg_attr(missing_go, ignore = "needs go: install it")]
fn istiod_rejects_what_the_definition_cannot_express() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut file = deployed::read(template(), "istio")?;
    file["spec"]["url"] = json!("ftp://registry.example/a");
    let validated = validate(&write(directory.path(), "a.yaml", &file)?)?;
    assert!(validated["error"].is_string(), "{validated}");
    Ok(())
}

#[test]
#[cfg_attr(missing_go, ignore = "needs go: install it")]
fn istiod_passes_the_configuration_in_the_form_that_the_check_tries() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for (configuration, passed) in [
        (
            json!({"custom-header": "test"}),
            r#"{"custom-header":"test"}"#,
        ),
        (json!({}), ""),
        (
            json!({"a": [1, 1.5, true, null, "b"]}),
            r#"{"a":[1,1.5,true,null,"b"]}"#,
        ),
    ] {
        let mut file = deployed::read(template(), "istio-1.30")?;
        file["spec"]["wasm"]["pluginConfig"] = configuration;
        let validated = validate(&write(directory.path(), "a.yaml", &file)?)?;
        let text = validated["configuration"]
            .as_str()
            .context("no configuration")?;
        // Spaces between the tokens of JSON do not matter.
        assert_eq!(
            text.replace(", ", ",").replace(": ", ":"),
            passed,
            "{validated}"
        );
    }
    Ok(())
}
