//! The extension in a real Envoy.
#![cfg(not(target_family = "wasm"))]

use proxy_wasm_test::{cases, module_path};

#[test]
fn cases_pass_in_envoy() -> Result<(), cases::Failed> {
    cases::check_in_envoy(&module_path(), "tests/cases")
}
