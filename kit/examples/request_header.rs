//! Sets a header of every request. It replaces values that the client sent.
//!
//! Configuration: `{"name": "x-environment", "value": "production"}`

use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde::Deserialize;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

// A misspelled key is an error, and not silently ignored.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    name: String,
    value: String,
}

impl Config {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if config.name.is_empty() || !config.name.bytes().all(is_name) {
            return Err("name: write lower-case letters, digits and hyphens".to_owned());
        }
        // With a line break, the value could add more headers.
        if config.value.chars().any(char::is_control) {
            return Err("value: remove the control characters".to_owned());
        }
        Ok(config)
    }
}

#[derive(Default)]
struct Plugin {
    config: Rc<Config>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, _configuration_size: usize) -> bool {
        match Config::parse(&self.get_plugin_configuration().unwrap_or_default()) {
            Ok(config) => {
                self.config = Rc::new(config);
                true
            }
            Err(error) => {
                // An error about an unknown key contains the whole key, which may be long.
                error!("configuration rejected: {error:.500}");
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        let config = Rc::clone(&self.config);
        Some(Box::new(RequestHeaderFilter { config }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct RequestHeaderFilter {
    config: Rc<Config>,
}

impl Context for RequestHeaderFilter {}

impl HttpContext for RequestHeaderFilter {
    fn on_http_request_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        // `add` would keep the client's value, and the upstream might use that one.
        self.set_http_request_header(&self.config.name, Some(&self.config.value));
        Action::Continue
    }
}
