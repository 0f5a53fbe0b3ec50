//! The image that consumers select from an index.

use proxy_wasm_check::Severity;
use serde_json::Value;

use crate::layout::*;

const ISTIO: &str = "accepts plugin.wasm";
const MAISTRA: &str = "accepts a.wasm";

/// A valid image.
fn image(layout: &Layout) -> Value {
    layout.image(OCI_MANIFEST, &[(OCI_GZIP, gzip(&three_files()))])
}

/// A valid image without a module.
fn other_image(layout: &Layout) -> Value {
    let files: [(&str, &[u8]); 1] = [("readme", b"no module")];
    layout.image(OCI_MANIFEST, &[(OCI_GZIP, gzip(&tar(&files)))])
}

#[test]
fn first_child_for_linux_amd64_is_selected() {
    const REJECTS: &str = "rejects";
    for (platforms, istio, in_oci_index, in_docker_index) in [
        (&["linux/amd64"][..], ISTIO, MAISTRA, MAISTRA),
        (&["linux/arm64"], REJECTS, REJECTS, REJECTS),
        (&["wasi/wasm"], REJECTS, REJECTS, REJECTS),
        (&["unknown/unknown"], REJECTS, REJECTS, REJECTS),
        (&["linux/arm64", "linux/amd64"], ISTIO, MAISTRA, MAISTRA),
        (&["linux/amd64", "linux/arm64"], ISTIO, MAISTRA, MAISTRA),
        (&["linux/amd64", "unknown/unknown"], ISTIO, MAISTRA, MAISTRA),
        (&["unknown/unknown", "linux/amd64"], ISTIO, MAISTRA, MAISTRA),
        (&["wasi/wasm", "linux/amd64"], ISTIO, MAISTRA, MAISTRA),
        (
            &["linux/arm64", "unknown/unknown"],
            REJECTS,
            REJECTS,
            REJECTS,
        ),
        // Istio reads a child without a platform as linux/amd64; podman does so only in an OCI
        // index.
        (&[""], ISTIO, MAISTRA, REJECTS),
        (&["linux/arm64", ""], ISTIO, MAISTRA, REJECTS),
        (&["unknown/unknown", ""], ISTIO, MAISTRA, REJECTS),
        // podman does not accept a variant.
        (&["linux/amd64/v3"], ISTIO, REJECTS, REJECTS),
        (&[], REJECTS, REJECTS, REJECTS),
    ] {
        for (index, maistra) in [(OCI_INDEX, in_oci_index), (DOCKER_INDEX, in_docker_index)] {
            for (manifest, layer) in [(OCI_MANIFEST, OCI_GZIP), (DOCKER_MANIFEST, DOCKER_GZIP)] {
                let layout = Layout::new();
                let image = layout.image(manifest, &[(layer, gzip(&three_files()))]);
                let children: Vec<_> = platforms
                    .iter()
                    .map(|platform| match *platform {
                        "" => image.clone(),
                        platform => with_platform(image.clone(), platform),
                    })
                    .collect();
                let report = layout.check(&[layout.index(index, &children)]);
                let case = format!("{platforms:?} in {index}");
                assert_verdicts(&case, &report, istio, maistra);
                let has_attestation = platforms.contains(&"unknown/unknown");
                let warns = report.to_string().contains("it has an attestation");
                assert_eq!(warns, istio == ISTIO && has_attestation, "{case}");
            }
        }
    }
}

#[test]
fn index_without_an_image_for_linux_amd64_says_how_to_fix_it() {
    let layout = Layout::new();
    let image = image(&layout);
    let report =
        layout.check(&[layout.index(OCI_INDEX, &[with_platform(image.clone(), "linux/arm64")])]);
    let line = lines(&report).join("\n");
    assert!(
        line.ends_with(
            "no child with platform linux/amd64 in index (it has \"linux/arm64\"); build for \
             --platform linux/amd64, on any machine: meshes select this image from an index; or \
             push \
             an image without an index"
        ),
        "{line}"
    );
    // Without an index, the platform does not matter.
    for platform in [
        "linux/arm64",
        "wasi/wasm",
        "windows/amd64",
        "unknown/unknown",
    ] {
        let report = layout.check(&[with_platform(image.clone(), platform)]);
        assert_verdicts(platform, &report, ISTIO, MAISTRA);
    }
}

