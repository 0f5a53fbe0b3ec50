//! The functions of WASI that use the module's memory.

use proxy_wasm_abi::LogLevel;
use wasmi::{Caller, Memory, TrapCode};

use super::errno::{
    BADF, FAULT, INVAL, NOTDIR, NOTSUP, STDERR, STDOUT, SUCCESS, WasiResult, of_output,
};
use crate::host::{Host, charge};
use crate::memory;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

/// `fs_rights_base` of a file descriptor that can be written: the bit `fd_write`.
const RIGHT_TO_WRITE: u64 = 64;

/// The most bytes that `random_get` returns.
const MAX_RANDOM: u32 = 64 * 1024;

/// A call of a function that uses the memory.
pub(super) struct WasiCall<'a> {
    caller: Caller<'a, Host>,
    memory: Memory,
}

impl<'a> WasiCall<'a> {
    pub(super) fn new(
        mut caller: Caller<'a, Host>,
        name: &'static str,
    ) -> Result<Self, wasmi::Error> {
        let memory = caller.data().callable_memory(name)?;
        charge(&mut caller, 0)?;
        Ok(Self { caller, memory })
    }

    fn read(&self, address: u32, size: u32) -> WasiResult<&[u8]> {
        Ok(memory::slice(self.memory.data(&self.caller), address, size).ok_or(FAULT)?)
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> WasiResult {
        let address = usize::try_from(address).map_err(|_| FAULT)?;
        self.memory
            .write(&mut self.caller, address, bytes)
            .map_err(|_| FAULT.into())
    }

    fn write_u32(&mut self, address: u32, number: u32) -> WasiResult {
        self.write(address, &number.to_le_bytes())
    }

    fn write_u64(&mut self, address: u32, number: u64) -> WasiResult {
        self.write(address, &number.to_le_bytes())
    }

    fn write_length(&mut self, address: u32, length: usize) -> WasiResult {
        self.write_u32(address, u32::try_from(length).map_err(|_| INVAL)?)
    }

    pub(super) fn fd_write(
        &mut self,
        file: u32,
        vectors: u32,
        count: u32,
        written: u32,
    ) -> WasiResult {
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

    /// Subtracts the cost of a buffer from the fuel. One call can write the same buffer many times.
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

    fn read_pair(&self, address: u32) -> WasiResult<[u32; 2]> {
        let bytes: &[u8; 8] = self.read(address, 8)?.first_chunk().ok_or(FAULT)?;
        let [a, b, c, d, e, f, g, h] = *bytes;
        Ok([[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes))
    }

    pub(super) fn fd_pwrite(
        &mut self,
        file: u32,
        vectors: u32,
        count: u32,
        _offset: u64,
        written: u32,
    ) -> WasiResult {
        self.fd_write(file, vectors, count, written)
    }

    pub(super) fn fd_fdstat_get(&mut self, file: u32, status: u32) -> WasiResult {
        if of_output(file) != SUCCESS {
            return Err(BADF.into());
        }
        let words = [0, RIGHT_TO_WRITE, 0];
        // An invalid address is not an error.
        let _ = self.write(status, &words.map(u64::to_le_bytes).concat());
        Ok(())
    }

    pub(super) fn fd_tell(&mut self, file: u32, offset: u32) -> WasiResult {
        if of_output(file) != SUCCESS {
            return Err(BADF.into());
        }
        self.write_u64(offset, 0)
    }

    pub(super) fn fd_seek(
        &mut self,
        _file: u32,
        _offset: i64,
        _whence: u32,
        _new_offset: u32,
    ) -> WasiResult {
        Ok(())
    }

    pub(super) fn fd_close(&mut self, _file: u32) -> WasiResult {
        Ok(())
    }

    pub(super) fn fd_readdir(
        &mut self,
        _file: u32,
        _buffer: u32,
        _size: u32,
        _cookie: u64,
        used: u32,
    ) -> WasiResult {
        self.write_u32(used, 0)?;
        Err(NOTDIR.into())
    }

    pub(super) fn clock_time_get(&mut self, clock: u32, _precision: u64, time: u32) -> WasiResult {
        check_clock(clock)?;
        let now = self.caller.data().nanoseconds();
        self.write_u64(time, now)
    }

    pub(super) fn clock_res_get(&mut self, clock: u32, resolution: u32) -> WasiResult {
        check_clock(clock)?;
        self.write_u64(resolution, 1)
    }

    pub(super) fn random_get(&mut self, buffer: u32, size: u32) -> WasiResult {
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

    pub(super) fn environ_sizes_get(&mut self, count: u32, size: u32) -> WasiResult {
        let variables = environment(self.caller.data());
        self.write_length(count, variables.len())?;
        self.write_length(size, variables.iter().map(String::len).sum())
    }

    pub(super) fn environ_get(&mut self, mut pointers: u32, mut strings: u32) -> WasiResult {
        for variable in environment(self.caller.data()) {
            self.write_u32(pointers, strings)?;
            self.write(strings, variable.as_bytes())?;
            let length = u32::try_from(variable.len()).map_err(|_| INVAL)?;
            strings = strings.checked_add(length).ok_or(FAULT)?;
            pointers = pointers.checked_add(4).ok_or(FAULT)?;
        }
        Ok(())
    }

    pub(super) fn args_sizes_get(&mut self, count: u32, size: u32) -> WasiResult {
        self.write_u32(count, 0)?;
        self.write_u32(size, 0)
    }

    /// Success without events, which the runtime of Go needs.
    pub(super) fn poll_oneoff(
        &mut self,
        _subscriptions: u32,
        _events: u32,
        _count: u32,
        returned: u32,
    ) -> WasiResult {
        self.write_u32(returned, 0)
    }

    pub(super) fn path_readlink(
        &mut self,
        _file: u32,
        _path: u32,
        _path_size: u32,
        _buffer: u32,
        _size: u32,
        used: u32,
    ) -> WasiResult {
        self.write_u32(used, 0)?;
        Err(NOTSUP.into())
    }

    pub(super) fn sock_accept(&mut self, _file: u32, _flags: u32, connection: u32) -> WasiResult {
        // Envoy writes 64 bits where WASI has 32.
        self.write_u64(connection, 0)?;
        Err(NOTSUP.into())
    }

    pub(super) fn sock_recv(
        &mut self,
        _file: u32,
        _vectors: u32,
        _count: u32,
        _flags: u32,
        read: u32,
        returned_flags: u32,
    ) -> WasiResult {
        self.write_u32(read, 0)?;
        self.write(returned_flags, &[0; 2])?;
        Err(NOTSUP.into())
    }

    pub(super) fn sock_send(
        &mut self,
        _file: u32,
        _vectors: u32,
        _count: u32,
        _flags: u32,
        written: u32,
    ) -> WasiResult {
        self.write_u32(written, 0)?;
        Err(NOTSUP.into())
    }
}

fn check_clock(clock: u32) -> WasiResult {
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
