//! The functions of WASI (ABI: "Logging", "Clocks", "Randomness", "Environment variables",
//! "Unimplemented WASI functions").
//!
//! They do what Envoy 1.40 does: there are no files and no sockets, and `proc_exit` returns.

use proxy_wasm_abi::WASI_MODULES;
use wasmi::Caller;

use crate::host::Host;
use crate::imports::Imports;

use call::WasiCall;
use errno::{BADF, NOENT, NOSYS, NOTSUP, SUCCESS, WasiError, of_output};

mod call;
mod errno;

/// Defines functions that use the memory: the name of each is that of a method of [`WasiCall`].
macro_rules! define {
    ($imports:ident, $module:ident, $($name:ident($($argument:ident: $type:ty),*);)*) => {
        $($imports.function(
            $module,
            stringify!($name),
            |caller: Caller<'_, Host>, $($argument: $type),*| -> Result<u32, wasmi::Error> {
                match WasiCall::new(caller, stringify!($name))?.$name($($argument),*) {
                    Ok(()) => Ok(SUCCESS),
                    Err(WasiError::Errno(errno)) => Ok(errno),
                    Err(WasiError::Trap(error)) => Err(error),
                }
            },
        )?;)*
    };
}

/// Defines functions that only return an error number.
macro_rules! define_constant {
    ($imports:ident, $module:ident, $($name:ident($($argument:ident: $type:ty),*) => $errno:expr;)*) => {
        $($imports.function(
            $module,
            stringify!($name),
            |caller: Caller<'_, Host>, $($argument: $type),*| -> Result<u32, wasmi::Error> {
                caller.data().phase.check_constant(stringify!($name))?;
                Ok($errno)
            },
        )?;)*
    };
}

/// Defines the functions.
pub(crate) fn define_imports(imports: &mut Imports) -> Result<(), wasmi::Error> {
    for module in WASI_MODULES {
        define! { imports, module,
            fd_write(file: u32, vectors: u32, count: u32, written: u32);
            fd_pwrite(file: u32, vectors: u32, count: u32, offset: u64, written: u32);
            fd_fdstat_get(file: u32, status: u32);
            fd_tell(file: u32, offset: u32);
            fd_readdir(file: u32, buffer: u32, size: u32, cookie: u64, used: u32);
            clock_time_get(clock: u32, precision: u64, time: u32);
            clock_res_get(clock: u32, resolution: u32);
            random_get(buffer: u32, size: u32);
            environ_sizes_get(count: u32, size: u32);
            environ_get(pointers: u32, strings: u32);
            args_sizes_get(count: u32, size: u32);
            poll_oneoff(subscriptions: u32, events: u32, count: u32, returned: u32);
            path_readlink(
                file: u32, path: u32, path_size: u32, buffer: u32, size: u32, used: u32
            );
            sock_accept(file: u32, flags: u32, connection: u32);
            sock_recv(
                file: u32, vectors: u32, count: u32, flags: u32, read: u32, returned_flags: u32
            );
            sock_send(file: u32, vectors: u32, count: u32, flags: u32, written: u32);
            fd_seek(file: u32, offset: i64, whence: u32, new_offset: u32);
            fd_close(file: u32);
        }
        define_constant! { imports, module,
            args_get(_pointers: u32, _strings: u32) => SUCCESS;
            sched_yield() => SUCCESS;
            fd_advise(_file: u32, _offset: u64, _size: u64, _advice: u32) => SUCCESS;
            fd_allocate(file: u32, _offset: u64, _size: u64) => of_output(file);
            fd_datasync(file: u32) => of_output(file);
            fd_fdstat_set_rights(file: u32, _base: u64, _inheriting: u64) => of_output(file);
            fd_filestat_set_size(file: u32, _size: u64) => of_output(file);
            fd_filestat_set_times(
                file: u32, _access: u64, _modification: u64, _flags: u32
            ) => of_output(file);
            fd_sync(file: u32) => of_output(file);
            fd_renumber(file: u32, to: u32) => match (of_output(file), of_output(to)) {
                (SUCCESS, SUCCESS) => NOTSUP,
                _ => BADF,
            };
            fd_filestat_get(_file: u32, _status: u32) => BADF;
            fd_prestat_get(_file: u32, _status: u32) => BADF;
            path_open(
                _file: u32, _lookup_flags: u32, _path: u32, _path_size: u32, _open_flags: u32,
                _base: u64, _inheriting: u64, _flags: u32, _opened: u32
            ) => NOENT;
            fd_read(_file: u32, _vectors: u32, _count: u32, _read: u32) => NOSYS;
            fd_pread(_file: u32, _vectors: u32, _count: u32, _offset: u64, _read: u32) => NOSYS;
            fd_fdstat_set_flags(_file: u32, _flags: u32) => NOSYS;
            fd_prestat_dir_name(_file: u32, _path: u32, _path_size: u32) => NOSYS;
            path_create_directory(_file: u32, _path: u32, _path_size: u32) => NOTSUP;
            path_filestat_get(
                _file: u32, _flags: u32, _path: u32, _path_size: u32, _status: u32
            ) => NOTSUP;
            path_filestat_set_times(
                _file: u32, _lookup_flags: u32, _path: u32, _path_size: u32,
                _access: u64, _modification: u64, _flags: u32
            ) => NOTSUP;
            path_link(
                _old_file: u32, _old_flags: u32, _old_path: u32, _old_path_size: u32,
                _new_file: u32, _new_path: u32
            ) => NOTSUP;
            path_remove_directory(_file: u32, _path: u32, _path_size: u32) => NOTSUP;
            path_rename(
                _old_file: u32, _old_path: u32, _old_path_size: u32,
                _new_file: u32, _new_path: u32, _new_path_size: u32
            ) => NOTSUP;
            path_symlink(
                _old_path: u32, _old_path_size: u32, _file: u32, _new_path: u32
            ) => NOTSUP;
            path_unlink_file(_file: u32, _path: u32, _path_size: u32) => NOTSUP;
            sock_shutdown(_file: u32, _how: u32) => NOTSUP;
        }
        imports.function(module, "proc_exit", proc_exit)?;
    }
    Ok(())
}

/// Stores the exit code for the message of the trap that most modules cause afterwards.
fn proc_exit(mut caller: Caller<'_, Host>, code: u32) -> Result<(), wasmi::Error> {
    caller.data().callable_memory("proc_exit")?;
    caller.data_mut().exit_code = Some(code);
    Ok(())
}
