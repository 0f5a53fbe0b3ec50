#![cfg(not(target_family = "wasm"))]
use extension_kit::testing::example;
#[test]
fn x() {
    for n in [
        "body",
        "http_call",
        "logging",
        "metrics",
        "request_header",
        "shared_data",
    ] {
        eprintln!("{n} {}", example(n).bytes().len());
    }
}
