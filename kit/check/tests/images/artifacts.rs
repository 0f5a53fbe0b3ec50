//! Artifacts: modules that are not in a container image.

use crate::layout::*;

const CONFIG: &[u8] =
    br#"{"type": "envoy_proxy", "abiVersions": ["v0.2.1"], "config": {"rootIds": []}}"#;
const CNCF: &str = "application/wasm";

#[test]
fn artifact_has_two_layers_and_the_first_module_is_read() {
    let config = (WASM_CONFIG, CONFIG.to_vec());
    let content = (WASM_CONTENT, module());
    let text = ("text/plain", b"text".to_vec());
    let page = (WASM_CONTENT, ERROR_PAGE.to_vec());
    let files = (OCI_GZIP, gzip(&three_files()));
    for (case, layers, istio, warnings) in [
        (
            "as specified",
            vec![config.clone(), content.clone()],
            "accepts layer 2",
            0,
        ),
        (
            "in the other order",
            vec![content.clone(), config.clone()],
            "accepts layer 1",
            0,
        ),
        (
            "empty configuration",
            vec![(WASM_CONFIG, b"{}".to_vec()), content.clone()],
            "accepts layer 2",
            1,
        ),
        (
            "another configuration",
            vec![text.clone(), content.clone()],
            "accepts layer 2",
            1,
        ),
        (
            "two modules",
            vec![content.clone(), page.clone()],
            "accepts layer 1",
            1,
        ),
        (
            "two modules, the second good",
            vec![page.clone(), content.clone()],
            "rejects",
            1,
        ),
        ("one layer", vec![content.clone()], "rejects", 0),
        ("only a configuration", vec![config.clone()], "rejects", 0),
        (
            "three layers",
            vec![config.clone(), content.clone(), text],
            "rejects",
            0,
        ),
        ("text as module", vec![config.clone(), page], "rejects", 0),
        (
            "compressed module",
            vec![config.clone(), (WASM_CONTENT, gzip(&module()))],
            "rejects",
            0,
        ),
        ("of the CNCF", vec![(CNCF, module())], "rejects", 0),
        (
            "of the CNCF, with configuration",
            vec![config.clone(), (CNCF, module())],
            "rejects",
            0,
        ),
        (
            "a last layer with files",
            vec![content.clone(), files.clone()],
            "accepts plugin.wasm",
            0,
        ),
        (
            "a first layer with files",
            vec![files, content],
            "accepts layer 2",
            1,
        ),
    ] {
        let report = check_layers(OCI_MANIFEST, &layers);
        assert_verdicts(case, &report, istio, "rejects");
        assert_eq!(report.warnings(), warnings, "{case}: {report}");
        assert_eq!(
            reasons(&report, "maistra"),
            [
                "image: it is of the oci variant, which Maistra does not read; package it without \
                 --variant oci if Maistra has to read it"
            ],
            "{case}"
        );
        let report = check_layers(DOCKER_MANIFEST, &layers);
        assert_verdicts(case, &report, "rejects", "rejects");
    }
}

#[test]
fn istio_ignores_the_configuration_type_of_an_artifact() {
    for config in [WASM_CONFIG, OCI_CONFIG, "application/vnd.oci.empty.v1+json"] {
        let layout = Layout::new();
        let layers = [(WASM_CONFIG, CONFIG.to_vec()), (WASM_CONTENT, module())];
        let image = layout.image_with(Some(OCI_MANIFEST), config, &layers);
        assert_verdicts(
            config,
            &layout.check(&[image]),
            "accepts layer 2",
            "rejects",
        );
    }
}

#[test]
fn rejected_artifact_says_how_to_fix_it() {
    let config = (WASM_CONFIG, CONFIG.to_vec());
    let content = (WASM_CONTENT, module());
    for (manifest, layers, reason) in [
        (
            OCI_MANIFEST,
            vec![content.clone()],
            format!(
                "image: it is an artifact with 1 layers, 1 of them modules; write two layers, \
                 {WASM_CONFIG} and {WASM_CONTENT}"
            ),
        ),
        (
            OCI_MANIFEST,
            vec![(CNCF, module())],
            format!(
                "image: it is an artifact with a module of type {CNCF}; package the module as \
                 {WASM_CONTENT}, or as plugin.wasm in a container image"
            ),
        ),
        (
            DOCKER_MANIFEST,
            vec![config, content],
            format!(
                "image: it is an artifact with a Docker manifest; give the manifest the media \
                 type {OCI_MANIFEST}"
            ),
        ),
    ] {
        let report = check_layers(manifest, &layers);
        assert_eq!(reasons(&report, "istio"), [reason]);
    }
}
