//! Looking up what a module may import.

use crate::function::Function;
use crate::host_calls::{HOST_CALLS, HOST_MODULE};
use crate::version::AbiVersion;
use crate::wasi::{WASI_FUNCTIONS, WASI_MODULES};

/// The function that a proxy offers as the import `module.name` to modules of an ABI version.
pub fn host_function(module: &str, name: &str, version: AbiVersion) -> Option<&'static Function> {
    let functions = if module == HOST_MODULE {
        HOST_CALLS
    } else if WASI_MODULES.contains(&module) {
        WASI_FUNCTIONS
    } else {
        return None;
    };
    functions
        .iter()
        .find(|function| function.name == name && function.is_in(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use AbiVersion::{V0_1_0, V0_2_0, V0_2_1};

    fn versions_with(module: &str, name: &str) -> Vec<AbiVersion> {
        AbiVersion::ALL
            .iter()
            .copied()
            .filter(|version| host_function(module, name, *version).is_some())
            .collect()
    }

    #[test]
    fn host_calls_depend_on_the_abi_version() {
        assert_eq!(versions_with("env", "proxy_log"), AbiVersion::ALL);
        assert_eq!(versions_with("env", "proxy_get_log_level"), [V0_2_1]);
        assert_eq!(
            versions_with("env", "proxy_continue_stream"),
            [V0_2_0, V0_2_1]
        );
        assert_eq!(versions_with("env", "proxy_close_stream"), [V0_2_0, V0_2_1]);
        for name in [
            "proxy_get_configuration",
            "proxy_continue_request",
            "proxy_continue_response",
            "proxy_clear_route_cache",
        ] {
            assert_eq!(versions_with("env", name), [V0_1_0], "{name}");
        }
    }

    #[test]
    fn wasi_functions_are_found_under_both_module_names() {
        for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
            assert_eq!(
                versions_with(module, "fd_write"),
                AbiVersion::ALL,
                "{module}"
            );
        }
        for module in ["wasi", "wasi_snapshot_preview2", "env"] {
            assert_eq!(versions_with(module, "fd_write"), [], "{module}");
        }
    }

    #[test]
    fn signatures_have_the_integer_types_of_envoy() {
        for (module, name, expected) in [
            ("env", "proxy_done", "() -> i32"),
            ("env", "proxy_record_metric", "(i32, i64) -> i32"),
            ("env", "proxy_get_metric", "(i32, i32) -> i32"),
            ("env", "emscripten_notify_memory_growth", "(i32)"),
            ("wasi_unstable", "proc_exit", "(i32)"),
            ("wasi_unstable", "fd_seek", "(i32, i64, i32, i32) -> i32"),
            (
                "wasi_unstable",
                "fd_pread",
                "(i32, i32, i32, i64, i32) -> i32",
            ),
            (
                "wasi_unstable",
                "path_open",
                "(i32, i32, i32, i32, i32, i64, i64, i32, i32) -> i32",
            ),
        ] {
            let function = host_function(module, name, V0_2_1);
            let signature = function.map(|function| function.signature.to_string());
            assert_eq!(signature.as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn unknown_functions_are_not_found() {
        for (module, name) in [
            ("env", "abort"),
            ("env", "proxy_on_log"),
            ("wasi_snapshot_preview1", "proc_raise"),
            ("wasi_snapshot_preview1", "proxy_log"),
            ("", "proxy_log"),
        ] {
            assert_eq!(versions_with(module, name), [], "{module}.{name}");
        }
    }
}
