//! The host calls (ABI: "Functions exposed by the host").
//!
//! Each is a method of [`Call`] with the parameters of the ABI. A pair `data, size` is an address in
//! the module's memory and a length; for a value that is returned, it is the addresses to which the
//! host writes the two.

use std::time::Duration;

use proxy_wasm_abi::{
    BufferType, HOST_MODULE, LogLevel, MapType, MetricType, Status, StreamType, UnknownNumber,
};
use wasmi::{Caller, Extern, Memory};

use crate::context::Direction;
use crate::headers::Headers;
use crate::host::{Action, Host, charge};
use crate::maps;
use crate::message::Reply;
use crate::offer::Offer;
use crate::records::{HttpCall, Metric};

/// Why a host call fails.
enum Failure {
    /// The host call returns this status.
    Status(Status),
    /// The callback ends with a trap.
    Trap(wasmi::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<UnknownNumber> for Failure {
    fn from(error: UnknownNumber) -> Self {
        Self::Status(error.into())
    }
}

impl From<wasmi::Error> for Failure {
    fn from(error: wasmi::Error) -> Self {
        Self::Trap(error)
    }
}

type Outcome<T = ()> = Result<T, Failure>;

/// A host call that runs.
struct Call<'a> {
    caller: Caller<'a, Host>,
    memory: Memory,
}

/// Offers host calls: the name of each is that of a method of [`Call`].
macro_rules! define {
    ($offer:ident, $($name:ident($($argument:ident: $type:ty),*);)*) => {
        $($offer.function(
            HOST_MODULE,
            concat!("proxy_", stringify!($name)),
            |caller: Caller<'_, Host>, $($argument: $type),*| -> Result<u32, wasmi::Error> {
                let name = concat!("proxy_", stringify!($name));
                let mut call = Call::new(caller, name)?;
                let outcome = call.$name($($argument),*);
                call.finish(name, outcome)
            },
        )?;)*
    };
}

