//! Media types of manifests, configurations and layers, and how layers are compressed.

use crate::layout::*;

const ISTIO: &str = "accepts plugin.wasm";
const MAISTRA: &str = "accepts a.wasm";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Compression {
    Gzip,
    Zstd,
    None,
    Xz,
}

fn compress(tar: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Gzip => gzip(tar),
        Compression::Zstd => zstd(tar),
        Compression::None => tar.to_vec(),
        // Only the first bytes are read.
        Compression::Xz => b"\xfd7zXZ\0\0\x04".to_vec(),
    }
}

#[test]
fn every_media_type_in_every_manifest_with_every_compression() {
    let types = [
        OCI_GZIP,
        OCI_TAR,
        OCI_ZSTD,
        DOCKER_GZIP,
        DOCKER_TAR,
        "application/x-tar",
        "text/html",
    ];
    let compressions = [
        Compression::Gzip,
        Compression::Zstd,
        Compression::None,
        Compression::Xz,
    ];
    let tar = three_files();
    for manifest in [OCI_MANIFEST, DOCKER_MANIFEST] {
        for media_type in types {
            for compression in compressions {
                let case = format!("{media_type} with {compression:?} in {manifest}");
                let report = check_layers(manifest, &[(media_type, compress(&tar, compression))]);
                let (own, is_docker) = match manifest {
                    DOCKER_MANIFEST => (DOCKER_GZIP, true),
                    _ => (OCI_GZIP, false),
                };
                let istio = if media_type == own && compression == Compression::Gzip {
                    ISTIO
                } else {
                    "rejects"
                };
                // podman detects the compression by the bytes. In a Docker manifest, it also checks
                // the media types.
                let maistra = if is_docker && ![DOCKER_GZIP, DOCKER_TAR].contains(&media_type) {
                    "rejects"
                } else if compression == Compression::Xz {
                    "not checked"
                } else {
                    MAISTRA
                };
                assert_verdicts(&case, &report, istio, maistra);
                for name in ["istio", "maistra"] {
                    for reason in reasons(&report, name) {
                        assert!(reason.starts_with("layer 1: "), "{case}: {reason}");
                    }
                }
            }
        }
    }
}

#[test]
fn wrong_media_type_says_how_to_fix_it() {
    let tar = three_files();
    for (manifest, media_type, bytes, part) in [
        (
            OCI_MANIFEST,
            DOCKER_GZIP,
            gzip(&tar),
            format!(
                "layer 1: its media type is \"{DOCKER_GZIP}\" in an OCI manifest; use media types \
                 of one format for manifest and layers, here {OCI_GZIP}"
            ),
        ),
        (
            OCI_MANIFEST,
            OCI_TAR,
            tar.clone(),
            format!(
                "layer 1: its media type is \"{OCI_TAR}\" in an OCI manifest; compress it with gzip, \
                 as {OCI_GZIP}; podman, docker and skopeo do it when they push"
            ),
        ),
        (
            OCI_MANIFEST,
            OCI_ZSTD,
            zstd(&tar),
            format!(
                "layer 1: its media type is \"{OCI_ZSTD}\" in an OCI manifest; compress it with \
                 gzip, as {OCI_GZIP}: Istio and Envoy Gateway require it"
            ),
        ),
        (
            OCI_MANIFEST,
            OCI_GZIP,
            zstd(&tar),
            format!(
                "layer 1: its media type says gzip, but it is not compressed with gzip; \
                 package the files as a gzip-compressed tar, {OCI_GZIP}"
            ),
        ),
        (
            DOCKER_MANIFEST,
            OCI_GZIP,
            gzip(&tar),
            format!(
                "layer 1: its media type is \"{OCI_GZIP}\" in a Docker manifest; use media types \
                 of one format for manifest and layers, here {DOCKER_GZIP}"
            ),
        ),
    ] {
        let report = check_layers(manifest, &[(media_type, bytes)]);
        assert_eq!(reasons(&report, "istio"), [part], "{manifest} {media_type}");
    }
}

#[test]
fn manifest_without_a_media_type_is_an_oci_manifest() {
    for (media_type, istio) in [(OCI_GZIP, ISTIO), (DOCKER_GZIP, "rejects")] {
        let layout = Layout::new();
        let image = layout.image_with(None, OCI_CONFIG, &[(media_type, gzip(&three_files()))]);
        assert_verdicts(media_type, &layout.check(&[image]), istio, MAISTRA);
    }
}

