//! The functions that a proxy offers under `env`.

use crate::function::Function;
use crate::table::functions;
use crate::version::AbiVersion::{self, V0_1_0, V0_2_0, V0_2_1};

const ONLY_0_1_0: &[AbiVersion] = &[V0_1_0];
const SINCE_0_2_0: &[AbiVersion] = &[V0_2_0, V0_2_1];
const SINCE_0_2_1: &[AbiVersion] = &[V0_2_1];

/// The module name under which a module imports [`HOST_CALLS`].
pub const HOST_MODULE: &str = "env";

/// The host calls: the functions that a module imports from [`HOST_MODULE`]
/// (sections "Functions exposed by the host").
///
/// Those that begin with `proxy_` return a [`Status`](crate::Status). The specification of ABI
/// 0.1.0 gives no result for `proxy_continue_request`, `proxy_continue_response` and
/// `proxy_clear_route_cache`; Envoy returns a status for these, too, and the SDKs expect one.
///
/// The last ones are not in the specification. `envoy_resolve_dns` is Envoy's own; its result
/// arrives in the callback `envoy_on_resolve_dns`. C++ modules that were compiled with Emscripten
/// import the other two.
pub static HOST_CALLS: &[Function] = functions! {
    Some("Context lifecycle") => {
        proxy_set_effective_context(context_id: I32) -> I32;
        proxy_done() -> I32;
    }
    Some("Configuration") => {
        proxy_get_configuration(return_value_data: I32, return_value_size: I32) -> I32,
            in ONLY_0_1_0;
    }
    Some("Logging") => {
        proxy_log(log_level: I32, message_data: I32, message_size: I32) -> I32;
        proxy_get_log_level(return_log_level: I32) -> I32, in SINCE_0_2_1;
    }
    Some("Clocks") => {
        proxy_get_current_time_nanoseconds(return_time: I32) -> I32;
    }
    Some("Timers") => {
        proxy_set_tick_period_milliseconds(tick_period: I32) -> I32;
    }
    Some("Buffers") => {
        proxy_set_buffer_bytes(
            buffer_id: I32, start: I32, size: I32, value_data: I32, value_size: I32,
        ) -> I32;
        proxy_get_buffer_bytes(
            buffer_id: I32, start: I32, max_size: I32,
            return_value_data: I32, return_value_size: I32,
        ) -> I32;
        proxy_get_buffer_status(
            buffer_id: I32, return_buffer_size: I32, return_unused: I32,
        ) -> I32;
    }
    Some("HTTP fields") => {
        proxy_get_header_map_size(map_id: I32, return_serialized_pairs_size: I32) -> I32;
        proxy_get_header_map_pairs(
            map_id: I32, return_serialized_pairs_data: I32, return_serialized_pairs_size: I32,
        ) -> I32;
        proxy_set_header_map_pairs(
            map_id: I32, serialized_pairs_data: I32, serialized_pairs_size: I32,
        ) -> I32;
        proxy_get_header_map_value(
            map_id: I32, key_data: I32, key_size: I32,
            return_value_data: I32, return_value_size: I32,
        ) -> I32;
        proxy_add_header_map_value(
            map_id: I32, key_data: I32, key_size: I32, value_data: I32, value_size: I32,
        ) -> I32;
        proxy_replace_header_map_value(
            map_id: I32, key_data: I32, key_size: I32, value_data: I32, value_size: I32,
        ) -> I32;
        proxy_remove_header_map_value(map_id: I32, key_data: I32, key_size: I32) -> I32;
    }
    Some("Common HTTP and TCP stream operations") => {
        proxy_continue_stream(stream_type: I32) -> I32, in SINCE_0_2_0;
        proxy_close_stream(stream_type: I32) -> I32, in SINCE_0_2_0;
        proxy_get_status(
            return_status_code: I32,
            return_status_message_data: I32, return_status_message_size: I32,
        ) -> I32;
    }
    Some("HTTP streams") => {
        proxy_send_local_response(
            status_code: I32, status_code_details_data: I32, status_code_details_size: I32,
            body_data: I32, body_size: I32,
            serialized_headers_data: I32, serialized_headers_size: I32, grpc_status: I32,
        ) -> I32;
        proxy_continue_request() -> I32, in ONLY_0_1_0;
        proxy_continue_response() -> I32, in ONLY_0_1_0;
        proxy_clear_route_cache() -> I32, in ONLY_0_1_0;
    }
    Some("HTTP calls") => {
        proxy_http_call(
            upstream_name_data: I32, upstream_name_size: I32,
            serialized_headers_data: I32, serialized_headers_size: I32,
            body_data: I32, body_size: I32,
            serialized_trailers_data: I32, serialized_trailers_size: I32,
            timeout: I32, return_call_id: I32,
        ) -> I32;
    }
    Some("gRPC calls") => {
        proxy_grpc_call(
            upstream_name_data: I32, upstream_name_size: I32,
            service_name_data: I32, service_name_size: I32,
            method_name_data: I32, method_name_size: I32,
            serialized_initial_metadata_data: I32, serialized_initial_metadata_size: I32,
            message_data: I32, message_size: I32,
            timeout: I32, return_call_id: I32,
        ) -> I32;
        proxy_grpc_stream(
            upstream_name_data: I32, upstream_name_size: I32,
            service_name_data: I32, service_name_size: I32,
            method_name_data: I32, method_name_size: I32,
            serialized_initial_metadata_data: I32, serialized_initial_metadata_size: I32,
            return_stream_id: I32,
        ) -> I32;
        proxy_grpc_send(
            stream_id: I32, message_data: I32, message_size: I32, end_stream: I32,
        ) -> I32;
        proxy_grpc_cancel(call_or_stream_id: I32) -> I32;
        proxy_grpc_close(call_or_stream_id: I32) -> I32;
    }
    Some("Shared Key-Value Store") => {
        proxy_set_shared_data(
            key_data: I32, key_size: I32, value_data: I32, value_size: I32, cas: I32,
        ) -> I32;
        proxy_get_shared_data(
            key_data: I32, key_size: I32,
            return_value_data: I32, return_value_size: I32, return_cas: I32,
        ) -> I32;
    }
    Some("Shared Queues") => {
        proxy_register_shared_queue(name_data: I32, name_size: I32, return_queue_id: I32) -> I32;
        proxy_resolve_shared_queue(
            vm_id_data: I32, vm_id_size: I32, name_data: I32, name_size: I32,
            return_queue_id: I32,
        ) -> I32;
        proxy_enqueue_shared_queue(queue_id: I32, value_data: I32, value_size: I32) -> I32;
        proxy_dequeue_shared_queue(
            queue_id: I32, return_value_data: I32, return_value_size: I32,
        ) -> I32;
    }
    Some("Metrics") => {
        proxy_define_metric(
            metric_type: I32, name_data: I32, name_size: I32, return_metric_id: I32,
        ) -> I32;
        proxy_record_metric(metric_id: I32, value: I64) -> I32;
        proxy_increment_metric(metric_id: I32, delta: I64) -> I32;
        proxy_get_metric(metric_id: I32, return_value: I32) -> I32;
    }
    Some("Properties") => {
        proxy_get_property(
            path_data: I32, path_size: I32, return_value_data: I32, return_value_size: I32,
        ) -> I32;
        proxy_set_property(
            path_data: I32, path_size: I32, value_data: I32, value_size: I32,
        ) -> I32;
    }
    Some("Foreign function interface (FFI)") => {
        proxy_call_foreign_function(
            name_data: I32, name_size: I32, arguments_data: I32, arguments_size: I32,
            return_results_data: I32, return_results_size: I32,
        ) -> I32;
    }
    None => {
        envoy_resolve_dns(address_data: I32, address_size: I32, return_token: I32) -> I32;
        // Backported to 1.21.6 and 1.22.6.
        emscripten_notify_memory_growth(memory_index: I32), since(1, 23);
        pthread_equal(left: I32, right: I32) -> I32;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_calls_of_the_specification_return_a_status() {
        for function in HOST_CALLS.iter().filter(|call| call.section.is_some()) {
            assert!(function.name.starts_with("proxy_"), "{}", function.name);
            assert!(function.signature.result.is_some(), "{}", function.name);
        }
    }

    #[test]
    fn versions_have_as_many_host_calls_as_envoy_registers() {
        let count = |version| HOST_CALLS.iter().filter(|call| call.is_in(version)).count();
        assert_eq!(
            AbiVersion::ALL
                .iter()
                .copied()
                .map(count)
                .collect::<Vec<_>>(),
            [43, 41, 42]
        );
    }
}
