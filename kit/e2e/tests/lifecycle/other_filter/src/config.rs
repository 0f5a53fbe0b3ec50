//! The plugin configuration: a JSON object with the name of a header.

use serde::Deserialize;

#[cfg(test)]
mod tests;

/// An accepted configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The request header that gets the host.
    pub header: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header: "x-tenant".to_owned(),
        }
    }
}

impl Config {
    /// Reads the plugin configuration.
    ///
    /// # Errors
    ///
    /// A message for the operator.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes).map_err(|error| format!("{error:.500}"))
    }
}
