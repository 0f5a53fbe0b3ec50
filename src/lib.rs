//! A Proxy-Wasm extension that appends headers to every HTTP response.
//!
//! Entry point: a proxy runs this code when it starts the extension in a new VM.
//!
//! Modules:
//!
//! - `config` reads the configuration: defaults, parsing, checks. It makes no host calls.
//! - `filter` processes traffic: the root context and the HTTP contexts.

mod config;
// Unit tests in wasm run without a proxy, so nothing provides the host calls that this module
// imports.
#[cfg(not(all(test, target_family = "wasm")))]
mod filter;

#[cfg(not(all(test, target_family = "wasm")))]
proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(filter::Plugin::default()));
}}
