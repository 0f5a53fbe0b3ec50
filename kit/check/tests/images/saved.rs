//! Archives of `docker save` and `podman save`. The check predicts what consumers do after a push
//! from the engine.

use std::fs;

use proxy_wasm_check::{Report, check};
use serde_json::json;

use crate::layout::*;

const ISTIO: &str = "accepts plugin.wasm";
const MAISTRA: &str = "accepts a.wasm";
const NOT_COMPRESSED: &str = "warning: layer 1: it is not compressed, because docker save or podman \
                              save wrote it; push it with podman, docker or skopeo, which compress it: \
                              Istio and Envoy Gateway require gzip for the last layer";

fn check_archive(files: &[(&str, &[u8])]) -> Report {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("image.tar");
    fs::write(&path, tar(files)).expect("a file");
    check(&path, None)
}

fn configuration(layers: &[&[u8]]) -> Vec<u8> {
    let digests: Vec<_> = layers
        .iter()
        .map(|layer| format!("sha256:{}", hex(layer)))
        .collect();
    let config = json!({"rootfs": {"type": "layers", "diff_ids": digests}});
    config.to_string().into_bytes()
}

fn saved_images(layers: &[&str]) -> Vec<u8> {
    json!([{"Config": "config.json", "RepoTags": ["a:1"], "Layers": layers}])
        .to_string()
        .into_bytes()
}

/// `docker save` before Docker 25.
#[test]
fn archive_of_an_older_docker_is_read() {
    let layer = three_files();
    let report = check_archive(&[
        ("1234/", b""),
        ("1234/VERSION", b"1.0"),
        ("1234/json", b"{}"),
        ("1234/layer.tar", &layer),
        ("config.json", &configuration(&[&layer])),
        ("manifest.json", &saved_images(&["1234/layer.tar"])),
        ("repositories", b"{}"),
    ]);
    assert_verdicts("docker", &report, ISTIO, MAISTRA);
    assert_eq!(lines(&report), [NOT_COMPRESSED]);
}

/// `podman save` writes each layer once, and links for older readers.
#[test]
fn archive_of_podman_is_read() {
    let layer = three_files();
    let report = check_archive(&[
        ("abcd.tar", &layer),
        ("config.json", &configuration(&[&layer])),
        ("1234/layer.tar -> ../abcd.tar", b""),
        ("1234/VERSION", b"1.0"),
        ("1234/json", b"{}"),
        ("manifest.json", &saved_images(&["abcd.tar"])),
        ("repositories", b"{}"),
    ]);
    assert_verdicts("podman", &report, ISTIO, MAISTRA);
}

/// `docker save` writes a link for a layer that occurs twice. Other tools compress layers.
#[test]
fn layers_can_be_links_and_compressed() {
    let layer = three_files();
    let report = check_archive(&[
        ("1/layer.tar", &layer),
        ("2/layer.tar -> ../1/layer.tar", b""),
        ("config.json", &configuration(&[&layer, &layer])),
        (
            "manifest.json",
            &saved_images(&["1/layer.tar", "2/layer.tar"]),
        ),
    ]);
    assert_verdicts("a link", &report, ISTIO, MAISTRA);
    for bytes in [gzip(&layer), zstd(&layer)] {
        let report = check_archive(&[
            ("layer.tar.gz", &bytes),
            ("config.json", &configuration(&[&layer])),
            ("manifest.json", &saved_images(&["layer.tar.gz"])),
        ]);
        assert_verdicts("compressed", &report, ISTIO, MAISTRA);
    }
}

#[test]
fn damaged_archives_are_errors() {
    let layer = three_files();
    let config = configuration(&[&layer]);
    let images = saved_images(&["layer.tar"]);
    for (case, files, part) in [
        (
            "does not match its digest",
            vec![
                ("layer.tar", ERROR_PAGE),
                ("config.json", &config),
                ("manifest.json", &images),
            ],
            "does not match its digest",
        ),
        (
            "no layer",
            vec![("config.json", &config[..]), ("manifest.json", &images)],
            "layer.tar is missing",
        ),
        (
            "a cycle",
            vec![
                ("layer.tar -> other", &b""[..]),
                ("other -> layer.tar", b""),
                ("config.json", &config),
                ("manifest.json", &images),
            ],
            "layer.tar is missing",
        ),
        (
            "no configuration",
            vec![("layer.tar", &layer[..]), ("manifest.json", &images)],
            "config.json is missing",
        ),
        (
            "no digests",
            vec![
                ("layer.tar", &layer),
                ("config.json", b"{}"),
                ("manifest.json", &images),
            ],
            "it has 1 layers, but the configuration lists 0",
        ),
        (
            "no images",
            vec![("manifest.json", &b"[]"[..])],
            "has no images",
        ),
        (
            "no list",
            vec![("manifest.json", &b"{}"[..])],
            "not a list of images",
        ),
        (
            "not an image",
            vec![("readme", ERROR_PAGE)],
            "index.json is missing",
        ),
    ] {
        let report = check_archive(&files);
        assert_verdicts(case, &report, "rejects", "rejects");
        assert!(lines(&report)[0].contains(part), "{case}: {report}");
    }
}

