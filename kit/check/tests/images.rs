//! The rules for images, one at a time. Each test builds the image layout itself.

use std::fs;
use std::io::Write;

use proxy_wasm_check::{Report, check};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const OCI_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const OCI_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const DOCKER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_CONTENT: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

const MANIFEST: &[u8] = b"schemaVersion: 1\nphase: PreStats\npriority: 1\nmodule: a.wasm\n";
const CONFIG: &[u8] =
    br#"{"type": "envoy_proxy", "abiVersions": ["v0.2.1"], "config": {"rootIds": []}}"#;

const ALL: [&str; 4] = ["envoy", "istio", "envoy-gateway", "maistra"];
const WITHOUT_MAISTRA: [&str; 3] = ["envoy", "istio", "envoy-gateway"];
const MAISTRA: [&str; 2] = ["envoy", "maistra"];
const NOBODY: [&str; 0] = [];

fn module() -> Vec<u8> {
    wat::parse_str(
        r#"(module
            (memory (export "memory") 1)
            (func (export "malloc") (param i32) (result i32) i32.const 0)
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_tick") (param i32)))"#,
    )
    .expect("a module")
}

/// An image layout that is being built.
struct Layout {
    directory: tempfile::TempDir,
}

impl Layout {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(directory.path().join("blobs/sha256")).expect("a directory");
        fs::write(
            directory.path().join("oci-layout"),
            r#"{"imageLayoutVersion": "1.0.0"}"#,
        )
        .expect("a file");
        Self { directory }
    }

    /// Adds a blob, and returns its descriptor.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let hex = format!("{:x}", Sha256::digest(bytes));
        let path = self.directory.path().join("blobs/sha256").join(&hex);
        fs::write(path, bytes).expect("a file");
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    }

    fn image(&self, media_type: &str, layers: &[(&str, Vec<u8>)]) -> Value {
        let layers: Vec<_> = layers
            .iter()
            .map(|(media_type, bytes)| self.blob(media_type, bytes))
            .collect();
        let config = self.blob("application/vnd.oci.image.config.v1+json", b"{}");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
        });
        self.blob(media_type, manifest.to_string().as_bytes())
    }

    fn index(&self, media_type: &str, children: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": children});
        self.blob(media_type, index.to_string().as_bytes())
    }

    fn check(&self, manifests: &[Value]) -> Report {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        let path = self.directory.path().join("index.json");
        fs::write(path, index.to_string()).expect("a file");
        check(self.directory.path(), None)
    }
}

fn on(mut descriptor: Value, platform: &str) -> Value {
    let (os, architecture) = platform.split_once('/').expect(platform);
    descriptor["platform"] = json!({"os": os, "architecture": architecture});
    descriptor
}

fn check_layers(media_type: &str, layers: &[(&str, Vec<u8>)]) -> Report {
    let layout = Layout::new();
    let image = layout.image(media_type, layers);
    layout.check(&[image])
}

/// An image with one layer of these files.
fn check_files(files: &[(&str, &[u8])]) -> Report {
    check_layers(OCI_MANIFEST, &[(OCI_GZIP, gzip(&tar(files)))])
}

/// A tar of files, in this order. A link has no content and a name with an arrow.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        let name = match path.split_once(" -> ") {
            Some((name, target)) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(target).expect("short");
                name
            }
            None => path,
        };
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        header.set_size(bytes.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}

/// The files of the template's image.
fn three_files() -> Vec<u8> {
    let module = module();
    tar(&[
        ("a.wasm", &module),
        ("manifest.yaml", MANIFEST),
        ("plugin.wasm", &module),
    ])
}

fn accepting(report: &Report) -> Vec<&'static str> {
    let verdicts = report.consumers.iter();
    verdicts
        .filter(|verdict| verdict.accepts)
        .map(|verdict| verdict.name)
        .collect()
}

fn lines(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

fn reads<'a>(report: &'a Report, name: &str) -> Option<&'a str> {
    let verdict = report.consumers.iter().find(|verdict| verdict.name == name);
    verdict.and_then(|verdict| verdict.reads.as_deref())
}

#[test]
fn image_of_istios_guide_is_accepted_by_all_but_maistra() {
    let report = check_files(&[("plugin.wasm", &module())]);
    assert_eq!(accepting(&report), WITHOUT_MAISTRA);
    assert!(report.is_accepted());
    assert_eq!(
        lines(&report),
        [
            "error: manifest.yaml: it is missing; add it: Maistra reads it first (rejected by \
             maistra)"
        ]
    );
    let maistra = &report.consumers[3];
    assert_eq!(maistra.reads, None);
    assert_eq!(
        maistra.reasons,
        ["manifest.yaml: it is missing; add it: Maistra reads it first"]
    );
    assert_eq!(reads(&report, "envoy"), Some("plugin.wasm"));
}

