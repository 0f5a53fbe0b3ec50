//! The host: all that host calls read and change.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proxy_wasm_abi::{AbiVersion, BufferType, LogLevel, MapType, Status};
use wasmi::{Caller, Memory, TypedFunc};

use crate::backtrace;
use crate::context::{Direction, LastBuffer, Part, PluginContext, StreamContext};
use crate::grpc::GrpcCall;
use crate::header_map::MapKind;
use crate::headers::Headers;
use crate::limits::Limits;
use crate::local_response::LocalResponse;
use crate::options::Options;
use crate::phase::ExecutionPhase;
use crate::queue::Queue;
use crate::records::{ForeignCall, HostCall, HttpCall, LogLine};
use crate::tcp::Side;

mod metrics;
mod properties;
mod queues;
mod shared_data;

use metrics::Metrics;
pub(crate) use metrics::metric_type;

/// How much of the remaining fuel a host call, and each byte that it copies, uses. This limits the work
/// that a module can cause in the host, and chains of callbacks that cause each other.
const HOST_CALL_COST: u64 = 1_000;
const BYTE_COST: u64 = 10;

/// How many log lines are kept. Older ones are dropped.
const MAX_LOG_LINES: usize = 10_000;

/// How many calls of foreign functions are kept. Older ones are dropped.
const MAX_FOREIGN_CALLS: usize = 1_000;

/// What the host does when a callback has returned, because no callback runs inside another.
#[derive(Debug)]
pub(crate) enum QueuedAction {
    /// Forwards what the extension holds.
    Resume(u32, Direction),
    LocalResponse(u32, LocalResponse),
    Close(u32),
    /// Forwards what the extension holds of what a TCP client has sent.
    ContinueReading(u32),
    CloseConnection(u32),
    DeletePlugin(u32),
    /// Reports a gRPC call to a cluster that does not exist as closed.
    GrpcUnavailable {
        plugin: u32,
        call: u32,
    },
}

/// What the host does when no callback runs.
#[derive(Debug)]
pub(crate) enum Posted {
    QueueReady {
        plugin: u32,
        queue: u32,
    },
    /// A TCP connection has its connection to the upstream.
    Connected(u32),
    /// The extension holds nothing any more of what a client or the upstream has sent.
    Drained(u32),
    /// A TCP connection is closed, and its context deleted.
    Closed(u32),
}

/// All that host calls read and change.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) options: Options,
    pub(crate) limits: Limits,
    /// The version of the module's ABI.
    pub(crate) version: AbiVersion,
    pub(crate) phase: ExecutionPhase,
    /// The memory that host calls read and write.
    pub(crate) memory: Option<Memory>,
    /// The function that allocates memory for what host calls return.
    pub(crate) allocator: Option<TypedFunc<u32, u32>>,
    /// The exit code of the last `proc_exit` of the callback that runs.
    pub(crate) exit_code: Option<u32>,
    pub(crate) plugins: BTreeMap<u32, PluginContext>,
    pub(crate) streams: BTreeMap<u32, StreamContext>,
    /// Streams that have ended, until the test has read them.
    pub(crate) ended_streams: BTreeMap<u32, StreamContext>,
    next_context: u32,
    /// The context of the callback that runs.
    pub(crate) current: u32,
    /// The context that the module has chosen instead (ABI: `proxy_set_effective_context`).
    pub(crate) effective: Option<u32>,
    /// The cost of the host calls that the running callback has made.
    pub(crate) host_fuel: u64,
    pub(crate) actions: VecDeque<QueuedAction>,
    pub(crate) posted: VecDeque<Posted>,
    /// Whether the running callback has sent a response. If it has, its result does not count.
    pub(crate) stops_iteration: bool,
    pub(crate) time: Duration,
    pub(crate) random_state: u64,
    pub(crate) log: VecDeque<LogLine>,
    /// What the running callback has logged.
    pub(crate) callback_log: Vec<LogLine>,
    pub(crate) host_calls: BTreeMap<&'static str, u64>,
    pub(crate) foreign_calls: VecDeque<ForeignCall>,
    /// Values and their versions.
    pub(crate) shared_data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    shared_data_version: u32,
    pub(crate) queues: BTreeMap<u32, Queue>,
    pub(crate) metrics: Metrics,
    pub(crate) calls: BTreeMap<u32, HttpCall>,
    last_call: u32,
    pub(crate) grpc_calls: BTreeMap<u32, GrpcCall>,
    last_grpc_call: u32,
    last_grpc_stream: u32,
}

