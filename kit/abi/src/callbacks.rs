//! The functions that a proxy calls.

use crate::function::Function;
use crate::table::functions;
use crate::version::AbiVersion::{self, V0_1_0, V0_2_0, V0_2_1};

const ONLY_0_1_0: &[AbiVersion] = &[V0_1_0];
const SINCE_0_2_0: &[AbiVersion] = &[V0_2_0, V0_2_1];

/// The callbacks: the functions that a proxy calls if a module exports them
/// (sections "Callbacks exposed by the Wasm module").
///
/// `proxy_on_request_headers` and `proxy_on_response_headers` are listed twice: in ABI 0.1.0 they
/// have two parameters.
///
/// All are optional, except that a module has to export `malloc` or `proxy_on_memory_allocate`.
/// Envoy ignores some callbacks because of other exports: see [`is_looked_up`].
///
/// The last ones are not in the specification. Envoy calls `__main_void` if there is no `main`.
/// Envoy checks the signature of `proxy_validate_configuration` and never calls it.
pub static CALLBACKS: &[Function] = functions! {
    Some("Integration") => {
        _initialize();
        main(argc: I32, argv: I32) -> I32, since(1, 18);
        _start();
    }
    Some("Memory management") => {
        proxy_on_memory_allocate(memory_size: I32) -> I32;
        malloc(memory_size: I32) -> I32;
    }
    Some("Context lifecycle") => {
        proxy_on_context_create(context_id: I32, parent_context_id: I32);
        proxy_on_done(context_id: I32) -> I32;
        proxy_on_log(context_id: I32);
        proxy_on_delete(context_id: I32);
    }
    Some("Configuration") => {
        proxy_on_vm_start(unused: I32, vm_configuration_size: I32) -> I32;
        proxy_on_configure(plugin_context_id: I32, plugin_configuration_size: I32) -> I32;
    }
    Some("Timers") => {
        proxy_on_tick(plugin_context_id: I32);
    }
    Some("TCP streams") => {
        proxy_on_new_connection(stream_context_id: I32) -> I32;
        proxy_on_downstream_data(
            stream_context_id: I32, data_size: I32, end_of_stream: I32,
        ) -> I32;
        proxy_on_downstream_connection_close(stream_context_id: I32, peer_type: I32);
        proxy_on_upstream_data(stream_context_id: I32, data_size: I32, end_of_stream: I32) -> I32;
        proxy_on_upstream_connection_close(stream_context_id: I32, peer_type: I32);
    }
    Some("HTTP streams") => {
        proxy_on_request_headers(stream_context_id: I32, num_headers: I32) -> I32, in ONLY_0_1_0;
        proxy_on_request_headers(
            stream_context_id: I32, num_headers: I32, end_of_stream: I32,
        ) -> I32, in SINCE_0_2_0;
        proxy_on_request_body(stream_context_id: I32, body_size: I32, end_of_stream: I32) -> I32;
        proxy_on_request_trailers(stream_context_id: I32, num_trailers: I32) -> I32;
        proxy_on_response_headers(stream_context_id: I32, num_headers: I32) -> I32, in ONLY_0_1_0;
        proxy_on_response_headers(
            stream_context_id: I32, num_headers: I32, end_of_stream: I32,
        ) -> I32, in SINCE_0_2_0;
        proxy_on_response_body(stream_context_id: I32, body_size: I32, end_of_stream: I32) -> I32;
        proxy_on_response_trailers(stream_context_id: I32, num_trailers: I32) -> I32;
    }
    Some("HTTP calls") => {
        proxy_on_http_call_response(
            plugin_context_id: I32, call_id: I32,
            num_headers: I32, body_size: I32, num_trailers: I32,
        );
    }
    Some("gRPC calls") => {
        proxy_on_grpc_receive_initial_metadata(
            plugin_context_id: I32, call_id: I32, num_elements: I32,
        );
        proxy_on_grpc_receive(plugin_context_id: I32, call_id: I32, message_size: I32);
        proxy_on_grpc_receive_trailing_metadata(
            plugin_context_id: I32, call_id: I32, num_elements: I32,
        );
        proxy_on_grpc_close(plugin_context_id: I32, call_id: I32, status_code: I32);
    }
    Some("Shared Queues") => {
        proxy_on_queue_ready(plugin_context_id: I32, queue_id: I32);
    }
    Some("Foreign function interface (FFI)") => {
        proxy_on_foreign_function(
            plugin_context_id: I32, function_id: I32, arguments_size: I32,
        ), in SINCE_0_2_0;
    }
    None => {
        __main_void() -> I32, since(1, 39);
        proxy_validate_configuration(plugin_context_id: I32, plugin_configuration_size: I32) -> I32;
        proxy_on_request_metadata(stream_context_id: I32, num_elements: I32) -> I32;
        proxy_on_response_metadata(stream_context_id: I32, num_elements: I32) -> I32;
        envoy_on_resolve_dns(plugin_context_id: I32, token: I32, result_size: I32);
        envoy_on_stats_update(plugin_context_id: I32, result_size: I32);
    }
};

