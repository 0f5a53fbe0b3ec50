//! The functions of WASI (ABI: "Logging", "Clocks", "Randomness", "Environment variables",
//! "Unimplemented WASI functions").
//!
//! As in Envoy, there are no files: functions that need one return the error `BADF` or `NOSYS`.

use proxy_wasm_abi::{LogLevel, WASI_MODULES};
use wasmi::{Caller, Extern};

use crate::host::{Host, charge};
use crate::offer::Offer;

const SUCCESS: u32 = 0;
const BADF: u32 = 8;
const FAULT: u32 = 21;
const INVAL: u32 = 28;
const NOSYS: u32 = 52;
const NOTSUP: u32 = 58;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

/// `fs_rights_base` of a file descriptor that can be written: the bit `fd_write`.
const RIGHT_TO_WRITE: u64 = 64;

/// The most bytes that one call writes. No module needs more.
const MAX_LENGTH: u32 = 1 << 20;

/// The most pieces that one call writes: the limit of POSIX systems.
const MAX_PIECES: u32 = 1024;

/// Offers the functions.
pub(crate) fn offer(offer: &mut Offer) -> Result<(), wasmi::Error> {
    for module in WASI_MODULES {
        offer.function(module, "fd_write", fd_write)?;
        offer.function(module, "fd_fdstat_get", fd_fdstat_get)?;
        offer.function(module, "clock_time_get", clock_time_get)?;
        offer.function(module, "random_get", random_get)?;
        offer.function(module, "environ_sizes_get", environ_sizes_get)?;
        offer.function(module, "environ_get", environ_get)?;
        offer.function(module, "args_sizes_get", args_sizes_get)?;
        offer.function(module, "args_get", |_: u32, _: u32| SUCCESS)?;
        offer.function(module, "proc_exit", proc_exit)?;
        offer.function(module, "sched_yield", || SUCCESS)?;
        offer.function(module, "fd_close", |_: u32| SUCCESS)?;
        offer.function(module, "fd_seek", |_: u32, _: i64, _: u32, _: u32| BADF)?;
        offer.function(module, "fd_read", |_: u32, _: u32, _: u32, _: u32| NOSYS)?;
        offer.function(module, "fd_fdstat_set_flags", |_: u32, _: u32| NOSYS)?;
        offer.function(module, "fd_prestat_get", |_: u32, _: u32| BADF)?;
        offer.function(module, "fd_prestat_dir_name", |_: u32, _: u32, _: u32| BADF)?;
        offer.function(
            module,
            "path_open",
            |_: u32, _: u32, _: u32, _: u32, _: u32, _: u64, _: u64, _: u32, _: u32| NOSYS,
        )?;
        offer.function(module, "poll_oneoff", |_: u32, _: u32, _: u32, _: u32| {
            NOSYS
        })?;
    }
    Ok(())
}

/// The module's memory, for one call.
struct Memory<'a, 'b> {
    caller: &'a mut Caller<'b, Host>,
    memory: wasmi::Memory,
}

impl<'a, 'b> Memory<'a, 'b> {
    fn of(caller: &'a mut Caller<'b, Host>) -> Result<Self, u32> {
        let memory = caller.get_export("memory").and_then(Extern::into_memory);
        let memory = memory.ok_or(FAULT)?;
        Ok(Self { caller, memory })
    }

    fn charge(&mut self, bytes: usize) -> Result<(), u32> {
        charge(self.caller, bytes).map_err(|_| INVAL)
    }

    fn read(&self, address: u32, size: u32) -> Result<&[u8], u32> {
        let start = usize::try_from(address).map_err(|_| FAULT)?;
        let size = usize::try_from(size).map_err(|_| FAULT)?;
        let end = start.checked_add(size).ok_or(FAULT)?;
        self.memory.data(&*self.caller).get(start..end).ok_or(FAULT)
    }

    fn read_u32(&self, address: u32) -> Result<u32, u32> {
        let bytes = self.read(address, 4)?.first_chunk().ok_or(FAULT)?;
        Ok(u32::from_le_bytes(*bytes))
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), u32> {
        let address = usize::try_from(address).map_err(|_| FAULT)?;
        self.memory
            .write(&mut *self.caller, address, bytes)
            .map_err(|_| FAULT)
    }

    fn write_length(&mut self, address: u32, length: usize) -> Result<(), u32> {
        let length = u32::try_from(length).map_err(|_| INVAL)?;
        self.write(address, &length.to_le_bytes())
    }
}

