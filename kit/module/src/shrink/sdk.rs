//! The names of the Rust SDK's methods, and the callbacks in which it calls them.
//!
//! The SDK's traits have a default for each method. Function names show whether a method is that
//! default:
//! `<Type as proxy_wasm::traits::T>::method` is an implementation, whatever defined it (a macro, a
//! generic type, a crate that the extension uses), and `proxy_wasm::traits::T::method` is the
//! default.

use rustc_demangle::demangle;

const TRAITS: &str = "proxy_wasm::traits::";

/// The methods that the SDK calls through trait objects: the trait, the name, and the callback in
/// which it calls the method.
const METHODS: [(&str, &str, &str); 30] = [
    ("Context", "on_done", "proxy_on_done"),
    (
        "Context",
        "on_foreign_function",
        "proxy_on_foreign_function",
    ),
    (
        "Context",
        "on_http_call_response",
        "proxy_on_http_call_response",
    ),
    ("Context", "on_grpc_call_response", "proxy_on_grpc_receive"),
    ("Context", "on_grpc_call_response", "proxy_on_grpc_close"),
    (
        "Context",
        "on_grpc_stream_initial_metadata",
        "proxy_on_grpc_receive_initial_metadata",
    ),
    ("Context", "on_grpc_stream_message", "proxy_on_grpc_receive"),
    (
        "Context",
        "on_grpc_stream_trailing_metadata",
        "proxy_on_grpc_receive_trailing_metadata",
    ),
    ("Context", "on_grpc_stream_close", "proxy_on_grpc_close"),
    ("RootContext", "on_vm_start", "proxy_on_vm_start"),
    ("RootContext", "on_configure", "proxy_on_configure"),
    ("RootContext", "on_tick", "proxy_on_tick"),
    ("RootContext", "on_queue_ready", "proxy_on_queue_ready"),
    ("RootContext", "on_log", "proxy_on_log"),
    (
        "StreamContext",
        "on_new_connection",
        "proxy_on_new_connection",
    ),
    (
        "StreamContext",
        "on_downstream_data",
        "proxy_on_downstream_data",
    ),
    (
        "StreamContext",
        "on_downstream_close",
        "proxy_on_downstream_connection_close",
    ),
    (
        "StreamContext",
        "on_upstream_data",
        "proxy_on_upstream_data",
    ),
    (
        "StreamContext",
        "on_upstream_close",
        "proxy_on_upstream_connection_close",
    ),
    ("StreamContext", "on_log", "proxy_on_log"),
    (
        "HttpContext",
        "on_http_request_headers",
        "proxy_on_request_headers",
    ),
    (
        "HttpContext",
        "on_http_request_body",
        "proxy_on_request_body",
    ),
    (
        "HttpContext",
        "on_http_request_trailers",
        "proxy_on_request_trailers",
    ),
    (
        "HttpContext",
        "on_http_response_headers",
        "proxy_on_response_headers",
    ),
    (
        "HttpContext",
        "on_http_response_body",
        "proxy_on_response_body",
    ),
    (
        "HttpContext",
        "on_http_response_trailers",
        "proxy_on_response_trailers",
    ),
    ("HttpContext", "on_log", "proxy_on_log"),
    (
        "RootContext",
        "create_http_context",
        "proxy_on_context_create",
    ),
    (
        "RootContext",
        "create_stream_context",
        "proxy_on_context_create",
    ),
    ("RootContext", "get_type", "proxy_on_context_create"),
];

/// Callbacks that every extension needs, and why.
const ESSENTIAL: [(&str, &str); 3] = [
    (
        "proxy_on_memory_allocate",
        "the proxy passes data through it",
    ),
    ("proxy_on_context_create", "the SDK creates contexts in it"),
    ("proxy_on_delete", "the SDK frees contexts in it"),
];

/// The host calls whose response arrives in callbacks. If a module makes such a call without
/// exporting the callbacks, the SDK never frees its record of the call.
const CALLS_WITH_RESPONSE: [(&str, &[&str]); 3] = [
    ("proxy_http_call", &["proxy_on_http_call_response"]),
    ("proxy_grpc_call", GRPC_CALLBACKS),
    ("proxy_grpc_stream", GRPC_CALLBACKS),
];

const GRPC_CALLBACKS: &[&str] = &[
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
];

/// The demangled name of a function.
pub fn demangled(name: &str) -> String {
    format!("{:#}", demangle(name))
}

