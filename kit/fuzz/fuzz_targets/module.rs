//! Any bytes as a module, by every rule of the check.
#![no_main]

use extension_kit::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let report = check::module(bytes);
    for finding in &report.findings {
        assert!(!finding.to_string().contains(char::is_control), "{finding}");
    }
});