impl Host {
    pub(crate) fn new(options: Options, version: AbiVersion) -> Self {
        Self {
            // The limit also applies to the memory of the backtrace, which has a fixed size.
            limits: Limits::new(options.memory_limit.max(backtrace::SIZE)),
            version,
            phase: ExecutionPhase::Instantiating,
            memory: None,
            allocator: None,
            exit_code: None,
            plugins: BTreeMap::new(),
            streams: BTreeMap::new(),
            ended_streams: BTreeMap::new(),
            next_context: 1,
            current: 0,
            effective: None,
            host_fuel: 0,
            actions: VecDeque::new(),
            posted: VecDeque::new(),
            stops_iteration: false,
            time: options.time,
            random_state: options.random_seed,
            log: VecDeque::new(),
            callback_log: Vec::new(),
            host_calls: BTreeMap::new(),
            foreign_calls: VecDeque::new(),
            shared_data: BTreeMap::new(),
            shared_data_version: 0,
            queues: BTreeMap::new(),
            metrics: Metrics::default(),
            calls: BTreeMap::new(),
            last_call: 0,
            grpc_calls: BTreeMap::new(),
            last_grpc_call: 1,
            last_grpc_stream: 2,
            options,
        }
    }

    /// The memory, for a function that uses the memory or the context. Checks that the module may call
    /// the function now.
    pub(crate) fn callable_memory(&self, function: &str) -> Result<Memory, wasmi::Error> {
        self.phase.check(function)?;
        let memory = self.memory;
        memory.ok_or_else(|| {
            wasmi::Error::new(format!(
                "{function} needs a memory, and the module exports none; Envoy crashes"
            ))
        })
    }

    /// An identifier for a new context, which no living context has.
    pub(crate) fn new_context(&mut self) -> u32 {
        loop {
            let id = self.next_context;
            self.next_context = self.next_context.checked_add(1).unwrap_or(1);
            let is_taken = self.plugins.contains_key(&id)
                || self.streams.contains_key(&id)
                || self.ended_streams.contains_key(&id);
            if !is_taken {
                return id;
            }
        }
    }

    /// The context that host calls act on.
    pub(crate) fn context(&self) -> u32 {
        self.effective.unwrap_or(self.current)
    }

    pub(crate) fn stream(&mut self) -> Option<&mut StreamContext> {
        let id = self.context();
        self.streams.get_mut(&id)
    }

    /// Whether a context is that of an HTTP stream.
    pub(crate) fn is_http_stream(&self, id: u32) -> bool {
        let stream = self.streams.get(&id);
        stream.is_some_and(|stream| stream.tcp.is_none())
    }

    /// Whether a context is that of a TCP connection.
    pub(crate) fn is_connection(&self, id: u32) -> bool {
        let stream = self.streams.get(&id);
        stream.is_some_and(|stream| stream.tcp.is_some())
    }

    /// The identifier of the plugin that the context belongs to.
    pub(crate) fn plugin_id(&self) -> u32 {
        let id = self.context();
        self.streams.get(&id).map_or(id, |stream| stream.plugin)
    }

    pub(crate) fn plugin(&mut self) -> Option<&mut PluginContext> {
        let id = self.plugin_id();
        self.plugins.get_mut(&id)
    }

    pub(crate) fn write_log(&mut self, level: LogLevel, message: &[u8]) {
        let line = LogLine {
            level,
            message: String::from_utf8_lossy(message).into_owned(),
        };
        if self.log.len() == MAX_LOG_LINES {
            self.log.pop_front();
        }
        if self.callback_log.len() < MAX_LOG_LINES {
            self.callback_log.push(line.clone());
        }
        self.log.push_back(line);
    }

