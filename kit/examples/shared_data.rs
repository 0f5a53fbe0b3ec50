//! Numbers the requests of all workers of a proxy in the header `x-request-number`.

use log::{error, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, Status};

/// The key of the shared value. All extensions with the same `vm_id` see it, so it has a prefix.
const KEY: &str = "example.requests";

/// The number of tries if other workers are faster.
const TRIES: usize = 10;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Plugin));
}}

struct Plugin;

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, _configuration_size: usize) -> bool {
        // The first value gives the key a version, so that two workers cannot both set it for the
        // first time. Envoy configures a VM on its main thread before those of the workers.
        if let (None, None) = self.get_shared_data(KEY)
            && let Err(status) = self.set_shared_data(KEY, Some(&0_u64.to_le_bytes()), None)
        {
            error!("cannot set the shared number of requests: {status:?}");
            return false;
        }
        true
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(RequestCounter))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct RequestCounter;

impl RequestCounter {
    /// Increments the number. `None` if too many other workers do so at the same time.
    fn count(&self) -> Option<u64> {
        for _ in 0..TRIES {
            let (bytes, version) = self.get_shared_data(KEY);
            let bytes = <[u8; 8]>::try_from(bytes?).ok()?;
            let number = u64::from_le_bytes(bytes).wrapping_add(1);
            // The proxy sets the value only if its version has not changed.
            match self.set_shared_data(KEY, Some(&number.to_le_bytes()), version) {
                Ok(()) => return Some(number),
                // Another worker was faster. Try again with its number.
                Err(Status::CasMismatch) => (),
                Err(status) => {
                    warn!("cannot set the shared number of requests: {status:?}");
                    return None;
                }
            }
        }
        warn!("gave up after {TRIES} tries to count a request");
        None
    }
}

impl Context for RequestCounter {}

impl HttpContext for RequestCounter {
    fn on_http_request_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        // Without a number, the request continues: counting must not cause an outage.
        let number = self.count().map(|number| number.to_string());
        self.set_http_request_header("x-request-number", number.as_deref());
        Action::Continue
    }
}
