//! A Proxy-Wasm extension that sends the requested host to the upstream.

mod config;
#[cfg(not(all(test, target_family = "wasm")))]
mod filter;

#[cfg(not(all(test, target_family = "wasm")))]
proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(filter::Plugin::default()));
}}
