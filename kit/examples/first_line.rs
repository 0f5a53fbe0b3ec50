//! Closes TCP connections whose first line does not have the configured prefix.
//!
//! Configuration: `{"prefix": "SSH-2.0-", "limit": 255}`

use std::rc::Rc;

use log::{error, info};
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde::Deserialize;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    prefix: String,
    /// The maximum length of a line, in bytes. Envoy has a limit, too.
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

    fn create_stream_context(&self, _context_id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(FirstLine {
            config: Rc::clone(&self.config),
            is_accepted: false,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }
}

struct FirstLine {
    config: Rc<Config>,
    is_accepted: bool,
}

impl Context for FirstLine {}

impl StreamContext for FirstLine {
    fn on_downstream_data(&mut self, data_size: usize, end_of_stream: bool) -> Action {
        if self.is_accepted {
            return Action::Continue;
        }
        // The data that is held is passed again, together with the data that arrives next.
        let data = self.get_downstream_data(0, self.config.limit);
        let data = data.unwrap_or_default();
        let is_complete = data.contains(&b'\n') || data_size >= self.config.limit || end_of_stream;
        if !is_complete {
            return Action::Pause;
        }
        self.is_accepted = data.starts_with(self.config.prefix.as_bytes());
        if self.is_accepted {
            return Action::Continue;
        }
        let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
        info!("rejected: {}", line.escape_ascii());
        self.close_downstream();
        Action::Pause
    }
}
