//! Asks a service whether a request is allowed.
//!
//! Configuration: `{"cluster": "authorization", "authority": "authorization.example", "path": "/check",
//! "timeout_milliseconds": 200, "fail_open": false}`

use std::rc::Rc;
use std::time::Duration;

use log::{error, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, Status};
use serde::Deserialize;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The service's cluster in the proxy.
    cluster: String,
    authority: String,
    path: String,
    timeout_milliseconds: u32,
    /// Whether requests are allowed if the service gives no decision: it cannot be reached, or
    /// responds with a status other than 200, 401 and 403. By default, they are not.
    #[serde(default)]
    fail_open: bool,
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
        let config = Rc::clone(&self.config);
        Some(Box::new(AuthorizationFilter { config }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct AuthorizationFilter {
    config: Rc<Config>,
}

impl AuthorizationFilter {
    fn ask(&self) -> Result<u32, Status> {
        let token = self.get_http_request_header_bytes("authorization");
        // A value that is not UTF-8 is not a valid token.
        let token = token.and_then(|token| String::from_utf8(token).ok());
        let mut headers = vec![
            (":method", "GET"),
            (":path", self.config.path.as_str()),
            (":authority", self.config.authority.as_str()),
        ];
        headers.extend(token.as_deref().map(|token| ("authorization", token)));
        let timeout = Duration::from_millis(self.config.timeout_milliseconds.into());
        self.dispatch_http_call(&self.config.cluster, headers, None, vec![], timeout)
    }

    /// Decides by the configuration if the service gives no decision. Returns whether the request is
    /// allowed.
    fn allows_without_decision(&self, reason: &str) -> bool {
        warn!("no decision from {}: {reason}", self.config.cluster);
        if !self.config.fail_open {
            self.send_http_response(503, vec![], Some(b"cannot check your access now\n"));
        }
        self.config.fail_open
    }
}

impl Context for AuthorizationFilter {
    fn on_http_call_response(&mut self, _: u32, header_count: usize, _: usize, _: usize) {
        // Without headers, the call has failed, and reading a header would panic.
        let status = if header_count > 0 {
            self.get_http_call_response_header_bytes(":status")
        } else {
            None
        };
        let passes = match status.as_deref() {
            Some(b"200") => true,
            Some(b"401" | b"403") => {
                self.send_http_response(403, vec![], Some(b"access denied\n"));
                false
            }
            // Envoy itself responds with 503 if it cannot reach the service, and with 504 after a
            // timeout.
            Some(status) => self.allows_without_decision(&String::from_utf8_lossy(status)),
            None => self.allows_without_decision("the call failed"),
        };
        if passes {
            self.resume_http_request();
        }
    }
}

impl HttpContext for AuthorizationFilter {
    fn on_http_request_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        match self.ask() {
            // The request waits for `on_http_call_response`.
            Ok(_) => Action::Pause,
            Err(status) if self.allows_without_decision(&format!("{status:?}")) => Action::Continue,
            // A response has been sent, so the request must not reach the upstream.
            Err(_) => Action::Pause,
        }
    }
}
