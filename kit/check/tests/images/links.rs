//! Links in a layer. Istio and Envoy Gateway do not follow links; podman follows links inside the
//! image.

use crate::layout::*;

const ISTIO: &str = "accepts plugin.wasm";
const MAISTRA: &str = "accepts a.wasm";

#[test]
fn plugin_wasm_that_is_a_link_is_read_as_empty_by_istio() {
    let module = module();
    for link in ["plugin.wasm -> a.wasm", "plugin.wasm => a.wasm"] {
        let files: [(&str, &[u8]); 3] = [
            ("a.wasm", &module),
            ("manifest.yaml", MANIFEST),
            (link, b""),
        ];
        let report = check_files(&files);
        assert_verdicts(link, &report, "rejects", MAISTRA);
        assert!(
            reasons(&report, "istio")[0].contains("do not follow links"),
            "{report}"
        );
    }
}

#[test]
fn links_of_maistras_files_are_followed() {
    let module = module();
    let (a, plugin) = (("a.wasm", &module[..]), ("plugin.wasm", &module[..]));
    let (manifest, target) = (("manifest.yaml", MANIFEST), ("x/m", MANIFEST));
    for (files, maistra) in [
        (
            vec![a, target, ("manifest.yaml -> x/m", b""), plugin],
            MAISTRA,
        ),
        (
            vec![a, target, ("manifest.yaml -> /x/m", b""), plugin],
            MAISTRA,
        ),
        (
            vec![a, target, ("manifest.yaml => x/m", b""), plugin],
            MAISTRA,
        ),
        (
            vec![("x", &module), manifest, ("a.wasm -> x", b""), plugin],
            MAISTRA,
        ),
        (
            vec![("x", &module), manifest, ("a.wasm -> /x", b""), plugin],
            MAISTRA,
        ),
        // A link does not lead out of the root.
        (
            vec![("x", &module), manifest, ("a.wasm -> ../../x", b""), plugin],
            MAISTRA,
        ),
        (
            vec![manifest, ("a.wasm -> ../../etc/passwd", b""), plugin],
            "rejects",
        ),
        (
            vec![manifest, ("a.wasm -> b", b""), ("b -> a.wasm", b""), plugin],
            "rejects",
        ),
        (
            vec![("x", &module), manifest, ("a.wasm => x", b""), plugin],
            MAISTRA,
        ),
        (
            vec![("x", &module), manifest, ("a.wasm => ../x", b""), plugin],
            MAISTRA,
        ),
        (
            vec![
                ("x", &module),
                ("s -> x", b""),
                manifest,
                ("a.wasm => s", b""),
                plugin,
            ],
            MAISTRA,
        ),
        // The target of a hard link must be an earlier entry.
        (
            vec![manifest, ("a.wasm => x", b""), ("x", &module), plugin],
            "rejects",
        ),
        (
            vec![manifest, ("a.wasm => ../etc/passwd", b""), plugin],
            "rejects",
        ),
        (
            vec![plugin, manifest, ("a.wasm => plugin.wasm", b"")],
            MAISTRA,
        ),
    ] {
        let names: Vec<_> = files.iter().map(|file| file.0).collect();
        assert_verdicts(&format!("{names:?}"), &check_files(&files), ISTIO, maistra);
    }
}

#[test]
fn links_to_directories_are_followed() {
    let module = module();
    let plugin = ("plugin.wasm", &module[..]);
    for (files, maistra) in [
        (
            vec![
                ("d/a.wasm", &module[..]),
                ("e -> d", b""),
                ("manifest.yaml", b"module: e/a.wasm"),
                plugin,
            ],
            "accepts e/a.wasm",
        ),
        (
            vec![
                ("x/", b""),
                ("d -> x", b""),
                ("d/a.wasm", &module),
                ("manifest.yaml", b"module: x/a.wasm"),
                plugin,
            ],
            "accepts x/a.wasm",
        ),
        (
            vec![
                ("x/", b""),
                ("d -> x", b""),
                ("d/a.wasm", &module),
                ("manifest.yaml", b"module: d/a.wasm"),
                plugin,
            ],
            "accepts d/a.wasm",
        ),
        (
            vec![
                ("d -> x", b""),
                ("d/a.wasm", &module),
                ("manifest.yaml", b"module: d/a.wasm"),
                plugin,
            ],
            "rejects",
        ),
    ] {
        let names: Vec<_> = files.iter().map(|file| file.0).collect();
        assert_verdicts(&format!("{names:?}"), &check_files(&files), ISTIO, maistra);
    }
}

#[test]
fn link_that_only_maistra_follows_is_a_warning() {
    let module = module();
    let report = check_files(&[
        ("x", &module),
        ("manifest.yaml", MANIFEST),
        ("a.wasm -> x", b""),
        ("plugin.wasm", &module),
    ]);
    assert_eq!(
        lines(&report),
        [
            "warning: a.wasm: it is a link to \"x\", which only Maistra follows; put the file in its \
             place"
        ]
    );
}

#[test]
fn hard_and_symbolic_links_can_refer_to_lower_layers() {
    let module = module();
    let lower = [("a.wasm", &module[..]), ("x/", b""), ("d -> x", b"")];
    for (files, maistra) in [
        (
            [
                ("b.wasm => a.wasm", &b""[..]),
                ("manifest.yaml", b"module: b.wasm"),
            ],
            "accepts b.wasm",
        ),
        (
            [
                ("d/b.wasm", &module),
                ("manifest.yaml", b"module: x/b.wasm"),
            ],
            "accepts x/b.wasm",
        ),
        // A directory replaces a link.
        (
            [("d/", b""), ("manifest.yaml", b"module: d/a.wasm")],
            "rejects",
        ),
    ] {
        let upper = [&files[..], &[("plugin.wasm", &module)]].concat();
        let layers = [&lower[..], &upper].map(|files| (OCI_GZIP, gzip(&tar(files))));
        let report = check_layers(OCI_MANIFEST, &layers);
        assert_verdicts(files[0].0, &report, ISTIO, maistra);
    }
}