#[test]
fn podman_pulls_an_oci_manifest_only_with_an_oci_configuration() {
    for (manifest, layer, config, maistra) in [
        (OCI_MANIFEST, OCI_GZIP, OCI_CONFIG, MAISTRA),
        (OCI_MANIFEST, OCI_GZIP, DOCKER_CONFIG, "rejects"),
        (OCI_MANIFEST, OCI_GZIP, "application/json", "rejects"),
        (
            OCI_MANIFEST,
            OCI_GZIP,
            "application/vnd.oci.empty.v1+json",
            "rejects",
        ),
        (DOCKER_MANIFEST, DOCKER_GZIP, DOCKER_CONFIG, MAISTRA),
        (DOCKER_MANIFEST, DOCKER_GZIP, OCI_CONFIG, MAISTRA),
        (DOCKER_MANIFEST, DOCKER_GZIP, "text/plain", MAISTRA),
    ] {
        let layout = Layout::new();
        let image = layout.image_with(Some(manifest), config, &[(layer, gzip(&three_files()))]);
        let case = format!("{config} in {manifest}");
        assert_verdicts(&case, &layout.check(&[image]), ISTIO, maistra);
    }
}

#[test]
fn istio_ignores_lower_layers() {
    let last = (OCI_GZIP, gzip(&three_files()));
    for (case, lower, maistra) in [
        (
            "a document",
            ("text/markdown", b"# Guide".to_vec()),
            "rejects",
        ),
        ("text as gzip", (OCI_GZIP, gzip(b"# Guide")), "rejects"),
        ("no gzip", (OCI_GZIP, b"not gzip".to_vec()), "rejects"),
        (
            "cut off",
            (OCI_GZIP, last.1[..last.1.len() - 9].to_vec()),
            "rejects",
        ),
        ("empty", (OCI_GZIP, Vec::new()), MAISTRA),
        ("empty gzip", (OCI_GZIP, gzip(b"")), MAISTRA),
        ("no files", (OCI_GZIP, gzip(&[0; 1024])), MAISTRA),
        ("zstd", (OCI_ZSTD, zstd(&three_files())), MAISTRA),
        ("not compressed", (OCI_TAR, three_files()), MAISTRA),
        (
            "xz",
            ("text/plain", b"\xfd7zXZ\0\0\x04".to_vec()),
            "not checked",
        ),
        ("the same layer", last.clone(), MAISTRA),
    ] {
        let report = check_layers(OCI_MANIFEST, &[lower, last.clone()]);
        assert_verdicts(case, &report, ISTIO, maistra);
        assert_eq!(
            lines(&report)[0],
            "warning: image: it has 2 layers; put the files into one: Istio and Envoy Gateway read \
             only the last layer"
        );
        if maistra == "rejects" {
            assert!(
                reasons(&report, "maistra")[0].starts_with("layer 1: "),
                "{report}"
            );
        }
    }
}

#[test]
fn error_of_the_last_layer_names_the_layer_that_has_the_module() {
    let whole = (OCI_GZIP, gzip(&three_files()));
    let other = (OCI_GZIP, gzip(&tar(&[("etc/", b"")])));
    let report = check_layers(OCI_MANIFEST, &[whole, other]);
    assert_verdicts("two layers", &report, "rejects", MAISTRA);
    assert_eq!(
        reasons(&report, "istio"),
        [
            "layer 2: the last layer has no plugin.wasm; add the module to the last layer, too: \
             layer 1 has it, but Istio and Envoy Gateway read only the last one"
        ]
    );
}

/// go-containerregistry looks up the media type by digest.
#[test]
fn istio_uses_the_media_type_of_the_first_layer_with_the_same_content() {
    let bytes = gzip(&three_files());
    for (first, last, istio) in [
        (OCI_TAR, OCI_GZIP, "rejects"),
        (OCI_GZIP, OCI_TAR, ISTIO),
        (OCI_GZIP, OCI_GZIP, ISTIO),
    ] {
        let report = check_layers(
            OCI_MANIFEST,
            &[(first, bytes.clone()), (last, bytes.clone())],
        );
        assert_verdicts(first, &report, istio, MAISTRA);
    }
}

#[test]
fn image_without_layers_is_rejected() {
    let report = check_layers(OCI_MANIFEST, &[]);
    assert_verdicts("no layers", &report, "rejects", "rejects");
    assert_eq!(
        reasons(&report, "istio"),
        ["image: it has no layers; add one with plugin.wasm"]
    );
}

#[test]
fn gzip_of_several_members_is_read() {
    let tar = three_files();
    let bytes = [gzip(&tar[..700]), gzip(&tar[700..])].concat();
    let report = check_layers(OCI_MANIFEST, &[(OCI_GZIP, bytes)]);
    assert_verdicts("members", &report, ISTIO, MAISTRA);
}

#[test]
fn zstd_of_several_frames_is_read() {
    let tar = three_files();
    let skippable = b"\x5f\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    let bytes = [
        zstd(&tar[..700]),
        skippable.clone(),
        zstd(&tar[700..]),
        skippable,
    ]
    .concat();
    let report = check_layers(OCI_MANIFEST, &[(OCI_ZSTD, bytes)]);
    assert_verdicts("frames", &report, "rejects", MAISTRA);
}
