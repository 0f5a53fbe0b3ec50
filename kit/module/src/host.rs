//! What proxies offer a module, and how they call it: the functions of the Proxy-Wasm ABI 0.2, of
//! WASI, and of emscripten, by name and signature.
//!
//! A module that imports anything else, or one of these with another signature, does not load. The
//! same holds for a callback whose signature is not the proxy's.

/// A function of the host or of the module: `i` stands for i32, and `I` for i64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: &'static str,
    /// Its results.
    pub results: &'static str,
}

const fn returning(name: &'static str, parameters: &'static str) -> Function {
    Function {
        name,
        parameters,
        results: "i",
    }
}

const fn silent(name: &'static str, parameters: &'static str) -> Function {
    Function {
        name,
        parameters,
        results: "",
    }
}

/// The host calls: imports of `env`.
pub static HOST_CALLS: [Function; 40] = [
    returning("proxy_log", "iii"),
    returning("proxy_get_log_level", "i"),
    returning("proxy_get_status", "iii"),
    returning("proxy_get_property", "iiii"),
    returning("proxy_set_property", "iiii"),
    returning("proxy_continue_stream", "i"),
    returning("proxy_close_stream", "i"),
    returning("proxy_send_local_response", "iiiiiiii"),
    returning("proxy_get_shared_data", "iiiii"),
    returning("proxy_set_shared_data", "iiiii"),
    returning("proxy_register_shared_queue", "iii"),
    returning("proxy_resolve_shared_queue", "iiiii"),
    returning("proxy_dequeue_shared_queue", "iii"),
    returning("proxy_enqueue_shared_queue", "iii"),
    returning("proxy_get_buffer_bytes", "iiiii"),
    returning("proxy_get_buffer_status", "iii"),
    returning("proxy_set_buffer_bytes", "iiiii"),
    returning("proxy_add_header_map_value", "iiiii"),
    returning("proxy_get_header_map_value", "iiiii"),
    returning("proxy_replace_header_map_value", "iiiii"),
    returning("proxy_remove_header_map_value", "iii"),
    returning("proxy_get_header_map_pairs", "iii"),
    returning("proxy_set_header_map_pairs", "iii"),
    returning("proxy_get_header_map_size", "ii"),
    returning("proxy_http_call", "iiiiiiiiii"),
    returning("proxy_grpc_call", "iiiiiiiiiiii"),
    returning("proxy_grpc_stream", "iiiiiiiii"),
    returning("proxy_grpc_cancel", "i"),
    returning("proxy_grpc_close", "i"),
    returning("proxy_grpc_send", "iiii"),
    returning("proxy_define_metric", "iiii"),
    returning("proxy_increment_metric", "iI"),
    returning("proxy_record_metric", "iI"),
    returning("proxy_get_metric", "ii"),
    returning("proxy_set_tick_period_milliseconds", "i"),
    returning("proxy_get_current_time_nanoseconds", "i"),
    returning("proxy_set_effective_context", "i"),
    returning("proxy_done", ""),
    returning("proxy_call_foreign_function", "iiiiii"),
    silent("emscripten_notify_memory_growth", "i"),
];

/// What proxies offer of WASI, under either name of [`WASI_MODULES`].
pub static WASI_CALLS: [Function; 15] = [
    returning("fd_write", "iiii"),
    returning("fd_read", "iiii"),
    returning("fd_seek", "iIii"),
    returning("fd_close", "i"),
    returning("fd_fdstat_get", "ii"),
    returning("fd_prestat_get", "ii"),
    returning("fd_prestat_dir_name", "iii"),
    returning("path_open", "iiiiiIIii"),
    returning("environ_get", "ii"),
    returning("environ_sizes_get", "ii"),
    returning("args_get", "ii"),
    returning("args_sizes_get", "ii"),
    returning("clock_time_get", "iIi"),
    returning("random_get", "ii"),
    silent("proc_exit", "i"),
];

/// The names under which proxies offer [`WASI_CALLS`].
pub const WASI_MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// What a proxy calls if the module exports it.
pub static CALLBACKS: [Function; 33] = [
    silent("_initialize", ""),
    silent("_start", ""),
    returning("malloc", "i"),
    returning("proxy_on_memory_allocate", "i"),
    returning("proxy_on_vm_start", "ii"),
    returning("proxy_validate_configuration", "ii"),
    returning("proxy_on_configure", "ii"),
    silent("proxy_on_tick", "i"),
    silent("proxy_on_context_create", "ii"),
    returning("proxy_on_new_connection", "i"),
    returning("proxy_on_downstream_data", "iii"),
    returning("proxy_on_upstream_data", "iii"),
    silent("proxy_on_downstream_connection_close", "ii"),
    silent("proxy_on_upstream_connection_close", "ii"),
    returning("proxy_on_request_headers", "iii"),
    returning("proxy_on_request_body", "iii"),
    returning("proxy_on_request_trailers", "ii"),
    returning("proxy_on_request_metadata", "ii"),
    returning("proxy_on_response_headers", "iii"),
    returning("proxy_on_response_body", "iii"),
    returning("proxy_on_response_trailers", "ii"),
    returning("proxy_on_response_metadata", "ii"),
    silent("proxy_on_http_call_response", "iiiii"),
    silent("proxy_on_grpc_receive_initial_metadata", "iii"),
    silent("proxy_on_grpc_receive_trailing_metadata", "iii"),
    silent("proxy_on_grpc_receive", "iii"),
    silent("proxy_on_grpc_close", "iii"),
    silent("proxy_on_queue_ready", "ii"),
    silent("proxy_on_foreign_function", "iii"),
    returning("proxy_on_done", "i"),
    silent("proxy_on_log", "i"),
    silent("proxy_on_delete", "i"),
    returning("main", "ii"),
];

impl Function {
    /// Whether a function of this signature can stand for it.
    pub fn matches(&self, signature: &crate::Signature) -> bool {
        let letters = |types: &[wasmparser::ValType]| -> String {
            types
                .iter()
                .map(|value| match value {
                    wasmparser::ValType::I32 => 'i',
                    wasmparser::ValType::I64 => 'I',
                    _ => '?',
                })
                .collect()
        };
        letters(&signature.parameters) == self.parameters
            && letters(&signature.results) == self.results
    }

    /// The signature as the text format has it: `(i32, i64) -> i32`.
    pub fn signature(&self) -> String {
        let list = |letters: &str| {
            let names: Vec<_> = letters
                .chars()
                .map(|letter| if letter == 'I' { "i64" } else { "i32" })
                .collect();
            names.join(", ")
        };
        let results = if self.results.is_empty() {
            String::new()
        } else {
            format!(" -> {}", list(self.results))
        };
        format!("({}){results}", list(self.parameters))
    }

    /// What the host offers under this name, if anything.
    pub fn offered(module: &str, name: &str) -> Option<&'static Self> {
        let offers: &[Self] = if module == "env" {
            &HOST_CALLS
        } else if WASI_MODULES.contains(&module) {
            &WASI_CALLS
        } else {
            &[]
        };
        offers.iter().find(|function| function.name == name)
    }

    /// The callback of this name, if proxies know one.
    pub fn callback(name: &str) -> Option<&'static Self> {
        CALLBACKS.iter().find(|function| function.name == name)
    }
}