    pub(crate) fn record(&mut self, name: &'static str, status: Status) {
        *self.host_calls.entry(name).or_default() += 1;
        if let Some(stream) = self.stream() {
            stream.host_calls.push(HostCall { name, status });
        }
    }

    pub(crate) fn record_foreign_call(&mut self, call: ForeignCall) {
        if self.foreign_calls.len() == MAX_FOREIGN_CALLS {
            self.foreign_calls.pop_front();
        }
        self.foreign_calls.push_back(call);
    }

    /// A map that the module can read now (ABI: "HTTP fields").
    pub(crate) fn map(&mut self, map: MapType) -> Option<&Headers> {
        let (direction, part) = match map {
            MapType::GrpcInitialMetadata => {
                return self.plugin()?.grpc_response.initial_metadata.as_ref();
            }
            MapType::GrpcTrailingMetadata => {
                return self.plugin()?.grpc_response.trailing_metadata.as_ref();
            }
            MapType::CallResponseHeaders => {
                return Some(&self.plugin()?.call_response.as_ref()?.headers);
            }
            MapType::CallResponseTrailers => {
                return self.plugin()?.call_response.as_ref()?.trailers.as_ref();
            }
            MapType::RequestHeaders => (Direction::Request, Part::Headers),
            MapType::RequestTrailers => (Direction::Request, Part::Trailers),
            MapType::ResponseHeaders => (Direction::Response, Part::Headers),
            MapType::ResponseTrailers => (Direction::Response, Part::Trailers),
        };
        let stream = self.stream()?;
        let is_logging = stream.is_logging;
        let state = stream.state(direction);
        let is_readable = match map {
            _ if !is_logging => state.is_open(part),
            MapType::RequestTrailers => false,
            _ => state.has_begun,
        };
        match part {
            _ if !is_readable => None,
            Part::Trailers => state.trailers.as_ref(),
            _ => Some(&state.headers),
        }
    }

    /// A map that the module can change now, and its kind. At the end of a body without trailers,
    /// there is an empty map of trailers.
    pub(crate) fn map_mut(&mut self, map: MapType) -> Option<(&mut Headers, MapKind)> {
        let (direction, part, kind) = match map {
            MapType::RequestHeaders => (Direction::Request, Part::Headers, MapKind::Request),
            MapType::ResponseHeaders => (Direction::Response, Part::Headers, MapKind::Response),
            MapType::RequestTrailers => {
                (Direction::Request, Part::Trailers, MapKind::RequestTrailers)
            }
            MapType::ResponseTrailers => (
                Direction::Response,
                Part::Trailers,
                MapKind::ResponseTrailers,
            ),
            _ => return None,
        };
        let stream = self.stream()?;
        let shows_end = stream.shows_end;
        let state = stream.state(direction);
        let can_add = part == Part::Trailers && state.is_open(Part::Body) && shows_end;
        if can_add && state.trailers.is_none() {
            state.trailers = Some(Headers::default());
            state.open(part);
        }
        match part {
            _ if !state.is_open(part) => None,
            Part::Trailers => Some((state.trailers.as_mut()?, kind)),
            _ => Some((&mut state.headers, kind)),
        }
    }

    /// A buffer that the module can read now (ABI: "Buffers"). Those of a stream are empty in
    /// callbacks to which they do not belong.
    pub(crate) fn buffer(&mut self, buffer: BufferType) -> Option<&[u8]> {
        if buffer == BufferType::ForeignFunctionArguments {
            return Some(match *self.last_buffer()? {
                LastBuffer::Absent => &[],
                LastBuffer::ReadOnly(BufferType::PluginConfiguration) => {
                    let plugin = self.plugin()?;
                    plugin.configuration.as_deref().unwrap_or_default()
                }
                LastBuffer::ReadOnly(last) | LastBuffer::Changeable(last) => {
                    self.readable_buffer(last).unwrap_or_default()
                }
            });
        }
        let last = match buffer {
            _ if self.readable_buffer(buffer).is_none() => None,
            BufferType::VmConfiguration
            | BufferType::PluginConfiguration
            | BufferType::CallResponseBody => Some(LastBuffer::ReadOnly(buffer)),
            _ if self.buffer_mut(buffer).is_some() => Some(LastBuffer::Changeable(buffer)),
            _ => Some(LastBuffer::Absent),
        };
        if let (Some(last), Some(current)) = (last, self.last_buffer()) {
            *current = last;
        }
        self.readable_buffer(buffer)
    }

