//! Any bytes as a manifest: the check and the reader agree on which ones are good.
#![no_main]

use extension_kit::check;
use extension_kit::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (report, manifest) = check::manifest(bytes);
    for finding in &report.findings {
        assert!(!finding.to_string().contains(char::is_control), "{finding}");
    }
    if manifest.is_some() {
        assert_eq!(report.errors(), 0);
        Manifest::parse(std::str::from_utf8(bytes).expect("UTF-8")).expect("a manifest");
    }
});
