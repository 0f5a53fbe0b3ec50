//! The text of a report.

use crate::layout::*;

#[test]
fn report_of_a_good_image_fits_on_one_screen() {
    let report = check_tar(&three_files());
    let text = report.to_string();
    assert_eq!(
        text,
        format!(
            "\
Envoy          accepts it   1.17 and later   reads a.wasm
Istio          accepts it   1.12 and later   reads plugin.wasm
Envoy Gateway  accepts it   1.1 and later    reads plugin.wasm
Maistra        accepts it   2.1 to 2.2       reads a.wasm

Module:        a.wasm, {} bytes
ABI:           Proxy-Wasm 0.2.1; the module exports 1 callback
WebAssembly:   1.0
Memory:        65536 bytes in each worker thread at first; it may grow without a limit
{}Checked: 0 errors, 0 warnings",
            module().len(),
            if cfg!(feature = "trial") {
                "Trial:         the module starts\n"
            } else {
                ""
            }
        )
    );
}

#[test]
fn reasons_are_below_the_consumers_that_reject_the_image() {
    let bytes = zstd(&three_files());
    let report = check_layers(OCI_MANIFEST, &[(OCI_ZSTD, bytes)]);
    let text = report.to_string();
    let expected = format!(
        "\
Envoy          accepts it   1.17 and later   reads a.wasm
Istio          rejects it
Envoy Gateway  rejects it
    error: layer 1: its media type is \"{OCI_ZSTD}\" in an OCI manifest; compress it with gzip, as \
         {OCI_GZIP}: Istio and Envoy Gateway require it
Maistra        accepts it   2.1 to 2.2       reads a.wasm
"
    );
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.ends_with("\nChecked: 1 error, 0 warnings"), "{text}");
}

#[test]
fn consumers_with_the_same_reasons_are_together() {
    let files: [(&str, &[u8]); 3] = [
        ("a.wasm", ERROR_PAGE),
        ("manifest.yaml", MANIFEST),
        ("plugin.wasm", &module()),
    ];
    let text = check_files(&files).to_string();
    let starts: Vec<_> = text
        .lines()
        .take(5)
        .map(|line| line.get(..26).unwrap_or(line).trim_end())
        .collect();
    assert_eq!(
        starts,
        [
            "Envoy          rejects it",
            "Maistra        rejects it",
            "    error: a.wasm: it does",
            "Istio          accepts it",
            "Envoy Gateway  accepts it",
        ],
        "{text}"
    );
}

#[test]
fn warnings_follow_the_verdicts() {
    let mut layers = vec![(OCI_GZIP, gzip(&three_files()))];
    layers.push(layers[0].clone());
    let text = check_layers(OCI_MANIFEST, &layers).to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[3].starts_with("Maistra"), "{text}");
    assert_eq!(lines[4], "");
    assert!(
        lines[5].starts_with("warning: image: it has 2 layers"),
        "{text}"
    );
    assert_eq!(lines[6], "");
    assert!(lines[7].starts_with("Module:"), "{text}");
    assert!(text.ends_with("Checked: 0 errors, 1 warning"), "{text}");
}

#[test]
fn what_is_not_checked_is_neither_accepted_nor_rejected() {
    let layers = [
        ("text/plain", b"\xfd7zXZ\0\0\x04".to_vec()),
        (OCI_GZIP, gzip(&three_files())),
    ];
    let report = check_layers(OCI_MANIFEST, &layers);
    let text = report.to_string();
    assert!(
        text.contains("\nMaistra        not checked\n    not checked: layer 1: "),
        "{text}"
    );
    assert!(
        text.ends_with("Checked: 0 errors, 1 warning, 1 not checked"),
        "{text}"
    );
    let json = serde_json::to_value(&report).expect("JSON");
    let finding = &json["findings"][1];
    assert_eq!(finding["severity"], "not-checked");
    assert_eq!(finding["rejected_by"], serde_json::json!([]));
    assert_eq!(finding["not_checked_for"], serde_json::json!(["maistra"]));
    assert_eq!(json["consumers"][3]["accepts"], false);
    assert_eq!(json["consumers"][3]["since"], serde_json::Value::Null);
}