#[test]
fn report_of_a_good_image_fits_on_one_screen() {
    let report = check_layers(OCI_MANIFEST, &[(OCI_GZIP, gzip(&three_files()))]);
    assert_eq!(accepting(&report), ALL);
    let text = report.to_string();
    assert!(text.lines().count() <= 12, "{text}");
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    for line in [
        "Envoy:          accepts it from 1.17 on; reads a.wasm\n",
        "Istio:          accepts it from 1.12 on; reads plugin.wasm\n",
        "Envoy Gateway:  accepts it from 1.1 on; reads plugin.wasm\n",
        "Maistra:        accepts it from 2.1 on; reads a.wasm\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn last_layer_has_the_media_type_that_belongs_to_the_manifest() {
    let tar = three_files();
    let layer = |media_type: &'static str| {
        let is_gzip = media_type.ends_with("gzip");
        (media_type, if is_gzip { gzip(&tar) } else { tar.clone() })
    };
    for (manifest, last, expected) in [
        (OCI_MANIFEST, OCI_GZIP, &ALL[..]),
        (OCI_MANIFEST, DOCKER_GZIP, &MAISTRA),
        (OCI_MANIFEST, OCI_TAR, &MAISTRA),
        (DOCKER_MANIFEST, DOCKER_GZIP, &ALL),
        (DOCKER_MANIFEST, OCI_GZIP, &MAISTRA),
        (DOCKER_MANIFEST, OCI_TAR, &MAISTRA),
        // The check cannot unpack zstd.
        (OCI_MANIFEST, OCI_ZSTD, &NOBODY),
        (OCI_MANIFEST, "text/html", &NOBODY),
    ] {
        let report = check_layers(manifest, &[layer(last)]);
        assert_eq!(accepting(&report), expected, "{manifest} {last}: {report}");
    }
    let report = check_layers(OCI_MANIFEST, &[layer(DOCKER_GZIP)]);
    assert_eq!(
        lines(&report),
        [format!(
            "error: layer 1: its media type is \"{DOCKER_GZIP}\" in an OCI manifest; compress it \
             with gzip, as {OCI_GZIP}: Istio and Envoy Gateway read no other last layer there (a \
             push with docker or podman does it) (rejected by istio, envoy-gateway)"
        )]
    );
}

#[test]
fn istio_does_not_look_at_lower_layers() {
    let module = module();
    let last = (OCI_GZIP, gzip(&tar(&[("plugin.wasm", &module)])));
    for lower in [
        ("text/markdown", b"# Documentation".to_vec()),
        (OCI_GZIP, b"not gzip".to_vec()),
        (OCI_ZSTD, Vec::new()),
    ] {
        let report = check_layers(OCI_MANIFEST, &[lower, last.clone()]);
        assert_eq!(accepting(&report), WITHOUT_MAISTRA, "{report}");
    }
    // Maistra reads all layers, and whiteouts remove files of lower ones.
    let files: [(&str, &[u8]); 2] = [("a.wasm", &module), ("manifest.yaml", MANIFEST)];
    let lower = (OCI_GZIP, gzip(&tar(&files)));
    let report = check_layers(OCI_MANIFEST, &[lower.clone(), last.clone()]);
    assert_eq!(accepting(&report), ALL);
    assert_eq!(
        lines(&report),
        [
            "warning: image: it has 2 layers; put the files into one: Istio and Envoy Gateway read \
             only the last layer"
        ]
    );
    let without = tar(&[("plugin.wasm", &module), (".wh.a.wasm", b"")]);
    let report = check_layers(OCI_MANIFEST, &[lower.clone(), (OCI_GZIP, gzip(&without))]);
    assert_eq!(accepting(&report), WITHOUT_MAISTRA);
    let report = check_layers(OCI_MANIFEST, &[last, lower]);
    assert_eq!(accepting(&report), MAISTRA);
    assert!(report.findings[1].to_string().starts_with(
        "error: layer 2: the last layer holds no plugin.wasm; add the module under this name"
    ));
}

#[test]
fn layer_that_is_not_a_tar_is_rejected() {
    let report = check_layers(OCI_MANIFEST, &[(OCI_GZIP, b"not gzip".to_vec())]);
    assert_eq!(accepting(&report), NOBODY);
    assert!(report.findings[0].place == "layer 1", "{report}");
    assert_eq!(accepting(&check_layers(OCI_MANIFEST, &[])), NOBODY);
}

