//! The root context and the HTTP contexts.

use std::rc::Rc;

use log::{error, info};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::config::Config;

/// The root context. Each VM has one for each plugin that uses this module.
///
/// It lives as long as the plugin and holds the configuration for new requests.
#[derive(Default)]
pub struct Plugin {
    config: Rc<Config>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    /// Reads a new configuration. If it returns `false`, the proxy rejects the configuration.
    fn on_configure(&mut self, _configuration_size: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        match Config::parse(&configuration) {
            Ok(config) => {
                info!("appending to every response: {config}");
                self.config = Rc::new(config);
                true
            }
            Err(error) => {
                // The last accepted configuration is kept.
                error!("configuration rejected: {error}");
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        // A request keeps the configuration it began with. Sharing it costs a reference count.
        Some(Box::new(HeaderFilter {
            config: Rc::clone(&self.config),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The HTTP context: one for each request and its response.
struct HeaderFilter {
    config: Rc<Config>,
}

impl Context for HeaderFilter {}

impl HttpContext for HeaderFilter {
    fn on_http_response_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        for (name, value) in self.config.headers() {
            self.add_http_response_header(name, value);
        }
        Action::Continue
    }
}
