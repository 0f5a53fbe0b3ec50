//! What happens to traffic.

use std::rc::Rc;

use log::{error, info};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::config::Config;

/// The root context: one for each configured use of the extension in a VM.
///
/// It outlives requests and holds the configuration that new requests begin with.
#[derive(Default)]
pub struct Plugin {
    config: Rc<Config>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    /// Takes a new configuration. `false` tells the proxy that it is refused.
    fn on_configure(&mut self, _configuration_size: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        match Config::parse(&configuration) {
            Ok(config) => {
                info!("appending to every response: {config}");
                self.config = Rc::new(config);
                true
            }
            Err(error) => {
                error!("configuration refused: {error}");
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        // Sharing costs a reference count, and a request keeps the configuration it began with.
        Some(Box::new(Exchange {
            config: Rc::clone(&self.config),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The HTTP context: one for each request and its response.
struct Exchange {
    config: Rc<Config>,
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_response_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        for (name, value) in self.config.headers() {
            self.add_http_response_header(name, value);
        }
        Action::Continue
    }
}