    pub(crate) fn last_buffer(&mut self) -> Option<&mut LastBuffer> {
        let id = self.context();
        match self.plugins.get_mut(&id) {
            Some(plugin) => Some(&mut plugin.last_buffer),
            None => Some(&mut self.streams.get_mut(&id)?.last_buffer),
        }
    }

    fn readable_buffer(&mut self, buffer: BufferType) -> Option<&[u8]> {
        match buffer {
            BufferType::VmConfiguration => Some(&self.options.vm_configuration),
            BufferType::PluginConfiguration => self.plugin()?.open_configuration(),
            BufferType::CallResponseBody => {
                let reply = self.plugin()?.call_response.as_ref()?;
                Some(reply.chunks.first().map_or(&[], Vec::as_slice))
            }
            _ => Some(self.buffer_mut(buffer).map_or(&[], |body| body.as_slice())),
        }
    }

    /// A buffer that the module can change now.
    pub(crate) fn buffer_mut(&mut self, buffer: BufferType) -> Option<&mut Vec<u8>> {
        let direction = match buffer {
            BufferType::RequestBody => Direction::Request,
            BufferType::ResponseBody => Direction::Response,
            BufferType::DownstreamData => return self.tcp_buffer(Side::Downstream),
            BufferType::UpstreamData => return self.tcp_buffer(Side::Upstream),
            BufferType::GrpcMessage => return self.plugin()?.grpc_response.message.as_mut(),
            _ => return None,
        };
        self.stream()?.state(direction).body()
    }

    fn tcp_buffer(&mut self, source: Side) -> Option<&mut Vec<u8>> {
        self.stream()?.tcp.as_mut()?.flow(source).open_buffer()
    }

    /// Counts a host call that copies this number of bytes, and returns its cost.
    fn cost_of_host_call(&mut self, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let cost = HOST_CALL_COST.saturating_add(bytes.saturating_mul(BYTE_COST));
        self.host_fuel = self.host_fuel.saturating_add(cost);
        cost
    }

    /// Adds an HTTP call, and returns its identifier.
    pub(crate) fn start_call(&mut self, mut call: HttpCall) -> u32 {
        let id = next_id(&mut self.last_call, &self.calls);
        call.id = id;
        self.calls.insert(id, call);
        id
    }

    /// An identifier for a gRPC call or stream.
    pub(crate) fn next_grpc_id(&mut self, is_stream: bool) -> u32 {
        let last = if is_stream {
            &mut self.last_grpc_stream
        } else {
            &mut self.last_grpc_call
        };
        next_id(last, &self.grpc_calls)
    }

    /// The next random number (SplitMix64).
    pub(crate) fn random(&mut self) -> u64 {
        self.random_state = self.random_state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.random_state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// The time as the ABI encodes it: 64 bits of nanoseconds last until the year 2554.
    pub(crate) fn nanoseconds(&self) -> u64 {
        u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Subtracts from the module's fuel the cost of a host call that copies this number of bytes.
pub(crate) fn charge(caller: &mut Caller<'_, Host>, bytes: usize) -> Result<(), wasmi::Error> {
    let cost = caller.data_mut().cost_of_host_call(bytes);
    let left = caller.get_fuel()?.saturating_sub(cost);
    caller.set_fuel(left)
}

/// The next identifier of a call that is not in use. As in Envoy, the lowest two bits are its kind.
fn next_id<T>(last: &mut u32, calls: &BTreeMap<u32, T>) -> u32 {
    loop {
        *last = last.wrapping_add(4);
        if *last >= 4 && !calls.contains_key(last) {
            return *last;
        }
    }
}
