//! Asks one service who the client is, then another one what this user may do. The second call
//! needs the response of the first.
//!
//! Configuration: `{"sessions": "sessions", "permissions": "permissions", "timeout_milliseconds": 200}`,
//! where `sessions` and `permissions` are clusters.

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
    sessions: String,
    permissions: String,
    timeout_milliseconds: u32,
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
        let state = State::AwaitsUser;
        Some(Box::new(PermissionFilter { config, state }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Which response the request waits for.
enum State {
    AwaitsUser,
    AwaitsPermission { user: String },
}

struct PermissionFilter {
    config: Rc<Config>,
    state: State,
}

impl PermissionFilter {
    fn call(&self, cluster: &str, path: &str, header: (&str, &str)) -> Result<u32, Status> {
        let headers = vec![
            (":method", "GET"),
            (":path", path),
            (":authority", cluster),
            header,
        ];
        let timeout = Duration::from_millis(self.config.timeout_milliseconds.into());
        self.dispatch_http_call(cluster, headers, None, vec![], timeout)
    }

    fn ask_for_user(&self) -> Result<u32, Status> {
        let session = self.get_http_request_header_bytes("x-session");
        let session = session.and_then(|session| String::from_utf8(session).ok());
        let session = session.unwrap_or_default();
        self.call(&self.config.sessions, "/user", ("x-session", &session))
    }

    fn ask_for_permission(&self, user: &str) -> Result<u32, Status> {
        self.call(&self.config.permissions, "/permission", ("x-user", user))
    }

    fn respond_if_failed(&self, call: Result<u32, Status>) {
        if let Err(status) = call {
            warn!("cannot call a service: {status:?}");
            self.send_http_response(503, vec![], Some(b"cannot check your access now\n"));
        }
    }
}

impl Context for PermissionFilter {
    fn on_http_call_response(&mut self, _: u32, header_count: usize, body_size: usize, _: usize) {
        // Without headers, the call has failed, and reading a header would panic.
        let status = if header_count > 0 {
            self.get_http_call_response_header_bytes(":status")
        } else {
            None
        };
        match (&self.state, status.as_deref()) {
            (State::AwaitsUser, Some(b"200")) => {
                let body = self.get_http_call_response_body(0, body_size);
                let user = String::from_utf8(body.unwrap_or_default()).unwrap_or_default();
                self.respond_if_failed(self.ask_for_permission(&user));
                self.state = State::AwaitsPermission { user };
            }
            (State::AwaitsPermission { user }, Some(b"200")) => {
                self.set_http_request_header("x-user", Some(user));
                self.resume_http_request();
            }
            (_, Some(b"401" | b"403" | b"404")) => {
                self.send_http_response(403, vec![], Some(b"access denied\n"));
            }
            (_, status) => {
                let status = String::from_utf8_lossy(status.unwrap_or(b"no status"));
                warn!("a call failed: {status}");
                self.send_http_response(503, vec![], Some(b"cannot check your access now\n"));
            }
        }
    }
}

impl HttpContext for PermissionFilter {
    fn on_http_request_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        self.respond_if_failed(self.ask_for_user());
        // The request waits for `on_http_call_response`. If the call failed, a response has been
        // sent, and the request must not reach the upstream.
        Action::Pause
    }
}
