//! Updates the configuration of a running Envoy.

use anyhow::{Result, bail, ensure};
use proxy_wasm_test::envoy::{Builder, Configuration, Envoy};
use proxy_wasm_test::http;

use crate::{module_path, start_upstream};

/// An Envoy with the template's module and the upstream, without a listener.
pub fn builder() -> Result<Builder> {
    Ok(Envoy::builder(&module_path(), start_upstream()?))
}

/// A configuration that is text, as meshes pass it.
pub fn text(configuration: &str) -> Configuration {
    Configuration::Text(configuration.to_owned())
}

/// An invalid configuration, and a part of its error message. `index` selects the kind of error.
///
/// Each index has another configuration, because Envoy does not pass a rejected configuration to
/// the extension again.
pub fn rejected(index: u64) -> (Configuration, &'static str) {
    let value = format!("rejected-{index}");
    match index % 9 {
        0 => (text(&format!("{{\n  \"{value}\": }}")), "line 2 column"),
        1 => (
            text(&format!("[{value:?}]")),
            "a JSON array has no header names",
        ),
        2 => (text(&format!("{{{value:?}: 1}}")), "write it in quotes"),
        3 => (
            text(&format!("{{\"host\": {value:?}}}")),
            "frames or routes the message",
        ),
        4 => (
            text(&format!("{{\"a b\": {value:?}}}")),
            "is not a header name",
        ),
        5 => (text(&format!("{value}\nx-b: {value}")), "U+000A"),
        6 => (
            text(&format!("{{\"date\": {value:?}}}")),
            "may occur only once",
        ),
        7 => (text(&format!("\n\u{12}{value}")), "protobuf message"),
        // The first of three bytes is 0xff.
        _ => (Configuration::Base64(format!("/w{index:02}")), "UTF-8"),
    }
}

/// Updates a listener with an invalid configuration. Envoy has to reject it with the extension's
/// message.
pub fn ensure_rejects(envoy: &mut Envoy, listener: &str, index: u64) -> Result<()> {
    let (configuration, message) = rejected(index);
    let error = match envoy.update_listener(listener, &configuration) {
        Ok(()) => bail!("accepted: {configuration:?}"),
        Err(error) => format!("{error:#}"),
    };
    ensure!(error.contains("configuration rejected: "), "{error}");
    ensure!(error.contains(message), "{message:?} is not in {error}");
    Ok(())
}

/// Sends a request on a new connection. The response must have only this value.
pub fn ensure_responds_with(url: &str, value: &str) -> Result<()> {
    let response = http::get(url)?;
    ensure!(
        response.header("custom-header") == [value],
        "not {value}: {response:?}"
    );
    Ok(())
}
