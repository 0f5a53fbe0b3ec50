//! The root context and the HTTP contexts.

use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::config::Config;

/// The root context.
#[derive(Default)]
pub struct Plugin {
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
                error!("configuration rejected: {error}");
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(TenantFilter {
            config: Rc::clone(&self.config),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The HTTP context.
struct TenantFilter {
    config: Rc<Config>,
}

impl Context for TenantFilter {}

impl HttpContext for TenantFilter {
    fn on_http_request_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        let host = self.get_http_request_header_bytes(":authority");
        let host = host.unwrap_or_default();
        self.set_http_request_header_bytes(&self.config.header, Some(&host));
        Action::Continue
    }
}
