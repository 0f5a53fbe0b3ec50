//! Checks, strips and shrinks any bytes as a module.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_wasm_check::check_module;
use proxy_wasm_module::{ModuleInfo, shrink, strip};

fuzz_target!(|bytes: &[u8]| {
    let report = check_module(bytes);
    for finding in &report.findings {
        assert!(!finding.to_string().contains(char::is_control), "{finding}");
    }
    if ModuleInfo::read(bytes).is_err() {
        assert!(shrink(bytes, None).is_err());
        return;
    }
    let stripped = strip(bytes).expect("a valid module can be stripped");
    ModuleInfo::read(&stripped).expect("a stripped module is valid");
    if let Ok(shrunk) = shrink(bytes, None) {
        assert!(shrunk.after.bytes <= shrunk.before.bytes);
        ModuleInfo::read(&shrunk.module).expect("a shrunk module is valid");
    }
});
