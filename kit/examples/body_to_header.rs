//! Sets a request header from the JSON body, for example for a later filter or the upstream.
//!
//! Configuration: `{"field": "model", "header": "x-model", "limit": 65536}`
//!
//! It needs `allow_on_headers_stop_iteration` in Envoy's configuration of the plugin. Without it,
//! requests with a body wait forever.

use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde::Deserialize;
use serde_json::Value;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    field: String,
    header: String,
    /// The maximum length of a body, in bytes. Envoy has a limit, too.
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
        match serde_json::from_slice(&bytes).map_err(|error| error.to_string()) {
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
        Some(Box::new(BodyToHeader {
            config: Rc::clone(&self.config),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct BodyToHeader {
    config: Rc<Config>,
}

impl Context for BodyToHeader {}

impl HttpContext for BodyToHeader {
    fn on_http_request_headers(&mut self, _header_count: usize, end_of_stream: bool) -> Action {
        // Do not forward the client's header.
        self.set_http_request_header(&self.config.header, None);
        if end_of_stream {
            return Action::Continue;
        }
        Action::Pause
    }

    fn on_http_request_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        if body_size > self.config.limit {
            self.send_http_response(413, vec![], Some(b"the body is too large\n"));
            return Action::Pause;
        }
        if !end_of_stream {
            return Action::Pause;
        }
        self.set_header();
        Action::Continue
    }

    /// If there are trailers, they end the body, and no chunk of it has `end_of_stream`.
    fn on_http_request_trailers(&mut self, _trailer_count: usize) -> Action {
        self.set_header();
        Action::Continue
    }
}

impl BodyToHeader {
    fn set_header(&self) {
        let body = self
            .get_http_request_body(0, self.config.limit)
            .unwrap_or_default();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        // A value with control characters could add headers.
        let value = json[self.config.field.as_str()]
            .as_str()
            .filter(|value| value.bytes().all(|byte| byte.is_ascii_graphic()));
        if value.is_some() {
            self.set_http_request_header(&self.config.header, value);
        }
    }
}
