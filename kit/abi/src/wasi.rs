//! The WASI functions that a proxy offers.

use crate::function::Function;
use crate::table::functions;

/// The module names under which a module imports [`WASI_FUNCTIONS`]. Envoy offers all of them under
/// both.
pub const WASI_MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// The WASI functions that a module may import from either of [`WASI_MODULES`].
///
/// All but `proc_exit` return a WASI error number. Most do nothing else, because a proxy gives
/// modules no files and no sockets.
///
/// In Envoy, `path_link` and `path_symlink` lack WASI's last parameter, the length of the new path.
/// Envoy rejects a module that imports them as WASI defines them.
pub static WASI_FUNCTIONS: &[Function] = functions! {
    Some("Logging") => {
        fd_write(fd_id: I32, iovec: I32, iovec_size: I32, return_written_bytes: I32) -> I32;
    }
    Some("Clocks") => {
        clock_time_get(clock_id: I32, unused: I64, return_time: I32) -> I32;
    }
    Some("Randomness") => {
        random_get(buffer: I32, buffer_size: I32) -> I32;
    }
    Some("Environment variables") => {
        environ_sizes_get(return_num_elements: I32, return_buffer_size: I32) -> I32;
        environ_get(return_array: I32, return_buffer: I32) -> I32;
    }
    Some("Unimplemented WASI functions") => {
        args_sizes_get(return_argc: I32, return_argv_buffer_size: I32) -> I32;
        args_get(return_argv: I32, return_argv_size: I32) -> I32;
        proc_exit(exit_code: I32);
    }
    None => {
        fd_close(fd: I32) -> I32;
        fd_fdstat_get(fd: I32, return_stat: I32) -> I32;
        fd_read(fd: I32, iovec: I32, iovec_size: I32, return_read_bytes: I32) -> I32;
        fd_seek(fd: I32, offset: I64, whence: I32, return_offset: I32) -> I32;

        fd_prestat_get(fd: I32, return_prestat: I32) -> I32, since(1, 21);
        fd_prestat_dir_name(fd: I32, path: I32, path_size: I32) -> I32, since(1, 21);
        path_open(
            fd: I32, lookup_flags: I32, path: I32, path_size: I32, open_flags: I32,
            rights_base: I64, rights_inheriting: I64, fd_flags: I32, return_fd: I32,
        ) -> I32, since(1, 21);

        // Every Go 1.24 module imports these.
        fd_fdstat_set_flags(fd: I32, flags: I32) -> I32, since(1, 33);
        poll_oneoff(
            subscriptions: I32, return_events: I32, num_subscriptions: I32,
            return_num_events: I32,
        ) -> I32, since(1, 33);
        sched_yield() -> I32, since(1, 33);

        clock_res_get(clock_id: I32, return_resolution: I32) -> I32, since(1, 39);
        fd_advise(fd: I32, offset: I64, size: I64, advice: I32) -> I32, since(1, 39);
        fd_allocate(fd: I32, offset: I64, size: I64) -> I32, since(1, 39);
        fd_datasync(fd: I32) -> I32, since(1, 39);
        fd_fdstat_set_rights(fd: I32, rights_base: I64, rights_inheriting: I64) -> I32,
            since(1, 39);
        fd_filestat_get(fd: I32, return_stat: I32) -> I32, since(1, 39);
        fd_filestat_set_size(fd: I32, size: I64) -> I32, since(1, 39);
        fd_filestat_set_times(
            fd: I32, access_time: I64, modification_time: I64, flags: I32,
        ) -> I32, since(1, 39);
        fd_pread(
            fd: I32, iovec: I32, iovec_size: I32, offset: I64, return_read_bytes: I32,
        ) -> I32, since(1, 39);
        fd_pwrite(
            fd: I32, iovec: I32, iovec_size: I32, offset: I64, return_written_bytes: I32,
        ) -> I32, since(1, 39);
        fd_readdir(
            fd: I32, buffer: I32, buffer_size: I32, cookie: I64, return_used_bytes: I32,
        ) -> I32, since(1, 39);
        fd_renumber(fd: I32, to: I32) -> I32, since(1, 39);
        fd_sync(fd: I32) -> I32, since(1, 39);
        fd_tell(fd: I32, return_offset: I32) -> I32, since(1, 39);
        path_create_directory(fd: I32, path: I32, path_size: I32) -> I32, since(1, 39);
        path_filestat_get(
            fd: I32, flags: I32, path: I32, path_size: I32, return_stat: I32,
        ) -> I32, since(1, 39);
        path_filestat_set_times(
            fd: I32, lookup_flags: I32, path: I32, path_size: I32,
            access_time: I64, modification_time: I64, flags: I32,
        ) -> I32, since(1, 39);
        path_link(
            old_fd: I32, old_flags: I32, old_path: I32, old_path_size: I32,
            new_fd: I32, new_path: I32,
        ) -> I32, since(1, 39);
        path_readlink(
            fd: I32, path: I32, path_size: I32, buffer: I32, buffer_size: I32,
            return_used_bytes: I32,
        ) -> I32, since(1, 39);
        path_remove_directory(fd: I32, path: I32, path_size: I32) -> I32, since(1, 39);
        path_rename(
            fd: I32, old_path: I32, old_path_size: I32,
            new_fd: I32, new_path: I32, new_path_size: I32,
        ) -> I32, since(1, 39);
        path_symlink(old_path: I32, old_path_size: I32, fd: I32, new_path: I32) -> I32,
            since(1, 39);
        path_unlink_file(fd: I32, path: I32, path_size: I32) -> I32, since(1, 39);
        sock_accept(fd: I32, flags: I32, return_fd: I32) -> I32, since(1, 39);
        sock_recv(
            fd: I32, iovec: I32, iovec_size: I32, flags: I32,
            return_read_bytes: I32, return_flags: I32,
        ) -> I32, since(1, 39);
        sock_send(
            fd: I32, iovec: I32, iovec_size: I32, flags: I32, return_written_bytes: I32,
        ) -> I32, since(1, 39);
        sock_shutdown(fd: I32, how: I32) -> I32, since(1, 39);
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy_version::EnvoyVersion;
    use crate::version::AbiVersion;

    #[test]
    fn names_have_a_prefix_of_wasi() {
        const PREFIXES: [&str; 9] = [
            "args_", "clock_", "environ_", "fd_", "path_", "poll_", "proc_", "random_", "sock_",
        ];
        for function in WASI_FUNCTIONS {
            let name = function.name;
            let is_known = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
            assert!(is_known || name == "sched_yield", "{name}");
        }
    }

    #[test]
    fn every_abi_version_has_every_function() {
        for function in WASI_FUNCTIONS {
            assert_eq!(function.versions, AbiVersion::ALL, "{}", function.name);
        }
    }

    #[test]
    fn only_proc_exit_has_no_error_number() {
        for function in WASI_FUNCTIONS {
            let has_result = function.signature.result.is_some();
            assert_eq!(
                has_result,
                function.name != "proc_exit",
                "{}",
                function.name
            );
        }
    }

    #[test]
    fn releases_have_as_many_functions_as_envoy_registers() {
        let count = |minor| {
            let release = EnvoyVersion::new(1, minor);
            WASI_FUNCTIONS
                .iter()
                .filter(|function| function.since <= release)
                .count()
        };
        assert_eq!(
            [17, 21, 32, 33, 38, 39, 40].map(count),
            [12, 15, 15, 18, 18, 45, 45]
        );
    }
}