#[test]
fn first_of_several_saved_images_is_checked() {
    let layer = three_files();
    let image = json!({"Config": "config.json", "Layers": ["layer.tar"]});
    let images = json!([image, image]).to_string();
    let report = check_archive(&[
        ("layer.tar", &layer),
        ("config.json", &configuration(&[&layer])),
        ("manifest.json", images.as_bytes()),
    ]);
    assert_verdicts("two images", &report, ISTIO, MAISTRA);
    assert!(
        lines(&report)[0].contains("other images in the same layout or index: 1"),
        "{report}"
    );
}

/// An OCI archive of these manifests. With `is_docker`, it also has a `manifest.json`.
fn check_oci_archive(layout: &Layout, manifests: &[serde_json::Value], is_docker: bool) -> Report {
    layout.finish(manifests);
    if is_docker {
        fs::write(layout.directory.path().join("manifest.json"), "[]").expect("a file");
    }
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_dir_all(".", layout.directory.path())
        .expect("write to memory");
    let archive = tempfile::NamedTempFile::new().expect("a file");
    fs::write(
        archive.path(),
        builder.into_inner().expect("write to memory"),
    )
    .expect("a file");
    let in_archive = check(archive.path(), None);
    let in_directory = check(layout.directory.path(), None);
    assert_eq!(in_archive.consumers, in_directory.consumers);
    in_archive
}

/// `docker save` since Docker 25 writes OCI archives whose layers are not compressed, and
/// `manifest.json` for older readers.
#[test]
fn archive_of_a_newer_docker_is_read() {
    for (media_type, bytes, is_docker, istio) in [
        (OCI_TAR, three_files(), true, ISTIO),
        (OCI_GZIP, gzip(&three_files()), true, ISTIO),
        // Other OCI archives are copied to a registry unchanged.
        (OCI_TAR, three_files(), false, "rejects"),
        (OCI_GZIP, gzip(&three_files()), false, ISTIO),
        (OCI_ZSTD, zstd(&three_files()), true, "rejects"),
    ] {
        let layout = Layout::new();
        let image = layout.image(OCI_MANIFEST, &[(media_type, bytes)]);
        let report = check_oci_archive(&layout, &[image], is_docker);
        let case = format!("{media_type}, {is_docker}");
        assert_verdicts(&case, &report, istio, MAISTRA);
        let warns = lines(&report).contains(&NOT_COMPRESSED.to_owned());
        assert_eq!(
            warns,
            is_docker && media_type == OCI_TAR,
            "{case}: {report}"
        );
    }
}

/// Docker 29 and Docker Desktop keep attestations, and save them, too.
#[test]
fn saved_index_with_an_attestation_is_read() {
    let layout = Layout::new();
    let image = layout.image(OCI_MANIFEST, &[(OCI_GZIP, gzip(&three_files()))]);
    let statement = ("application/vnd.in-toto+json", b"{}".to_vec());
    let attestation = layout.image(OCI_MANIFEST, &[statement]);
    let index = layout.index(
        OCI_INDEX,
        &[
            with_platform(image, "linux/amd64"),
            with_platform(attestation, "unknown/unknown"),
        ],
    );
    let report = check_oci_archive(&layout, &[index], true);
    assert_verdicts("attestation", &report, ISTIO, MAISTRA);
    assert!(
        lines(&report)[0].contains("it has an attestation"),
        "{report}"
    );
}

#[test]
fn compressed_archive_says_how_to_unpack_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("image.tar.gz");
    fs::write(&path, gzip(&three_files())).expect("a file");
    let report = check(&path, None);
    assert_verdicts("gzip", &report, "not checked", "not checked");
    assert!(
        lines(&report)[0]
            .contains("it is compressed with gzip; unpack a compressed archive with gunzip"),
        "{report}"
    );
}
