//! The recipes in `examples/`: what each does in the embedded proxy, and that it does it in Envoy.
#![cfg(not(target_family = "wasm"))]

#[path = "../support/upstream.rs"]
mod upstream;

mod body;
mod http_call;
mod logging;
mod metrics;
mod request_header;
mod shared_data;

use anyhow::Result;
use proxy_wasm_test::envoy::{self, Configuration, Envoy};
use proxy_wasm_test::{Error, Proxy};
use extension_kit::testing::{example, example_path, project};

/// An Envoy that passes requests through an example to the service in `support/upstream.rs`, which
/// the example can call as well: the cluster `upstream`.
fn envoy(name: &str, configuration: &str) -> Result<Envoy> {
    let binary = envoy::find_or_fetch(&project().target())?;
    let configuration = Configuration::Text(configuration.to_owned());
    Envoy::start(
        &binary,
        &example_path(name),
        &configuration,
        upstream::start()?,
    )
}

/// The message with which an example refuses a configuration.
#[track_caller]
fn refusal(name: &str, configuration: &str) -> String {
    let proxy = Proxy::load(example(name)).expect("a module");
    let Err(Error::Rejected { log, .. }) = proxy.reconfigure(configuration) else {
        panic!("{configuration} was accepted");
    };
    log[0].message.clone()
}

#[test]
fn a_refusal_is_no_longer_than_a_log_line_can_take() {
    let configuration = format!("{{\"{}\": 1}}", "k".repeat(1 << 20));
    for name in ["body", "http_call", "request_header"] {
        let refusal = refusal(name, &configuration);
        assert!(refusal.contains("unknown field `kkk"), "{name}: {refusal}");
        assert!(refusal.len() < 1000, "{name}: {} bytes", refusal.len());
    }
}

#[test]
fn each_example_is_tried_here() {
    assert_eq!(
        project().examples(),
        [
            "body",
            "http_call",
            "logging",
            "metrics",
            "request_header",
            "shared_data"
        ]
    );
}
