//! Logs a line when a request has ended. The level depends on the status.

use std::time::SystemTime;

use log::{Level, log};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    // The level of the SDK. The proxy has its own level, and drops lines below it.
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
    /// A header value for a log line. It is read as bytes, because the SDK's method that returns a
    /// `String` panics if the value is not UTF-8, and clients may send such values.
    fn text(bytes: Option<Vec<u8>>) -> String {
        let bytes = bytes.unwrap_or_else(|| b"-".to_vec());
        // Control characters are escaped, so that clients cannot add lines to the log.
        String::from_utf8_lossy(&bytes).escape_debug().to_string()
    }
}

impl Context for RequestLog {}

impl HttpContext for RequestLog {
    fn on_http_request_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        self.begin = Some(self.get_current_time());
        Action::Continue
    }

    /// The stream has ended. If it was reset, there may be no status.
    fn on_log(&mut self) {
        let method = Self::text(self.get_http_request_header_bytes(":method"));
        let path = Self::text(self.get_http_request_header_bytes(":path"));
        // The query may have personal data: tokens, names, addresses.
        let path = path.split('?').next().unwrap_or_default();
        let status = Self::text(self.get_http_response_header_bytes(":status"));
        // The clock may have been set back in the meantime.
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