/// Runs a function and returns its error number.
fn errno(
    caller: &mut Caller<'_, Host>,
    function: impl FnOnce(&mut Memory) -> Result<(), u32>,
) -> u32 {
    let result = Memory::of(caller).and_then(|mut memory| {
        memory.charge(0)?;
        function(&mut memory)
    });
    result.err().unwrap_or(SUCCESS)
}

fn fd_write(
    mut caller: Caller<'_, Host>,
    file: u32,
    vectors: u32,
    count: u32,
    written: u32,
) -> u32 {
    let level = match file {
        STDOUT => LogLevel::Info,
        STDERR => LogLevel::Error,
        _ => return BADF,
    };
    errno(&mut caller, |memory| {
        if count > MAX_PIECES {
            return Err(INVAL);
        }
        let mut text = Vec::new();
        for index in 0..count {
            let vector = index
                .checked_mul(8)
                .and_then(|offset| vectors.checked_add(offset))
                .ok_or(FAULT)?;
            let address = memory.read_u32(vector)?;
            let size = memory.read_u32(vector.checked_add(4).ok_or(FAULT)?)?;
            text.extend_from_slice(memory.read(address, size)?);
            if text.len() > MAX_LENGTH as usize {
                return Err(INVAL);
            }
        }
        memory.write_length(written, text.len())?;
        memory.charge(text.len())?;
        if !text.is_empty() {
            let line = text.strip_suffix(b"\n").unwrap_or(&text);
            memory.caller.data_mut().write_log(level, line);
        }
        Ok(())
    })
}

fn fd_fdstat_get(mut caller: Caller<'_, Host>, file: u32, status: u32) -> u32 {
    if file != STDOUT && file != STDERR {
        return BADF;
    }
    errno(&mut caller, |memory| {
        let words = [0, RIGHT_TO_WRITE, 0];
        memory.write(status, &words.map(u64::to_le_bytes).concat())
    })
}

fn clock_time_get(mut caller: Caller<'_, Host>, clock: u32, _precision: u64, time: u32) -> u32 {
    if clock != REALTIME && clock != MONOTONIC {
        return NOTSUP;
    }
    errno(&mut caller, |memory| {
        let now = memory.caller.data().nanoseconds();
        memory.write(time, &now.to_le_bytes())
    })
}

fn random_get(mut caller: Caller<'_, Host>, buffer: u32, size: u32) -> u32 {
    if size > MAX_LENGTH {
        return INVAL;
    }
    errno(&mut caller, |memory| {
        let host = memory.caller.data_mut();
        let mut bytes = Vec::new();
        while bytes.len() < size as usize {
            bytes.extend_from_slice(&host.random().to_le_bytes());
        }
        bytes.truncate(size as usize);
        memory.charge(bytes.len())?;
        memory.write(buffer, &bytes)
    })
}

/// The environment as C strings: `name=value`, and a zero.
fn environment(host: &Host) -> Vec<String> {
    let variables = host.options.environment.iter();
    variables
        .map(|(name, value)| format!("{name}={value}\0"))
        .collect()
}

fn environ_sizes_get(mut caller: Caller<'_, Host>, count: u32, size: u32) -> u32 {
    errno(&mut caller, |memory| {
        let variables = environment(memory.caller.data());
        memory.read(size, 4)?;
        memory.write_length(count, variables.len())?;
        memory.write_length(size, variables.iter().map(String::len).sum())
    })
}

fn environ_get(mut caller: Caller<'_, Host>, mut pointers: u32, mut strings: u32) -> u32 {
    errno(&mut caller, |memory| {
        for variable in environment(memory.caller.data()) {
            memory.write(pointers, &strings.to_le_bytes())?;
            memory.write(strings, variable.as_bytes())?;
            let length = u32::try_from(variable.len()).map_err(|_| INVAL)?;
            strings = strings.checked_add(length).ok_or(FAULT)?;
            pointers = pointers.checked_add(4).ok_or(FAULT)?;
        }
        Ok(())
    })
}

fn args_sizes_get(mut caller: Caller<'_, Host>, count: u32, size: u32) -> u32 {
    errno(&mut caller, |memory| {
        memory.read(size, 4)?;
        memory.write_length(count, 0)?;
        memory.write_length(size, 0)
    })
}

fn proc_exit(_caller: Caller<'_, Host>, code: u32) -> Result<(), wasmi::Error> {
    Err(wasmi::Error::new(format!(
        "the module exited with the code {code}"
    )))
}