/// The callback of this name, with the signature that it has in an ABI version.
pub fn callback(name: &str, version: AbiVersion) -> Option<&'static Function> {
    CALLBACKS
        .iter()
        .find(|callback| callback.name == name && callback.is_in(version))
}

/// Whether Envoy looks for a callback in a module that exports these functions.
///
/// - If the module exports `_initialize`, Envoy ignores `_start`. Otherwise it ignores `main` and
///   `__main_void`.
/// - If the module exports `malloc`, Envoy ignores `proxy_on_memory_allocate`.
///
/// An ignored export may have any signature. Exports that are not functions do not count.
///
/// The specification prefers `proxy_on_memory_allocate`; Envoy prefers `malloc`.
pub fn is_looked_up(callback: &str, has_function: impl Fn(&str) -> bool) -> bool {
    match callback {
        "_start" => !has_function("_initialize"),
        "main" | "__main_void" => has_function("_initialize"),
        "proxy_on_memory_allocate" => !has_function("malloc"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_callbacks_have_two_parameters_in_0_1_0() {
        for name in ["proxy_on_request_headers", "proxy_on_response_headers"] {
            let count = |version| {
                callback(name, version).map(|callback| callback.signature.parameters.len())
            };
            assert_eq!(count(V0_1_0), Some(2), "{name}");
            assert_eq!(count(V0_2_0), Some(3), "{name}");
            assert_eq!(count(V0_2_1), Some(3), "{name}");
        }
    }

    #[test]
    fn foreign_function_callback_exists_since_0_2_0() {
        assert_eq!(callback("proxy_on_foreign_function", V0_1_0), None);
        assert!(callback("proxy_on_foreign_function", V0_2_0).is_some());
    }

    #[test]
    fn markers_and_other_exports_are_not_callbacks() {
        for name in ["proxy_abi_version_0_2_1", "memory", "proxy_log", "free", ""] {
            assert_eq!(callback(name, V0_2_1), None, "{name}");
        }
    }

    #[test]
    fn names_have_a_prefix_of_callbacks() {
        const OTHERS: [&str; 6] = [
            "_initialize",
            "main",
            "_start",
            "malloc",
            "__main_void",
            "proxy_validate_configuration",
        ];
        for callback in CALLBACKS {
            let name = callback.name;
            let is_event = name.starts_with("proxy_on_") || name.starts_with("envoy_on_");
            assert!(is_event || OTHERS.contains(&name), "{name}");
        }
    }

    #[test]
    fn callbacks_are_ignored_because_of_other_exports() {
        let with = |export: &'static str| move |name: &str| name == export;
        assert!(is_looked_up("_start", with("main")));
        assert!(!is_looked_up("_start", with("_initialize")));
        assert!(is_looked_up("main", with("_initialize")));
        assert!(!is_looked_up("main", with("_start")));
        assert!(!is_looked_up("__main_void", with("_start")));
        assert!(!is_looked_up("proxy_on_memory_allocate", with("malloc")));
        assert!(is_looked_up("malloc", with("proxy_on_memory_allocate")));
        assert!(is_looked_up("proxy_on_log", with("_initialize")));
    }
}
