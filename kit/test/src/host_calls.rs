//! The host calls (ABI: "Functions exposed by the host").
//!
//! Each is a method of [`ActiveCall`] with the parameters of the ABI. A pair `data, size` is an address
//! in the module's memory and a length; for a value that is returned, it is the addresses to which
//! the host writes the two.

use proxy_wasm_abi::{HOST_MODULE, Status, UnknownNumber};
use wasmi::{Caller, Memory};

use crate::headers::Headers;
use crate::host::{Host, charge};
use crate::imports::Imports;
use crate::maps;
use crate::memory;
use crate::phase::ExecutionPhase;

mod abi_0_1_0;
mod buffers;
mod contexts;
mod foreign;
mod grpc;
mod header_maps;
mod http_calls;
mod metrics;
mod properties;
mod queues;
mod shared_data;
mod streams;

/// Why a host call fails.
enum HostCallError {
    /// The host call returns this status.
    Status(Status),
    /// The callback ends with a trap.
    Trap(wasmi::Error),
}

impl From<Status> for HostCallError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<UnknownNumber> for HostCallError {
    fn from(error: UnknownNumber) -> Self {
        Self::Status(error.into())
    }
}

impl From<wasmi::Error> for HostCallError {
    fn from(error: wasmi::Error) -> Self {
        Self::Trap(error)
    }
}

type HostCallResult<T = ()> = Result<T, HostCallError>;

/// A host call that runs.
struct ActiveCall<'a> {
    caller: Caller<'a, Host>,
    memory: Memory,
}

/// Defines host calls: the name of each is that of a method of [`ActiveCall`].
macro_rules! define {
    ($imports:ident, $($name:ident($($argument:ident: $type:ty),*);)*) => {
        $($imports.function(
            HOST_MODULE,
            concat!("proxy_", stringify!($name)),
            |caller: Caller<'_, Host>, $($argument: $type),*| -> Result<u32, wasmi::Error> {
                let name = concat!("proxy_", stringify!($name));
                let mut call = ActiveCall::new(caller, name)?;
                let outcome = call.$name($($argument),*);
                call.finish(name, outcome)
            },
        )?;)*
    };
}

/// Defines the host calls.
pub(crate) fn define_imports(imports: &mut Imports) -> Result<(), wasmi::Error> {
    define! { imports,
        log(level: u32, data: u32, size: u32);
        get_log_level(level: u32);
        set_effective_context(context: u32);
        done();
        get_current_time_nanoseconds(time: u32);
        set_tick_period_milliseconds(period: u32);
        get_buffer_bytes(buffer: u32, start: u32, max_size: u32, data: u32, size: u32);
        get_buffer_status(buffer: u32, size: u32, unused: u32);
        set_buffer_bytes(buffer: u32, start: u32, size: u32, data: u32, data_size: u32);
        get_header_map_size(map: u32, size: u32);
        get_header_map_pairs(map: u32, data: u32, size: u32);
        set_header_map_pairs(map: u32, data: u32, size: u32);
        get_header_map_value(map: u32, name: u32, name_size: u32, data: u32, size: u32);
        add_header_map_value(map: u32, name: u32, name_size: u32, data: u32, size: u32);
        replace_header_map_value(map: u32, name: u32, name_size: u32, data: u32, size: u32);
        remove_header_map_value(map: u32, name: u32, name_size: u32);
        continue_stream(stream: u32);
        close_stream(stream: u32);
        get_status(code: u32, data: u32, size: u32);
        get_configuration(data: u32, size: u32);
        continue_request();
        continue_response();
        clear_route_cache();
        send_local_response(
            status: u32, details: u32, details_size: u32, body: u32, body_size: u32,
            headers: u32, headers_size: u32, grpc_status: u32
        );
        http_call(
            cluster: u32, cluster_size: u32, headers: u32, headers_size: u32,
            body: u32, body_size: u32, trailers: u32, trailers_size: u32,
            timeout: u32, call: u32
        );
        grpc_call(
            cluster: u32, cluster_size: u32, service: u32, service_size: u32,
            method: u32, method_size: u32, metadata: u32, metadata_size: u32,
            message: u32, message_size: u32, timeout: u32, call: u32
        );
        grpc_stream(
            cluster: u32, cluster_size: u32, service: u32, service_size: u32,
            method: u32, method_size: u32, metadata: u32, metadata_size: u32, stream: u32
        );
        grpc_send(stream: u32, data: u32, size: u32, end: u32);
        grpc_cancel(call: u32);
        grpc_close(call: u32);
        set_shared_data(key: u32, key_size: u32, data: u32, size: u32, version: u32);
        get_shared_data(key: u32, key_size: u32, data: u32, size: u32, version: u32);
        register_shared_queue(name: u32, name_size: u32, queue: u32);
        resolve_shared_queue(vm_id: u32, vm_id_size: u32, name: u32, name_size: u32, queue: u32);
        enqueue_shared_queue(queue: u32, data: u32, size: u32);
        dequeue_shared_queue(queue: u32, data: u32, size: u32);
        define_metric(kind: u32, name: u32, name_size: u32, metric: u32);
        record_metric(metric: u32, value: u64);
        increment_metric(metric: u32, delta: i64);
        get_metric(metric: u32, value: u32);
        get_property(path: u32, path_size: u32, data: u32, size: u32);
        set_property(path: u32, path_size: u32, data: u32, size: u32);
        call_foreign_function(
            name: u32, name_size: u32, arguments: u32, arguments_size: u32,
            data: u32, size: u32
        );
    }
    // C++ modules that Emscripten has compiled import these two.
    imports.function(
        HOST_MODULE,
        "emscripten_notify_memory_growth",
        |caller: Caller<'_, Host>, _: u32| {
            let phase = caller.data().phase;
            phase.check_constant("emscripten_notify_memory_growth")
        },
    )?;
    imports.function(
        HOST_MODULE,
        "pthread_equal",
        |caller: Caller<'_, Host>, left: u32, right: u32| {
            let phase = caller.data().phase;
            phase.check_constant("pthread_equal")?;
            Ok(u32::from(left == right))
        },
    )
}