#[test]
fn first_of_several_children_for_linux_amd64_is_selected() {
    let layout = Layout::new();
    let (good, other) = (image(&layout), other_image(&layout));
    for (children, istio) in [
        (
            [
                with_platform(good.clone(), "linux/amd64"),
                with_platform(other.clone(), "linux/amd64"),
            ],
            ISTIO,
        ),
        (
            [
                with_platform(other.clone(), "linux/amd64"),
                with_platform(good.clone(), "linux/amd64"),
            ],
            "rejects",
        ),
    ] {
        let report = layout.check(&[layout.index(OCI_INDEX, &children)]);
        let maistra = if istio == ISTIO { MAISTRA } else { "rejects" };
        assert_verdicts(istio, &report, istio, maistra);
    }
}

#[test]
fn image_that_only_podman_selects_is_not_checked() {
    let layout = Layout::new();
    let (good, other) = (image(&layout), other_image(&layout));
    for (first, second) in [
        (good.clone(), with_platform(other.clone(), "linux/amd64")),
        (
            with_platform(good, "linux/amd64/v3"),
            with_platform(other, "linux/amd64"),
        ),
    ] {
        let report = layout.check(&[layout.index(OCI_INDEX, &[first, second])]);
        assert_verdicts("two images", &report, ISTIO, "not checked");
        let finding = report
            .findings
            .iter()
            .find(|finding| finding.severity == Severity::NotChecked)
            .expect("a finding");
        assert_eq!(finding.not_checked_for, ["maistra"]);
        assert_eq!(
            finding.to_string(),
            "not checked: index.json: podman, which Maistra uses, selects a different image than \
             Istio; keep one image: a module runs on every platform (not checked for maistra)"
        );
    }
}

#[test]
fn only_istio_follows_an_index_in_an_index() {
    let layout = Layout::new();
    let image = image(&layout);
    let arm = layout.index(OCI_INDEX, &[with_platform(image.clone(), "linux/arm64")]);
    let amd = layout.index(OCI_INDEX, &[with_platform(image.clone(), "linux/amd64")]);
    for (case, children, istio) in [
        ("without platform", vec![amd.clone()], ISTIO),
        (
            "with platform",
            vec![with_platform(amd.clone(), "linux/amd64")],
            ISTIO,
        ),
        (
            "other platform",
            vec![with_platform(amd.clone(), "linux/arm64")],
            "rejects",
        ),
        ("without amd64", vec![arm.clone()], "rejects"),
        // The first matching child is selected, even if it has no matching image.
        (
            "without amd64, then with",
            vec![arm.clone(), amd.clone()],
            "rejects",
        ),
        (
            "of Docker's",
            vec![layout.index(DOCKER_INDEX, &[with_platform(image, "linux/amd64")])],
            ISTIO,
        ),
    ] {
        let report = layout.check(&[layout.index(OCI_INDEX, &children)]);
        assert_verdicts(case, &report, istio, "rejects");
        if istio == ISTIO {
            assert_eq!(
                reasons(&report, "maistra"),
                [
                    "index.json: podman, which Maistra uses, selects no image: its index is \
                     nested in another index; push the image without an index, or in one index that \
                     lists it for linux/amd64"
                ]
            );
        }
    }
}

#[test]
fn child_of_an_index_needs_the_media_type_of_a_manifest_for_podman() {
    let layout = Layout::new();
    let mut child = with_platform(image(&layout), "linux/amd64");
    child["mediaType"] = "text/plain".into();
    let report = layout.check(&[layout.index(OCI_INDEX, &[child])]);
    assert_verdicts("text/plain", &report, ISTIO, "rejects");
}

#[test]
fn platform_with_empty_names_matches_no_consumer() {
    let layout = Layout::new();
    let mut child = image(&layout);
    child["platform"] = serde_json::json!({});
    let report = layout.check(&[layout.index(OCI_INDEX, &[child])]);
    assert_verdicts("{}", &report, "rejects", "rejects");
}

#[test]
fn other_images_beside_this_one_are_a_warning() {
    let layout = Layout::new();
    let image = image(&layout);
    let both =
        ["linux/amd64", "linux/arm64"].map(|platform| with_platform(image.clone(), platform));
    let report = layout.check(&both);
    assert_verdicts("two images", &report, ISTIO, MAISTRA);
    assert!(
        lines(&report)[0].starts_with(
            "warning: index.json: other images in the same layout or \
         index: 1"
        ),
        "{report}"
    );
}