/// Offers the host calls.
pub(crate) fn offer(offer: &mut Offer) -> Result<(), wasmi::Error> {
    define! { offer,
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
    offer.function(HOST_MODULE, "emscripten_notify_memory_growth", |_: u32| {})?;
    offer.function(HOST_MODULE, "pthread_equal", |left: u32, right: u32| {
        u32::from(left == right)
    })
}

impl<'a> Call<'a> {
    fn new(mut caller: Caller<'a, Host>, name: &'static str) -> Result<Self, wasmi::Error> {
        if caller.data().is_instantiating {
            return Err(wasmi::Error::new(format!(
                "{name} can't be called in the start section: it crashes Envoy"
            )));
        }
        if caller.data().is_starting && name != "proxy_log" {
            return Err(wasmi::Error::new(format!(
                "{name} can't be called before the VM has started"
            )));
        }
        let memory = caller.get_export("memory").and_then(Extern::into_memory);
        let memory = memory.ok_or_else(|| wasmi::Error::new("the module exports no memory"))?;
        charge(&mut caller, 0)?;
        Ok(Self { caller, memory })
    }

    fn finish(&mut self, name: &'static str, outcome: Outcome) -> Result<u32, wasmi::Error> {
        let status = match outcome {
            Ok(()) => Status::Ok,
            Err(Failure::Status(status)) => status,
            Err(Failure::Trap(error)) => return Err(error),
        };
        self.host().record(name, status);
        Ok(status.into())
    }

    fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    /// Reads from the module's memory.
    fn read(&mut self, data: u32, size: u32) -> Outcome<Vec<u8>> {
        let bytes = self.memory_slice(data, size)?.to_vec();
        charge(&mut self.caller, bytes.len())?;
        Ok(bytes)
    }

    fn memory_slice(&self, data: u32, size: u32) -> Outcome<&[u8]> {
        let memory = self.memory.data(&self.caller);
        let start = usize::try_from(data).unwrap_or(usize::MAX);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let end = start.checked_add(size).ok_or(Status::InvalidMemoryAccess)?;
        Ok(memory.get(start..end).ok_or(Status::InvalidMemoryAccess)?)
    }

    fn read_map(&mut self, data: u32, size: u32) -> Outcome<Headers> {
        let bytes = self.read(data, size)?;
        Ok(maps::deserialize(&bytes).ok_or(Status::BadArgument)?)
    }

    /// Writes into the module's memory.
    fn write(&mut self, address: u32, bytes: &[u8]) -> Outcome {
        let address = usize::try_from(address).unwrap_or(usize::MAX);
        self.memory
            .write(&mut self.caller, address, bytes)
            .map_err(|_| Status::InvalidMemoryAccess.into())
    }

    fn write_u32(&mut self, address: u32, number: u32) -> Outcome {
        self.write(address, &number.to_le_bytes())
    }

    fn write_u64(&mut self, address: u32, number: u64) -> Outcome {
        self.write(address, &number.to_le_bytes())
    }

    fn write_length(&mut self, address: u32, length: usize) -> Outcome {
        let length = u32::try_from(length).map_err(|_| Status::InternalFailure)?;
        self.write_u32(address, length)
    }

    /// Checks that a 32-bit number can be written to each of these addresses, before anything is
    /// changed.
    fn check<const COUNT: usize>(&self, addresses: [u32; COUNT]) -> Outcome {
        addresses
            .into_iter()
            .try_for_each(|address| self.memory_slice(address, 4).map(drop))
    }

    /// Copies bytes to memory that the module allocates, and writes their address and length to
    /// `data` and `size` (ABI: "Memory management"). If there are no bytes, nothing is allocated.
    fn return_bytes(&mut self, bytes: &[u8], data: u32, size: u32) -> Outcome {
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

    /// Allocates memory in the module. Its allocator cannot make a host call that allocates memory:
    /// that would never end.
    fn allocate(&mut self, length: u32) -> Outcome<u32> {
        if std::mem::replace(&mut self.host().is_allocating, true) {
            return Err(wasmi::Error::new(
                "its allocator makes a host call that needs memory allocated",
            )
            .into());
        }
        let allocator = ["proxy_on_memory_allocate", "malloc"]
            .into_iter()
            .filter_map(|name| self.caller.get_export(name)?.into_func())
            // The one that Envoy ignores may have any signature.
            .find_map(|function| function.typed::<u32, u32>(&self.caller).ok())
            .ok_or(Status::InvalidMemoryAccess)?;
        let address = allocator.call(&mut self.caller, length)?;
        self.host().is_allocating = false;
        if address == 0 {
            return Err(Status::InvalidMemoryAccess.into());
        }
        Ok(address)
    }

    fn log(&mut self, level: u32, data: u32, size: u32) -> Outcome {
        let level = LogLevel::try_from(level)?;
        let message = self.read(data, size)?;
        self.host().write_log(level, &message);
        Ok(())
    }

    fn get_log_level(&mut self, level: u32) -> Outcome {
        let current = self.host().options.log_level;
        self.write_u32(level, current.into())
    }

    fn set_effective_context(&mut self, context: u32) -> Outcome {
        let host = self.host();
        if !host.plugins.contains_key(&context) && !host.streams.contains_key(&context) {
            return Err(Status::BadArgument.into());
        }
        host.effective = Some(context);
        Ok(())
    }

    fn done(&mut self) -> Outcome {
        let host = self.host();
        let id = host.context();
        match host.plugins.get_mut(&id) {
            Some(plugin) if plugin.awaits_done => {
                plugin.awaits_done = false;
                host.actions.push_back(Action::DeletePlugin(id));
                Ok(())
            }
            _ => Err(Status::NotFound.into()),
        }
    }

    fn get_current_time_nanoseconds(&mut self, time: u32) -> Outcome {
        let now = self.host().nanoseconds();
        self.write_u64(time, now)
    }

    fn set_tick_period_milliseconds(&mut self, period: u32) -> Outcome {
        let now = self.host().time;
        let plugin = self.host().plugin().ok_or(Status::InternalFailure)?;
        plugin.tick_period = Duration::from_millis(period.into());
        plugin.next_tick = now + plugin.tick_period;
        Ok(())
    }

    fn get_buffer_bytes(
        &mut self,
        buffer: u32,
        start: u32,
        max_size: u32,
        data: u32,
        size: u32,
    ) -> Outcome {
        let buffer = BufferType::try_from(buffer)?;
        let end = start.checked_add(max_size).ok_or(Status::BadArgument)?;
        let bytes = self.host().buffer(buffer).ok_or(Status::NotFound)?;
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = match bytes.get(start..end.max(start)) {
            Some([]) => return Ok(()),
            Some(bytes) => bytes.to_vec(),
            None => return Err(Status::BadArgument.into()),
        };
        self.return_bytes(&bytes, data, size)
    }

    fn get_buffer_status(&mut self, buffer: u32, size: u32, unused: u32) -> Outcome {
        let buffer = BufferType::try_from(buffer)?;
        let length = self.host().buffer(buffer).ok_or(Status::NotFound)?.len();
        self.check([size, unused])?;
        self.write_length(size, length)?;
        self.write_u32(unused, 0)
    }

    fn set_buffer_bytes(
        &mut self,
        buffer: u32,
        start: u32,
        size: u32,
        data: u32,
        data_size: u32,
    ) -> Outcome {
        let buffer = BufferType::try_from(buffer)?;
        let bytes = self.read(data, data_size)?;
        let host = self.host();
        if host.buffer_mut(buffer).is_none() && host.buffer(buffer).is_some() {
            // As in Envoy: the buffer exists, but cannot be changed.
            return Err(Status::BadArgument.into());
        }
        let body = host.buffer_mut(buffer).ok_or(Status::NotFound)?;
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(body.len());
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let end = start.saturating_add(size).min(body.len());
        body.splice(start..end, bytes);
        Ok(())
    }

    fn get_header_map_size(&mut self, map: u32, size: u32) -> Outcome {
        let map = MapType::try_from(map)?;
        let map = self.host().map(map).ok_or(Status::BadArgument)?;
        let length = maps::serialize(map).len();
        self.write_length(size, length)
    }

    fn get_header_map_pairs(&mut self, map: u32, data: u32, size: u32) -> Outcome {
        let map = MapType::try_from(map)?;
        let bytes = self.host().map(map).map(maps::serialize);
        self.return_bytes(&bytes.unwrap_or_default(), data, size)
    }

    fn set_header_map_pairs(&mut self, map: u32, data: u32, size: u32) -> Outcome {
        let map = MapType::try_from(map)?;
        let pairs = self.read_map(data, size)?;
        *self.host().map_mut(map).ok_or(Status::BadArgument)? = pairs;
        Ok(())
    }

    fn get_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        data: u32,
        size: u32,
    ) -> Outcome {
        let map = MapType::try_from(map)?;
        let name = self.read(name, name_size)?;
        let map = self.host().map(map).ok_or(Status::BadArgument)?;
        let value = map.first(name).ok_or(Status::NotFound)?.to_vec();
        self.return_bytes(&value, data, size)
    }

    fn add_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        data: u32,
        size: u32,
    ) -> Outcome {
        let map = MapType::try_from(map)?;
        let (name, value) = (self.read(name, name_size)?, self.read(data, size)?);
        let map = self.host().map_mut(map).ok_or(Status::BadArgument)?;
        map.append(name, value);
        Ok(())
    }

    fn replace_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        data: u32,
        size: u32,
    ) -> Outcome {
        let map = MapType::try_from(map)?;
        let (name, value) = (self.read(name, name_size)?, self.read(data, size)?);
        let map = self.host().map_mut(map).ok_or(Status::BadArgument)?;
        map.replace(name, value);
        Ok(())
    }

    fn remove_header_map_value(&mut self, map: u32, name: u32, name_size: u32) -> Outcome {
        let map = MapType::try_from(map)?;
        let name = self.read(name, name_size)?;
        let map = self.host().map_mut(map).ok_or(Status::BadArgument)?;
        map.remove(name);
        Ok(())
    }

    fn continue_stream(&mut self, stream: u32) -> Outcome {
        let direction = match StreamType::try_from(stream)? {
            StreamType::Request => Direction::Request,
            StreamType::Response => Direction::Response,
            StreamType::Downstream | StreamType::Upstream => {
                return Err(Status::Unimplemented.into());
            }
        };
        let host = self.host();
        let id = host.context();
        if host.streams.contains_key(&id) {
            host.actions.push_back(Action::Resume(id, direction));
        }
        Ok(())
    }

    fn close_stream(&mut self, stream: u32) -> Outcome {
        match StreamType::try_from(stream)? {
            StreamType::Request | StreamType::Response => {
                if let Some(stream) = self.host().stream() {
                    stream.is_closed = true;
                }
                Ok(())
            }
            StreamType::Downstream | StreamType::Upstream => Err(Status::BadArgument.into()),
        }
    }

    fn get_status(&mut self, code: u32, data: u32, size: u32) -> Outcome {
        let (number, message) = self.host().plugin().map_or((0, ""), |plugin| plugin.status);
        self.check([code, data, size])?;
        self.write_u32(code, number)?;
        self.return_bytes(message.as_bytes(), data, size)
    }

    // The ABI's parameters.
    #[allow(clippy::too_many_arguments)]
    fn send_local_response(
        &mut self,
        status: u32,
        details: u32,
        details_size: u32,
        body: u32,
        body_size: u32,
        headers: u32,
        headers_size: u32,
        _grpc_status: u32,
    ) -> Outcome {
        self.read(details, details_size)?;
        let body = self.read(body, body_size)?;
        let added = self.read_map(headers, headers_size)?;
        let mut reply = Reply::new(u16::try_from(status).map_err(|_| Status::BadArgument)?);
        let headers = &mut reply.headers;
        for (name, value) in added.bytes() {
            headers.append(name, value);
        }
        // As in Envoy: the extension's own type stays, and without a body there is none.
        headers.remove("content-length");
        if body.is_empty() {
            headers.remove("content-type");
        } else {
            headers.append("content-length", body.len().to_string());
            if headers.first("content-type").is_none() {
                headers.append("content-type", "text/plain");
            }
            reply.chunks.push(body);
        }
        let host = self.host();
        let id = host.context();
        if let Some(stream) = host.streams.get_mut(&id) {
            stream.local_response = Some(reply);
            host.actions.push_back(Action::LocalResponse(id));
        }
        Ok(())
    }

    // The ABI's parameters.
    #[allow(clippy::too_many_arguments)]
    fn http_call(
        &mut self,
        cluster: u32,
        cluster_size: u32,
        headers: u32,
        headers_size: u32,
        body: u32,
        body_size: u32,
        trailers: u32,
        trailers_size: u32,
        timeout: u32,
        call: u32,
    ) -> Outcome {
        let cluster = self.read(cluster, cluster_size)?;
        let headers = self.read_map(headers, headers_size)?;
        let body = self.read(body, body_size)?;
        let trailers = self.read_map(trailers, trailers_size)?;
        self.write_u32(call, 0)?;
        let host = self.host();
        let required = [":method", ":path", ":authority"];
        if host.options.missing_clusters.contains(&cluster)
            || required.iter().any(|name| headers.first(name).is_none())
        {
            return Err(Status::BadArgument.into());
        }
        let timeout = Duration::from_millis(timeout.into());
        let id = host.start_call(HttpCall {
            id: 0,
            cluster: String::from_utf8_lossy(&cluster).into_owned(),
            headers,
            body,
            trailers,
            timeout,
            plugin: host.plugin_id(),
            deadline: (!timeout.is_zero()).then(|| host.time + timeout),
        });
        self.write_u32(call, id)
    }

    // The ABI's parameters.
    #[allow(clippy::too_many_arguments)]
    fn grpc_call(
        &mut self,
        cluster: u32,
        cluster_size: u32,
        service: u32,
        service_size: u32,
        method: u32,
        method_size: u32,
        metadata: u32,
        metadata_size: u32,
        message: u32,
        message_size: u32,
        _timeout: u32,
        _call: u32,
    ) -> Outcome {
        self.read(message, message_size)?;
        self.grpc_stream(
            cluster,
            cluster_size,
            service,
            service_size,
            method,
            method_size,
            metadata,
            metadata_size,
            0,
        )
    }

    // The ABI's parameters.
    #[allow(clippy::too_many_arguments)]
    fn grpc_stream(
        &mut self,
        cluster: u32,
        cluster_size: u32,
        service: u32,
        service_size: u32,
        method: u32,
        method_size: u32,
        metadata: u32,
        metadata_size: u32,
        _stream: u32,
    ) -> Outcome {
        self.read(cluster, cluster_size)?;
        self.read(service, service_size)?;
        self.read(method, method_size)?;
        self.read(metadata, metadata_size)?;
        // "INTERNAL_FAILURE when the host failed to send a gRPC call."
        Err(Status::InternalFailure.into())
    }

    fn grpc_send(&mut self, _stream: u32, data: u32, size: u32, _end: u32) -> Outcome {
        self.read(data, size)?;
        Err(Status::NotFound.into())
    }

    fn grpc_cancel(&mut self, _call: u32) -> Outcome {
        Err(Status::NotFound.into())
    }

    fn grpc_close(&mut self, _call: u32) -> Outcome {
        Err(Status::NotFound.into())
    }

    fn set_shared_data(
        &mut self,
        key: u32,
        key_size: u32,
        data: u32,
        size: u32,
        version: u32,
    ) -> Outcome {
        let (key, value) = (self.read(key, key_size)?, self.read(data, size)?);
        self.host().set_shared_data(key, value, version)?;
        Ok(())
    }

    fn get_shared_data(
        &mut self,
        key: u32,
        key_size: u32,
        data: u32,
        size: u32,
        version: u32,
    ) -> Outcome {
        let key = self.read(key, key_size)?;
        let found = self.host().shared_data.get(&key).cloned();
        let (value, current) = found.ok_or(Status::NotFound)?;
        self.check([data, size, version])?;
        self.return_bytes(&value, data, size)?;
        self.write_u32(version, current)
    }

    fn register_shared_queue(&mut self, name: u32, name_size: u32, queue: u32) -> Outcome {
        let name = self.read(name, name_size)?;
        self.check([queue])?;
        let id = self.host().register_queue(name)?;
        self.write_u32(queue, id)
    }

    fn resolve_shared_queue(
        &mut self,
        vm_id: u32,
        vm_id_size: u32,
        name: u32,
        name_size: u32,
        queue: u32,
    ) -> Outcome {
        let (mut vm_id, name) = (self.read(vm_id, vm_id_size)?, self.read(name, name_size)?);
        let host = self.host();
        if vm_id.is_empty() {
            // As in Envoy: the module's own VM.
            vm_id = host.options.vm_id.clone().into_bytes();
        }
        let id = host.find_queue(&vm_id, &name);
        self.write_u32(queue, id.ok_or(Status::NotFound)?)
    }

    fn enqueue_shared_queue(&mut self, queue: u32, data: u32, size: u32) -> Outcome {
        let item = self.read(data, size)?;
        self.host().enqueue(queue, item)?;
        Ok(())
    }

    fn dequeue_shared_queue(&mut self, queue: u32, data: u32, size: u32) -> Outcome {
        let found = self.host().queues.get_mut(&queue).ok_or(Status::NotFound)?;
        let item = found.items.pop_front().ok_or(Status::Empty)?;
        let result = self.return_bytes(&item, data, size);
        // The module has not got it, so that it stays in the queue.
        if result.is_err()
            && let Some(found) = self.host().queues.get_mut(&queue)
        {
            found.items.push_front(item);
        }
        result
    }

    fn define_metric(&mut self, kind: u32, name: u32, name_size: u32, metric: u32) -> Outcome {
        let kind = MetricType::try_from(kind)?;
        let name = self.read(name, name_size)?;
        self.check([metric])?;
        let id = self.host().define_metric(kind, name)?;
        self.write_u32(metric, id)
    }

    fn record_metric(&mut self, metric: u32, value: u64) -> Outcome {
        match self.host().metric(metric).ok_or(Status::NotFound)? {
            Metric::Counter(current) | Metric::Gauge(current) => *current = value,
            Metric::Histogram(values) => values.push(value),
        }
        Ok(())
    }

    fn increment_metric(&mut self, metric: u32, delta: i64) -> Outcome {
        match self.host().metric(metric).ok_or(Status::NotFound)? {
            Metric::Counter(value) if delta >= 0 => *value = value.wrapping_add_signed(delta),
            Metric::Gauge(value) => *value = value.wrapping_add_signed(delta),
            // "When requested delta cannot be applied (e.g. trying to decrement counter)."
            Metric::Counter(_) | Metric::Histogram(_) => return Err(Status::BadArgument.into()),
        }
        Ok(())
    }

    fn get_metric(&mut self, metric: u32, value: u32) -> Outcome {
        let current = match self.host().metric(metric).ok_or(Status::NotFound)? {
            Metric::Counter(current) | Metric::Gauge(current) => *current,
            Metric::Histogram(_) => return Err(Status::BadArgument.into()),
        };
        self.write_u64(value, current)
    }

    fn get_property(&mut self, path: u32, path_size: u32, data: u32, size: u32) -> Outcome {
        let path = self.read(path, path_size)?;
        let value = self.host().property(&path).ok_or(Status::NotFound)?;
        self.return_bytes(&value, data, size)
    }

    fn set_property(&mut self, path: u32, path_size: u32, data: u32, size: u32) -> Outcome {
        let (path, value) = (self.read(path, path_size)?, self.read(data, size)?);
        let stream = self.host().stream().ok_or(Status::NotFound)?;
        stream.properties.insert(path, value);
        Ok(())
    }

    fn call_foreign_function(
        &mut self,
        name: u32,
        name_size: u32,
        arguments: u32,
        arguments_size: u32,
        _data: u32,
        _size: u32,
    ) -> Outcome {
        self.read(name, name_size)?;
        self.read(arguments, arguments_size)?;
        Err(Status::NotFound.into())
    }
}
