//! Checks any bytes as a manifest: the reader accepts each manifest that the check returns.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_wasm_check::check_manifest;
use proxy_wasm_image::manifest::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let (report, manifest) = check_manifest(bytes);
    for finding in &report.findings {
        assert!(!finding.to_string().contains(char::is_control), "{finding}");
    }
    if manifest.is_some() {
        assert_eq!(report.errors(), 0);
        Manifest::parse(std::str::from_utf8(bytes).expect("UTF-8")).expect("a manifest");
    }
});