#[test]
fn istio_reads_the_first_plugin_wasm_in_any_directory() {
    let module = module();
    let page: &[u8] = b"<html>404</html>";
    for (files, expected, path) in [
        (
            &[("lib/plugin.wasm", &module[..])][..],
            true,
            Some("lib/plugin.wasm"),
        ),
        (&[("./plugin.wasm", &module)], true, Some("plugin.wasm")),
        (&[("/plugin.wasm", &module)], true, Some("plugin.wasm")),
        (
            &[("a/plugin.wasm", page), ("plugin.wasm", &module)],
            false,
            Some("a/plugin.wasm"),
        ),
        (
            &[("plugin.wasm", &module), ("z/plugin.wasm", page)],
            true,
            Some("plugin.wasm"),
        ),
        (
            &[("plugin.wasm", b""), ("plugin.wasm", &module)],
            false,
            Some("plugin.wasm"),
        ),
        (&[("x", &module), ("plugin.wasm -> x", b"")], false, None),
        (
            &[("plugin.wasm/", b""), ("b/plugin.wasm", &module)],
            false,
            None,
        ),
        (&[("plugin.wasm.bak", &module)], false, None),
    ] {
        let report = check_files(files);
        let names: Vec<_> = files.iter().map(|file| file.0).collect();
        assert_eq!(report.accepts("istio"), expected, "{names:?}: {report}");
        assert_eq!(report.accepts("envoy-gateway"), expected, "{names:?}");
        assert_eq!(reads(&report, "istio"), path, "{names:?}");
    }
    let report = check_files(&[("a/plugin.wasm", page), ("plugin.wasm", &module)]);
    assert!(
        report.consumers[1].reasons[0].starts_with("a/plugin.wasm: it does not begin with"),
        "{report}"
    );
    let report = check_files(&[("lib/plugin.wasm", &module)]);
    assert_eq!(
        lines(&report)[0],
        "warning: layer 1: Istio and Envoy Gateway read \"lib/plugin.wasm\", the first of this \
         name; put plugin.wasm at the root, and no other file of this name before it"
    );
}

#[test]
fn each_consumer_is_judged_by_the_module_that_it_reads() {
    let module = module();
    let files: [(&str, &[u8]); 3] = [
        ("a.wasm", b"text"),
        ("manifest.yaml", MANIFEST),
        ("plugin.wasm", &module),
    ];
    let report = check_files(&files);
    assert_eq!(accepting(&report), ["istio", "envoy-gateway"]);
    let files = [("a.wasm", &module[..]), files[1], ("plugin.wasm", b"text")];
    assert_eq!(accepting(&check_files(&files)), MAISTRA);
}

#[test]
fn what_maistra_reads_leniently_is_accepted() {
    let module = module();
    let manifest = "schemaVersion: '1'\nauthor: me\nphase: PreStats\npriority: 1\n\
                    module: ./a.wasm\n";
    let report = check_files(&[
        ("a.wasm", &module),
        ("manifest.yaml", manifest.as_bytes()),
        ("plugin.wasm", &module),
    ]);
    assert_eq!(accepting(&report), ALL);
    assert_eq!(report.warnings(), 3, "{report}");
    let without_phase = "schemaVersion: 1\npriority: 1\nmodule: a.wasm\n";
    let report = check_files(&[
        ("a.wasm", &module),
        ("manifest.yaml", without_phase.as_bytes()),
        ("plugin.wasm", &module),
    ]);
    assert_eq!(accepting(&report), WITHOUT_MAISTRA);
}

#[test]
fn first_child_for_linux_amd64_of_an_index_is_read() {
    for index in [OCI_INDEX, DOCKER_INDEX] {
        for (platforms, expected) in [
            (&["linux/amd64"][..], true),
            (&["linux/arm64"], false),
            (&["wasi/wasm"], false),
            (&["linux/arm64", "linux/amd64"], true),
            (&["linux/amd64", "unknown/unknown"], true),
            (&["unknown/unknown", "linux/amd64"], true),
            (&["linux/arm64", "unknown/unknown"], false),
            (&[""], true),
            (&["linux/arm64", ""], true),
            (&[], false),
        ] {
            let layout = Layout::new();
            let image = layout.image(OCI_MANIFEST, &[(OCI_GZIP, gzip(&three_files()))]);
            let children: Vec<_> = platforms
                .iter()
                .map(|platform| match *platform {
                    "" => image.clone(),
                    platform => on(image.clone(), platform),
                })
                .collect();
            let report = layout.check(&[layout.index(index, &children)]);
            assert_eq!(report.is_accepted(), expected, "{platforms:?}: {report}");
            let has_attestation = platforms.contains(&"unknown/unknown");
            let warns = report.to_string().contains("an attestation stands beside");
            assert_eq!(warns, expected && has_attestation, "{platforms:?}");
        }
    }
}

