//! Logs a line for each request that has ended, at a level that says how much it matters.

use std::time::SystemTime;

use log::{Level, log};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    // What the SDK lets through; the proxy has a level of its own, and drops what is below that.
    proxy_wasm::set_log_level(LogLevel::Debug);
    proxy_wasm::set_root_context(|_| Box::new(Plugin));
}}

struct Plugin;

impl Context for Plugin {}

impl RootContext for Plugin {
    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(RequestLog { begin: None }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct RequestLog {
    begin: Option<SystemTime>,
}

impl RequestLog {
    /// A header as it can stand in a log line. As bytes: the SDK's method that gives a `String`
    /// panics on a value that is not UTF-8, and a client may send one.
    fn text(bytes: Option<Vec<u8>>) -> String {
        let bytes = bytes.unwrap_or_else(|| b"-".to_vec());
        // Control characters escaped, so that no client writes a line of its own.
        String::from_utf8_lossy(&bytes).escape_debug().to_string()
    }
}

impl Context for RequestLog {}

impl HttpContext for RequestLog {
    fn on_http_request_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        self.begin = Some(self.get_current_time());
        Action::Continue
    }

    /// The stream has ended: answered in full, or broken off, and then there may be no status.
    fn on_log(&mut self) {
        let method = Self::text(self.get_http_request_header_bytes(":method"));
        let path = Self::text(self.get_http_request_header_bytes(":path"));
        // What follows the question mark is the user's own: tokens, names, addresses.
        let path = path.split('?').next().unwrap_or_default();
        let status = Self::text(self.get_http_response_header_bytes(":status"));
        // The clock of the machine may have been set back in between.
        let elapsed = self
            .begin
            .and_then(|begin| self.get_current_time().duration_since(begin).ok());
        let milliseconds = elapsed.unwrap_or_default().as_millis();
        let level = match status.as_bytes() {
            [b'5', ..] | b"-" => Level::Warn,
            [b'4', ..] => Level::Info,
            _ => Level::Debug,
        };
        log!(level, "{method} {path} {status} {milliseconds} ms");
    }
}
