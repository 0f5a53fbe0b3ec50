//! The extension in the embedded proxy.
#![cfg(not(target_family = "wasm"))]

use proxy_wasm_test::{cases, extension};

#[test]
fn cases_pass() -> Result<(), cases::Failed> {
    cases::check(&extension(), "tests/cases")
}