#[test]
fn index_without_an_image_for_linux_amd64_says_how_to_fix_it() {
    let layout = Layout::new();
    let image = layout.image(OCI_MANIFEST, &[(OCI_GZIP, gzip(&three_files()))]);
    let report = layout.check(&[layout.index(OCI_INDEX, &[on(image.clone(), "linux/arm64")])]);
    let line = lines(&report).join("\n");
    assert!(
        line.ends_with(
            "no child with platform linux/amd64 in index (it has \"linux/arm64\"); build for \
             --platform linux/amd64, on any machine: meshes take this image of an index; or push \
             an image without an index"
        ),
        "{line}"
    );
    // Without an index, the platform makes no difference.
    let report = layout.check(&[on(image, "linux/arm64")]);
    assert_eq!(accepting(&report), ALL);
}

#[test]
fn nested_indexes_are_followed() {
    let layout = Layout::new();
    let image = layout.image(OCI_MANIFEST, &[(OCI_GZIP, gzip(&three_files()))]);
    let arm = layout.index(OCI_INDEX, &[on(image.clone(), "linux/arm64")]);
    let amd = layout.index(OCI_INDEX, &[on(image, "linux/amd64")]);
    let report = layout.check(&[layout.index(OCI_INDEX, std::slice::from_ref(&amd))]);
    assert_eq!(accepting(&report), ALL);
    // The first child that fits counts, even if it has no image that fits.
    let report = layout.check(&[layout.index(OCI_INDEX, &[arm, amd.clone()])]);
    assert_eq!(accepting(&report), NOBODY);

    let mut deep = amd;
    for _ in 0..20 {
        deep = layout.index(OCI_INDEX, &[deep]);
    }
    let line = lines(&layout.check(&[deep])).join("\n");
    assert!(line.contains("nested more than 8 deep"), "{line}");
}

#[test]
fn other_images_beside_this_one_are_a_warning() {
    let layout = Layout::new();
    let image = layout.image(OCI_MANIFEST, &[(OCI_GZIP, gzip(&three_files()))]);
    let both = ["linux/amd64", "linux/arm64"].map(|platform| on(image.clone(), platform));
    let report = layout.check(&both);
    assert_eq!(accepting(&report), ALL);
    assert!(
        lines(&report)[0].starts_with("warning: index.json: 1 more images stand beside"),
        "{report}"
    );
}

#[test]
fn artifact_has_two_layers_and_one_is_the_module() {
    const FOR_MAISTRA: &str = "error: image: it is of the oci variant, which Maistra does not read; \
                               package it without --variant oci to serve Maistra, too (rejected by \
                               maistra)";
    let config = (WASM_CONFIG, CONFIG.to_vec());
    let content = (WASM_CONTENT, module());
    let text = ("text/plain", b"text".to_vec());
    for (layers, expected, warnings) in [
        (&[config.clone(), content.clone()][..], true, 0),
        (&[content.clone(), config.clone()], true, 0),
        (&[(WASM_CONFIG, b"{}".to_vec()), content.clone()], true, 1),
        (&[text.clone(), content.clone()], true, 1),
        (std::slice::from_ref(&content), false, 0),
        (std::slice::from_ref(&config), false, 0),
        (&[config.clone(), content.clone(), text], false, 1),
        (&[config.clone(), ("application/wasm", module())], false, 1),
        (
            &[config.clone(), (WASM_CONTENT, b"text".to_vec())],
            false,
            0,
        ),
    ] {
        let types: Vec<_> = layers.iter().map(|layer| layer.0).collect();
        let report = check_layers(OCI_MANIFEST, layers);
        assert_eq!(report.accepts("istio"), expected, "{types:?}: {report}");
        assert_eq!(report.accepts("envoy-gateway"), expected, "{types:?}");
        assert!(!report.accepts("maistra"), "{types:?}");
        assert_eq!(report.warnings(), warnings, "{types:?}: {report}");
        assert_eq!(lines(&report)[0], FOR_MAISTRA);
        let report = check_layers(DOCKER_MANIFEST, layers);
        assert!(!report.accepts("istio"), "{types:?}: {report}");
    }
    let report = check_layers(OCI_MANIFEST, &[config, content]);
    assert_eq!(reads(&report, "istio"), Some("layer 2"));
    let report = check_layers(OCI_MANIFEST, &[("application/wasm", module())]);
    assert_eq!(accepting(&report), NOBODY);
}