impl<'a> ActiveCall<'a> {
    fn new(mut caller: Caller<'a, Host>, name: &'static str) -> Result<Self, wasmi::Error> {
        let memory = caller.data().callable_memory(name)?;
        charge(&mut caller, 0)?;
        Ok(Self { caller, memory })
    }

    fn finish(&mut self, name: &'static str, outcome: HostCallResult) -> Result<u32, wasmi::Error> {
        let status = match outcome {
            Ok(()) => Status::Ok,
            Err(HostCallError::Status(status)) => status,
            Err(HostCallError::Trap(error)) => return Err(error),
        };
        self.host().record(name, status);
        Ok(status.into())
    }

    fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    /// Reads from the module's memory.
    fn read(&mut self, data: u32, size: u32) -> HostCallResult<Vec<u8>> {
        let bytes = self.memory_slice(data, size)?.to_vec();
        charge(&mut self.caller, bytes.len())?;
        Ok(bytes)
    }

    fn memory_slice(&self, data: u32, size: u32) -> HostCallResult<&[u8]> {
        let slice = memory::slice(self.memory.data(&self.caller), data, size);
        Ok(slice.ok_or(Status::InvalidMemoryAccess)?)
    }

    fn read_map(&mut self, data: u32, size: u32) -> HostCallResult<Headers> {
        let bytes = self.read(data, size)?;
        Ok(maps::deserialize(&bytes))
    }

    /// Writes into the module's memory.
    fn write(&mut self, address: u32, bytes: &[u8]) -> HostCallResult {
        let address = usize::try_from(address).unwrap_or(usize::MAX);
        self.memory
            .write(&mut self.caller, address, bytes)
            .map_err(|_| Status::InvalidMemoryAccess.into())
    }

    fn write_u32(&mut self, address: u32, number: u32) -> HostCallResult {
        self.write(address, &number.to_le_bytes())
    }

    fn write_u64(&mut self, address: u32, number: u64) -> HostCallResult {
        self.write(address, &number.to_le_bytes())
    }

    fn write_length(&mut self, address: u32, length: usize) -> HostCallResult {
        let length = u32::try_from(length).map_err(|_| Status::InternalFailure)?;
        self.write_u32(address, length)
    }

    /// Checks that a 32-bit number can be written to each of these addresses, before anything is
    /// changed.
    fn check<const COUNT: usize>(&self, addresses: [u32; COUNT]) -> HostCallResult {
        addresses
            .into_iter()
            .try_for_each(|address| self.memory_slice(address, 4).map(drop))
    }

    /// Copies bytes to memory that the module allocates, and writes their address and length to
    /// `data` and `size` (ABI: "Memory management"). If there are no bytes, nothing is allocated.
    fn return_bytes(&mut self, bytes: &[u8], data: u32, size: u32) -> HostCallResult {
        self.check([data, size])?;
        charge(&mut self.caller, bytes.len())?;
        let mut address = 0;
        if !bytes.is_empty() {
            let length = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
            address = self.allocate(length)?;
            self.write(address, bytes)?;
        }
        self.write_u32(data, address)?;
        self.write_length(size, bytes.len())
    }

    /// Allocates memory in the module.
    fn allocate(&mut self, length: u32) -> HostCallResult<u32> {
        let allocator = self.host().allocator;
        let allocator = allocator.ok_or(Status::InvalidMemoryAccess)?;
        self.host().phase = ExecutionPhase::Allocating;
        let address = allocator.call(&mut self.caller, length)?;
        self.host().phase = ExecutionPhase::Running;
        if address == 0 {
            return Err(Status::InvalidMemoryAccess.into());
        }
        Ok(address)
    }
}
