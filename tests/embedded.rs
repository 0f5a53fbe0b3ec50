//! The cases in tests/cases, and what they cannot express, in the embedded proxy.
#![cfg(not(target_family = "wasm"))]

use proxy_wasm_test::{Error, Proxy, cases, extension};

/// The maximum memory, in pages of 64 KiB. Rust reserves 16 of them for the stack, and
/// `cargo make build` reserves one.
const MAX_PAGES: u64 = 20;

#[test]
fn cases_pass() -> Result<(), cases::Failed> {
    cases::check(&extension(), "tests/cases")
}

#[test]
fn memory_is_small_and_does_not_grow() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure("test")?;
    let pages = proxy.memory_pages();
    assert!(pages <= MAX_PAGES, "{pages}");
    for _ in 0..1_000 {
        proxy.request("GET", "/").respond(200)?;
    }
    assert_eq!(proxy.memory_pages(), pages);
    Ok(())
}