/// Whether a function of this demangled name is the default of a method in the SDK's traits.
pub fn is_default(name: &str) -> bool {
    name.starts_with(TRAITS)
}

/// The callbacks that a function of this demangled name implements.
pub fn implemented_by(name: &str) -> Vec<&'static str> {
    let Some((_, implementation)) = name.split_once(&format!(" as {TRAITS}")) else {
        return Vec::new();
    };
    let Some((of_trait, method)) = implementation.split_once(">::") else {
        return Vec::new();
    };
    // A closure in a method has the method's name before its own.
    let method = method.split("::").next().unwrap_or(method);
    METHODS
        .into_iter()
        .filter(|(t, m, _)| *t == of_trait && *m == method)
        .map(|(.., callback)| callback)
        .collect()
}

/// Whether a function of this demangled name is a method that only extensions call. The SDK never
/// calls it through a trait object.
pub fn is_only_for_extensions(name: &str) -> bool {
    let Some((of_trait, method)) = name
        .strip_prefix(TRAITS)
        .and_then(|path| path.split_once("::"))
    else {
        return false;
    };
    !METHODS
        .iter()
        .any(|(t, m, _)| *t == of_trait && *m == method)
}

/// Whether the SDK calls methods of the extension in this callback.
pub fn calls_methods_in(callback: &str) -> bool {
    METHODS.iter().any(|(.., name)| *name == callback)
}

/// Why every extension needs this callback, if it does.
pub fn why_essential(callback: &str) -> Option<&'static str> {
    ESSENTIAL
        .iter()
        .find(|(name, _)| *name == callback)
        .map(|(_, why)| *why)
}

/// The callbacks in which the response to a host call arrives.
pub fn response_callbacks(host_call: &str) -> &'static [&'static str] {
    CALLS_WITH_RESPONSE
        .iter()
        .find(|(name, _)| *name == host_call)
        .map_or(&[], |(_, callbacks)| callbacks)
}

#[cfg(test)]
mod tests {
    use proxy_wasm_abi::{AbiVersion, CALLBACKS, callback, host_function};

    use super::*;

    #[test]
    fn only_implementations_implement_callbacks() {
        let implemented = |name| implemented_by(name).first().copied();
        assert_eq!(
            implemented("<a::B as proxy_wasm::traits::HttpContext>::on_http_request_body"),
            Some("proxy_on_request_body")
        );
        assert_eq!(
            implemented("<a::B<T> as proxy_wasm::traits::Context>::on_done::{{closure}}"),
            Some("proxy_on_done")
        );
        for name in [
            "proxy_wasm::traits::HttpContext::on_http_request_body",
            "<a::B as other::traits::HttpContext>::on_http_request_body",
            "<a::B as proxy_wasm::traits::HttpContext>::get_http_request_body",
        ] {
            assert_eq!(implemented(name), None, "{name}");
        }
    }

    #[test]
    fn methods_that_the_sdk_calls_are_not_only_for_extensions() {
        assert!(is_only_for_extensions(
            "proxy_wasm::traits::HttpContext::get_http_request_body"
        ));
        assert!(!is_only_for_extensions(
            "proxy_wasm::traits::HttpContext::on_http_request_body"
        ));
        assert!(!is_only_for_extensions(
            "proxy_wasm::traits::RootContext::create_http_context"
        ));
        assert!(!is_only_for_extensions("proxy_wasm::hostcalls::get_map"));
    }

    #[test]
    fn callbacks_and_host_calls_are_in_the_abi() {
        const VERSION: AbiVersion = AbiVersion::V0_2_1;
        let methods = METHODS.iter().map(|(.., callback)| callback);
        let essential = ESSENTIAL.iter().map(|(callback, _)| callback);
        for name in methods.chain(essential) {
            assert!(callback(name, VERSION).is_some(), "{name}");
        }
        for (name, callbacks) in CALLS_WITH_RESPONSE {
            assert!(host_function("env", name, VERSION).is_some(), "{name}");
            for name in callbacks {
                assert!(callback(name, VERSION).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn every_callback_of_the_specification_is_listed() {
        for callback in CALLBACKS {
            let name = callback.name;
            if name.starts_with("proxy_on_") && callback.section.is_some() {
                assert!(
                    calls_methods_in(name) || why_essential(name).is_some(),
                    "{name}"
                );
            }
        }
    }
}
