//! Replaces text in response bodies.
//!
//! Configuration: `{"find": "http://", "replace": "https://", "limit": 65536}`

use std::rc::Rc;

use log::{error, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde::Deserialize;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    find: String,
    replace: String,
    /// The maximum length of a body that is changed, in bytes. Each request in progress may use
    /// that much memory.
    limit: usize,
}

#[derive(Default)]
struct Plugin {
    config: Rc<Config>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, _configuration_size: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        match serde_json::from_slice::<Config>(&bytes).map_err(|error| error.to_string()) {
            Ok(config) if config.find.is_empty() => {
                error!("configuration rejected: find is empty; write the text to replace");
                false
            }
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
        Some(Box::new(BodyFilter {
            config: Rc::clone(&self.config),
            looks: false,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct BodyFilter {
    config: Rc<Config>,
    /// Whether this response's body is searched.
    looks: bool,
}

impl Context for BodyFilter {}

impl HttpContext for BodyFilter {
    fn on_http_response_headers(&mut self, _header_count: usize, end_of_stream: bool) -> Action {
        // A compressed body cannot be searched.
        let is_encoded = self
            .get_http_response_header_bytes("content-encoding")
            .is_some();
        self.looks = !end_of_stream && !is_encoded;
        if self.looks {
            // The headers are forwarded before the body, whose length will change.
            self.set_http_response_header("content-length", None);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        if !self.looks {
            return Action::Continue;
        }
        // While we pause, the proxy keeps the chunks, and `body_size` is the size of all of them.
        if body_size > self.config.limit {
            warn!(
                "a body is larger than {} bytes, so it is not changed",
                self.config.limit
            );
            self.looks = false;
            return Action::Continue;
        }
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self
            .get_http_response_body(0, body_size)
            .unwrap_or_default();
        // Bytes that are not UTF-8 do not change.
        if let Ok(text) = std::str::from_utf8(&body)
            && text.contains(&self.config.find)
        {
            let text = text.replace(&self.config.find, &self.config.replace);
            self.set_http_response_body(0, body_size, text.as_bytes());
        }
        Action::Continue
    }
}
