//! The functions of WASI (ABI: "Logging", "Clocks", "Randomness", "Environment variables",
//! "Unimplemented WASI functions").
//!
//! They do what Envoy 1.40 does: there are no files and no sockets, and `proc_exit` returns.

use proxy_wasm_abi::{LogLevel, WASI_MODULES};
use wasmi::{Caller, Memory, TrapCode};

use crate::host::{Host, charge};
use crate::offer::Offer;

const SUCCESS: u32 = 0;
const BADF: u32 = 8;
const NOTDIR: u32 = 20;
const FAULT: u32 = 21;
const INVAL: u32 = 28;
const NOENT: u32 = 44;
const NOSYS: u32 = 52;
const NOTSUP: u32 = 58;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

/// `fs_rights_base` of a file descriptor that can be written: the bit `fd_write`.
const RIGHT_TO_WRITE: u64 = 64;

/// The most bytes that `random_get` returns.
const MAX_RANDOM: u32 = 64 * 1024;

/// Why a function fails.
enum Failure {
    /// It returns this error number.
    Errno(u32),
    /// The callback ends with a trap.
    Trap(wasmi::Error),
}

impl From<u32> for Failure {
    fn from(errno: u32) -> Self {
        Self::Errno(errno)
    }
}

impl From<wasmi::Error> for Failure {
    fn from(error: wasmi::Error) -> Self {
        Self::Trap(error)
    }
}

type Outcome<T = ()> = Result<T, Failure>;

/// Offers functions that use the memory: the name of each is that of a method of [`Call`].
macro_rules! define {
    ($offer:ident, $module:ident, $($name:ident($($argument:ident: $type:ty),*);)*) => {
        $($offer.function(
            $module,
            stringify!($name),
            |caller: Caller<'_, Host>, $($argument: $type),*| -> Result<u32, wasmi::Error> {
                match Call::new(caller, stringify!($name))?.$name($($argument),*) {
                    Ok(()) => Ok(SUCCESS),
                    Err(Failure::Errno(errno)) => Ok(errno),
                    Err(Failure::Trap(error)) => Err(error),
                }
            },
        )?;)*
    };
}

/// Offers functions that only return an error number.
macro_rules! define_constant {
    ($offer:ident, $module:ident, $($name:ident($($argument:ident: $type:ty),*) => $errno:expr;)*) => {
        $($offer.function(
            $module,
            stringify!($name),
            |caller: Caller<'_, Host>, $($argument: $type),*| -> Result<u32, wasmi::Error> {
                caller.data().phase.check_constant(stringify!($name))?;
                Ok($errno)
            },
        )?;)*
    };
}

