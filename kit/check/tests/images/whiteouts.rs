//! Whiteouts, which remove files of lower layers. Istio and Envoy Gateway do not apply them.

use crate::layout::*;

const ISTIO: &str = "accepts plugin.wasm";
const MAISTRA: &str = "accepts a.wasm";

/// Checks an image with these layers.
fn check_all(layers: &[&[(&str, &[u8])]]) -> proxy_wasm_check::Report {
    let layers: Vec<_> = layers
        .iter()
        .map(|files| (OCI_GZIP, gzip(&tar(files))))
        .collect();
    check_layers(OCI_MANIFEST, &layers)
}

#[test]
fn whiteouts_of_upper_layers_remove_files_of_lower_ones() {
    let module = module();
    let lower: &[(&str, &[u8])] = &[("a.wasm", &module), ("manifest.yaml", MANIFEST)];
    let plugin = ("plugin.wasm", &module[..]);
    for (upper, maistra) in [
        (&[plugin][..], MAISTRA),
        (&[plugin, (".wh.a.wasm", b"")], "rejects"),
        (&[(".wh.a.wasm", b""), plugin], "rejects"),
        (&[plugin, (".wh.manifest.yaml", b"")], "rejects"),
        (&[plugin, (".wh.other", b"")], MAISTRA),
        (&[plugin, (".wh..wh..opq", b"")], "rejects"),
        (&[plugin, ("lib/.wh..wh..opq", b"")], MAISTRA),
        (
            &[plugin, (".wh..wh.aufs", b""), (".wh..wh.plnk/1", b"")],
            MAISTRA,
        ),
    ] {
        let names: Vec<_> = upper.iter().map(|file| file.0).collect();
        let report = check_all(&[lower, upper]);
        assert_verdicts(&format!("{names:?}"), &report, ISTIO, maistra);
    }
}

#[test]
fn removed_file_can_be_added_again() {
    let module = module();
    let whole: &[(&str, &[u8])] = &[("a.wasm", &module), ("manifest.yaml", MANIFEST)];
    let plugin = ("plugin.wasm", &module[..]);
    let again: &[(&str, &[u8])] = &[("a.wasm", &module), plugin];
    let report = check_all(&[whole, &[(".wh.a.wasm", b"")], again]);
    assert_verdicts("in another layer", &report, ISTIO, MAISTRA);
    // An opaque whiteout hides only lower layers, whatever its position in its own layer.
    for opaque in [0, 3] {
        let mut upper = vec![whole[0], whole[1], plugin];
        upper.insert(opaque, (".wh..wh..opq", b""));
        assert_verdicts("opaque", &check_all(&[whole, &upper]), ISTIO, MAISTRA);
    }
}

/// podman applies whiteouts in the order of the entries.
#[test]
fn whiteout_removes_earlier_entries_of_its_own_layer() {
    let module = module();
    let rest: [(&str, &[u8]); 2] = [("manifest.yaml", MANIFEST), ("plugin.wasm", &module)];
    let (file, whiteout) = (("a.wasm", &module[..]), (".wh.a.wasm", &b""[..]));
    let before = [&[whiteout, file], &rest[..]].concat();
    let after = [&[file, whiteout], &rest[..]].concat();
    assert_verdicts("before", &check_files(&before), ISTIO, MAISTRA);
    assert_verdicts("after", &check_files(&after), ISTIO, "rejects");
}

#[test]
fn whiteouts_of_directories_remove_all_in_them() {
    let module = module();
    let manifest: &[u8] = b"module: d/a.wasm";
    let lower: &[(&str, &[u8])] = &[("d/a.wasm", &module), ("manifest.yaml", manifest)];
    let plugin = ("plugin.wasm", &module[..]);
    for (upper, maistra) in [
        (&[plugin, (".wh.d", b"")][..], "rejects"),
        (&[plugin, ("d/.wh..wh..opq", b"")], "rejects"),
        (&[plugin, ("d/.wh.b.wasm", b"")], "accepts d/a.wasm"),
        (
            &[("d/.wh..wh..opq", b""), ("d/a.wasm", &module), plugin],
            "accepts d/a.wasm",
        ),
    ] {
        let names: Vec<_> = upper.iter().map(|file| file.0).collect();
        let report = check_all(&[lower, upper]);
        assert_verdicts(&format!("{names:?}"), &report, ISTIO, maistra);
    }
}

#[test]
fn istio_does_not_apply_whiteouts() {
    let module = module();
    let whole: &[(&str, &[u8])] = &[
        ("a.wasm", &module),
        ("manifest.yaml", MANIFEST),
        ("plugin.wasm", &module),
    ];
    // If the whiteout is in the same layer, Istio reads the file. A layer that has only the
    // whiteout has no module.
    let with_whiteout = [whole, &[(".wh.plugin.wasm", b"")]].concat();
    assert_verdicts("same layer", &check_files(&with_whiteout), ISTIO, MAISTRA);
    let report = check_all(&[whole, &[(".wh.plugin.wasm", b"")]]);
    assert_verdicts("upper layer", &report, "rejects", MAISTRA);
    let report = check_all(&[whole, &[(".wh.plugin.wasm", &module)]]);
    assert_verdicts("upper layer", &report, "rejects", MAISTRA);
}

#[test]
fn file_and_directory_replace_each_other() {
    let module = module();
    let whole: &[(&str, &[u8])] = &[
        ("a.wasm", &module),
        ("manifest.yaml", MANIFEST),
        ("plugin.wasm", &module),
    ];
    let report = check_all(&[&[("a.wasm/x", b"")], whole]);
    assert_verdicts("file", &report, ISTIO, MAISTRA);
    let report = check_all(&[whole, &[("a.wasm/", b""), whole[2]]]);
    assert_verdicts("directory", &report, ISTIO, "rejects");
    let report = check_all(&[&[("x", b""), ("a.wasm -> x", b"")], whole]);
    assert_verdicts("link", &report, ISTIO, MAISTRA);
}
