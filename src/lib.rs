//! A proxy extension that appends headers to every HTTP response.
//!
//! Three rooms, in the order in which a request meets them:
//!
//! - this file is the door: what the proxy calls first;
//! - `config` is what operators write: parse, check, defaults. It knows no proxy;
//! - `filter` is what happens to traffic.
//!
//! The filter is left out of unit tests in wasm: nothing answers its host calls outside a proxy.

mod config;
#[cfg(not(all(test, target_family = "wasm")))]
mod filter;

#[cfg(not(all(test, target_family = "wasm")))]
proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(filter::Plugin::default()));
}}