/// Offers the functions.
pub(crate) fn offer(offer: &mut Offer) -> Result<(), wasmi::Error> {
    for module in WASI_MODULES {
        define! { offer, module,
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
        define_constant! { offer, module,
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
        offer.function(module, "proc_exit", proc_exit)?;
    }
    Ok(())
}

/// Success for standard output and standard error.
fn of_output(file: u32) -> u32 {
    match file {
        STDOUT | STDERR => SUCCESS,
        _ => BADF,
    }
}

/// Notes the exit code for the trap that most modules reach afterwards.
fn proc_exit(mut caller: Caller<'_, Host>, code: u32) -> Result<(), wasmi::Error> {
    caller.data().callable_memory("proc_exit")?;
    caller.data_mut().exit_code = Some(code);
    Ok(())
}

/// A call of a function that uses the memory.
struct Call<'a> {
    caller: Caller<'a, Host>,
    memory: Memory,
}

impl<'a> Call<'a> {
    fn new(mut caller: Caller<'a, Host>, name: &'static str) -> Result<Self, wasmi::Error> {
        let memory = caller.data().callable_memory(name)?;
        charge(&mut caller, 0)?;
        Ok(Self { caller, memory })
    }

    fn read(&self, address: u32, size: u32) -> Outcome<&[u8]> {
        let start = usize::try_from(address).map_err(|_| FAULT)?;
        let size = usize::try_from(size).map_err(|_| FAULT)?;
        let end = start.checked_add(size).ok_or(FAULT)?;
        let memory = self.memory.data(&self.caller);
        Ok(memory.get(start..end).ok_or(FAULT)?)
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Outcome {
        let address = usize::try_from(address).map_err(|_| FAULT)?;
        self.memory
            .write(&mut self.caller, address, bytes)
            .map_err(|_| FAULT.into())
    }

    fn write_u32(&mut self, address: u32, number: u32) -> Outcome {
        self.write(address, &number.to_le_bytes())
    }

    fn write_u64(&mut self, address: u32, number: u64) -> Outcome {
        self.write(address, &number.to_le_bytes())
    }

    fn write_length(&mut self, address: u32, length: usize) -> Outcome {
        self.write_u32(address, u32::try_from(length).map_err(|_| INVAL)?)
    }

    fn fd_write(&mut self, file: u32, vectors: u32, count: u32, written: u32) -> Outcome {
        let level = match file {
            STDOUT => LogLevel::Info,
            STDERR => LogLevel::Error,
            _ => return Err(BADF.into()),
        };
        let mut text = Vec::new();
        for index in 0..count {
            let vector = index
                .checked_mul(8)
                .and_then(|offset| vectors.checked_add(offset))
                .ok_or(FAULT)?;
            let [address, size] = self.read_pair(vector)?;
            if size > 0 {
                self.read(address, size)?;
                self.charge_for(size)?;
                text.extend_from_slice(self.read(address, size)?);
            }
        }
        // Each call is one log line, whatever it contains.
        if !text.is_empty() {
            let line = text.strip_suffix(b"\n").unwrap_or(&text);
            self.caller.data_mut().write_log(level, line);
        }
        self.write_length(written, text.len())
    }

    /// Takes the cost of a piece off the fuel. The same piece can be written many times.
    fn charge_for(&mut self, size: u32) -> Result<(), wasmi::Error> {
        charge(
            &mut self.caller,
            usize::try_from(size).unwrap_or(usize::MAX),
        )?;
        if self.caller.get_fuel()? == 0 {
            return Err(TrapCode::OutOfFuel.into());
        }
        Ok(())
    }

    fn read_pair(&self, address: u32) -> Outcome<[u32; 2]> {
        let bytes: &[u8; 8] = self.read(address, 8)?.first_chunk().ok_or(FAULT)?;
        let [a, b, c, d, e, f, g, h] = *bytes;
        Ok([[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes))
    }

    fn fd_pwrite(
        &mut self,
        file: u32,
        vectors: u32,
        count: u32,
        _offset: u64,
        written: u32,
    ) -> Outcome {
        self.fd_write(file, vectors, count, written)
    }

    fn fd_fdstat_get(&mut self, file: u32, status: u32) -> Outcome {
        if of_output(file) != SUCCESS {
            return Err(BADF.into());
        }
        let words = [0, RIGHT_TO_WRITE, 0];
        // A bad address is no error.
        let _ = self.write(status, &words.map(u64::to_le_bytes).concat());
        Ok(())
    }

    fn fd_tell(&mut self, file: u32, offset: u32) -> Outcome {
        if of_output(file) != SUCCESS {
            return Err(BADF.into());
        }
        self.write_u64(offset, 0)
    }

    fn fd_seek(&mut self, _file: u32, _offset: i64, _whence: u32, _new_offset: u32) -> Outcome {
        Ok(())
    }

    fn fd_close(&mut self, _file: u32) -> Outcome {
        Ok(())
    }

    fn fd_readdir(
        &mut self,
        _file: u32,
        _buffer: u32,
        _size: u32,
        _cookie: u64,
        used: u32,
    ) -> Outcome {
        self.write_u32(used, 0)?;
        Err(NOTDIR.into())
    }

    fn clock_time_get(&mut self, clock: u32, _precision: u64, time: u32) -> Outcome {
        check_clock(clock)?;
        let now = self.caller.data().nanoseconds();
        self.write_u64(time, now)
    }

    fn clock_res_get(&mut self, clock: u32, resolution: u32) -> Outcome {
        check_clock(clock)?;
        self.write_u64(resolution, 1)
    }

    fn random_get(&mut self, buffer: u32, size: u32) -> Outcome {
        if size > MAX_RANDOM {
            return Err(INVAL.into());
        }
        if size == 0 {
            return Ok(());
        }
        let size = usize::try_from(size).map_err(|_| INVAL)?;
        let host = self.caller.data_mut();
        let mut bytes = Vec::new();
        while bytes.len() < size {
            bytes.extend_from_slice(&host.random().to_le_bytes());
        }
        bytes.truncate(size);
        charge(&mut self.caller, size)?;
        self.write(buffer, &bytes)
    }

    fn environ_sizes_get(&mut self, count: u32, size: u32) -> Outcome {
        let variables = environment(self.caller.data());
        self.write_length(count, variables.len())?;
        self.write_length(size, variables.iter().map(String::len).sum())
    }

    fn environ_get(&mut self, mut pointers: u32, mut strings: u32) -> Outcome {
        for variable in environment(self.caller.data()) {
            self.write_u32(pointers, strings)?;
            self.write(strings, variable.as_bytes())?;
            let length = u32::try_from(variable.len()).map_err(|_| INVAL)?;
            strings = strings.checked_add(length).ok_or(FAULT)?;
            pointers = pointers.checked_add(4).ok_or(FAULT)?;
        }
        Ok(())
    }

    fn args_sizes_get(&mut self, count: u32, size: u32) -> Outcome {
        self.write_u32(count, 0)?;
        self.write_u32(size, 0)
    }

    /// Success without events, which the runtime of Go needs.
    fn poll_oneoff(
        &mut self,
        _subscriptions: u32,
        _events: u32,
        _count: u32,
        returned: u32,
    ) -> Outcome {
        self.write_u32(returned, 0)
    }

    fn path_readlink(
        &mut self,
        _file: u32,
        _path: u32,
        _path_size: u32,
        _buffer: u32,
        _size: u32,
        used: u32,
    ) -> Outcome {
        self.write_u32(used, 0)?;
        Err(NOTSUP.into())
    }

    fn sock_accept(&mut self, _file: u32, _flags: u32, connection: u32) -> Outcome {
        // Envoy writes 64 bits where WASI has 32.
        self.write_u64(connection, 0)?;
        Err(NOTSUP.into())
    }

    fn sock_recv(
        &mut self,
        _file: u32,
        _vectors: u32,
        _count: u32,
        _flags: u32,
        read: u32,
        returned_flags: u32,
    ) -> Outcome {
        self.write_u32(read, 0)?;
        self.write(returned_flags, &[0; 2])?;
        Err(NOTSUP.into())
    }

    fn sock_send(
        &mut self,
        _file: u32,
        _vectors: u32,
        _count: u32,
        _flags: u32,
        written: u32,
    ) -> Outcome {
        self.write_u32(written, 0)?;
        Err(NOTSUP.into())
    }
}

fn check_clock(clock: u32) -> Outcome {
    match clock {
        REALTIME | MONOTONIC => Ok(()),
        _ => Err(NOTSUP.into()),
    }
}

/// The environment as C strings: `name=value`, and a zero.
fn environment(host: &Host) -> Vec<String> {
    let variables = host.options.environment.iter();
    variables
        .map(|(name, value)| format!("{name}={value}\0"))
        .collect()
}
