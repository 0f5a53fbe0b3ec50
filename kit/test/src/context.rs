//! What the host knows: contexts, and what they share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use wasmi::{StoreLimits, StoreLimitsBuilder};

use super::headers::{EMPTY, Headers};
use super::message::Reply;
use super::options::Options;
use proxy_wasm_abi::{BufferType, LogLevel, MapType, MetricType, Status};

/// How many elements the module's tables may have, and how many tables there may be: as in V8, where
/// one table is the rule.
const TABLE_ELEMENTS: usize = 10_000_000;
const TABLES: usize = 10;

/// The fuel that a host call costs beside the module's instructions, and that of each byte that it
/// moves, so that what a module can make the host do is bounded as well, and so is a chain of callbacks that
/// lead to one another.
const HOST_CALL_COST: u64 = 1_000;
const BYTE_COST: u64 = 10;

/// How many log lines are kept; older ones are dropped.
const LOG_LENGTH: usize = 10_000;

/// A line of the module's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// What it says; what is not UTF-8 in it is replaced by `U+FFFD`.
    pub message: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "[{:?}] {}", self.level, self.message)
    }
}

/// A host call that the module made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// The name of the import, `proxy_log` for example.
    pub name: &'static str,
    /// What the host answered.
    pub status: Status,
}

/// The value of a metric (ABI: "Metrics").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A number that only grows.
    Counter(u64),
    /// A number that goes up and down.
    Gauge(u64),
    /// All that was recorded, in order.
    Histogram(Vec<u64>),
}

/// An HTTP call that waits for its answer (ABI: `proxy_http_call`).
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// Its number, which [`Proxy::respond_to_call`](super::Proxy::respond_to_call) takes.
    pub id: u32,
    /// The cluster that it goes to.
    pub cluster: String,
    /// Its headers, `:method`, `:path` and `:authority` among them.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Headers,
    /// How long it may take; zero means for ever.
    pub timeout: Duration,
    pub(super) plugin: u32,
    pub(super) deadline: Option<Duration>,
}

/// A direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// What a stream carries, piece by piece. The flag says that nothing follows.
#[derive(Debug)]
pub(super) enum Event {
    Headers(Headers, bool),
    Body(Vec<u8>, bool),
    Trailers(Headers),
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Headers,
    Body,
    Trailers,
}

/// What the host does after a callback has returned, so that no callback runs inside another.
#[derive(Debug)]
pub(super) enum Action {
    Next(u32, Direction),
    Resume(u32, Direction),
    LocalResponse(u32),
    QueueReady { plugin: u32, queue: u32 },
    DeletePlugin(u32),
}

/// A message on its way through the extension.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// What has arrived and not yet been shown to the extension.
    pub(super) events: VecDeque<Event>,
    /// What the extension sees: the maps, and the body that it holds.
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<Headers>,
    /// The parts that the extension may read and change now.
    pub(super) open: [bool; 3],
    pub(super) paused: Option<Part>,
    pub(super) end_of_stream: bool,
    /// What has passed the extension.
    pub(super) passed_headers: Option<Headers>,
    pub(super) passed_body: Vec<u8>,
    pub(super) passed_trailers: Option<Headers>,
    pub(super) passed_all: bool,
}

impl Half {
    pub(super) fn is_open(&self, part: Part) -> bool {
        self.open[part as usize]
    }

    /// "They can be added in proxy_on_request_body, but only when the proxied request doesn't have
    /// trailers", and likewise for responses.
    fn may_add_trailers(&self) -> bool {
        self.is_open(Part::Body) && self.end_of_stream
    }

    pub(super) fn set_open(&mut self, part: Part, open: bool) {
        self.open[part as usize] = open;
    }
}

/// The context of a plugin (ABI: "Plugin Context").
#[derive(Debug, Default)]
pub(super) struct PluginContext {
    pub(super) root_id: String,
    /// At hand during `proxy_on_configure` alone.
    pub(super) configuration: Option<Vec<u8>>,
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) tick_period: Duration,
    pub(super) next_tick: Duration,
    /// The answer at hand during `proxy_on_http_call_response` alone.
    pub(super) call_response: Option<Reply>,
    /// What `proxy_get_status` answers.
    pub(super) status: (u32, &'static str),
    /// `proxy_on_done` returned false: the plugin will call `proxy_done`.
    pub(super) awaits_done: bool,
}

/// The context of a stream (ABI: "Stream Context").
#[derive(Debug, Default)]
pub(super) struct StreamContext {
    pub(super) plugin: u32,
    pub(super) request: Half,
    pub(super) response: Half,
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The response that the extension has asked for and the host has not yet begun to send.
    pub(super) local_response: Option<Reply>,
    pub(super) is_local: bool,
    pub(super) closed: bool,
    /// During `proxy_on_log` all maps can be read.
    pub(super) logging: bool,
    pub(super) fuel: u64,
    pub(super) host_calls: Vec<HostCall>,
}

impl StreamContext {
    pub(super) fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

/// A queue that contexts share (ABI: "Shared Queues").
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) vm_id: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) plugin: u32,
    pub(super) items: VecDeque<Vec<u8>>,
}

/// All that host calls read and change.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) options: Options,
    pub(super) limits: StoreLimits,
    pub(super) plugins: BTreeMap<u32, PluginContext>,
    pub(super) streams: HashMap<u32, StreamContext>,
    next_context: u32,
    /// The context of the callback that runs.
    pub(super) current: u32,
    /// The one that the module has put in its place (ABI: `proxy_set_effective_context`).
    pub(super) effective: Option<u32>,
    /// `_initialize`, `main` or `_start` runs: only logging and WASI are at hand.
    pub(super) starting: bool,
    /// The module allocates memory for a host call, which may not ask for memory in turn.
    pub(super) allocating: bool,
    /// The fuel that host calls have cost during the callback that runs.
    pub(super) host_fuel: u64,
    pub(super) actions: VecDeque<Action>,
    pub(super) time: Duration,
    pub(super) random_state: u64,
    pub(super) log: VecDeque<LogLine>,
    /// What the callback that runs has logged.
    pub(super) callback_log: Vec<LogLine>,
    pub(super) host_calls: BTreeMap<&'static str, u64>,
    pub(super) shared_data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    pub(super) queues: BTreeMap<u32, Queue>,
    pub(super) metrics: Vec<(Vec<u8>, Metric)>,
    pub(super) calls: BTreeMap<u32, HttpCall>,
    next_call: u32,
}

impl Host {
    pub(super) fn new(options: Options) -> Self {
        Self {
            limits: StoreLimitsBuilder::new()
                .memory_size(options.memory_limit)
                .table_elements(TABLE_ELEMENTS)
                .tables(TABLES)
                .build(),
            plugins: BTreeMap::new(),
            streams: HashMap::new(),
            next_context: 1,
            current: 0,
            effective: None,
            starting: false,
            allocating: false,
            host_fuel: 0,
            actions: VecDeque::new(),
            time: options.time,
            random_state: options.random_seed,
            log: VecDeque::new(),
            callback_log: Vec::new(),
            host_calls: BTreeMap::new(),
            shared_data: BTreeMap::new(),
            queues: BTreeMap::new(),
            metrics: Vec::new(),
            calls: BTreeMap::new(),
            next_call: 1,
            options,
        }
    }

    /// A number for a new context. None is used twice at a time.
    pub(super) fn new_context(&mut self) -> u32 {
        loop {
            let id = self.next_context;
            self.next_context = self.next_context.checked_add(1).unwrap_or(1);
            if !self.plugins.contains_key(&id) && !self.streams.contains_key(&id) {
                return id;
            }
        }
    }

    /// The context that host calls act on.
    pub(super) fn context(&self) -> u32 {
        self.effective.unwrap_or(self.current)
    }

    pub(super) fn stream(&mut self) -> Option<&mut StreamContext> {
        let id = self.context();
        self.streams.get_mut(&id)
    }

    /// The number of the plugin that the context belongs to.
    pub(super) fn plugin_id(&self) -> u32 {
        let id = self.context();
        self.streams.get(&id).map_or(id, |stream| stream.plugin)
    }

    pub(super) fn plugin(&mut self) -> Option<&mut PluginContext> {
        let id = self.plugin_id();
        self.plugins.get_mut(&id)
    }

    pub(super) fn write_log(&mut self, level: LogLevel, message: &[u8]) {
        let line = LogLine {
            level,
            message: String::from_utf8_lossy(message).into_owned(),
        };
        if self.log.len() == LOG_LENGTH {
            self.log.pop_front();
        }
        if self.callback_log.len() < LOG_LENGTH {
            self.callback_log.push(line.clone());
        }
        self.log.push_back(line);
    }

    pub(super) fn record(&mut self, name: &'static str, status: Status) {
        *self.host_calls.entry(name).or_default() += 1;
        if let Some(stream) = self.stream() {
            stream.host_calls.push(HostCall { name, status });
        }
    }

    /// A map that the extension may read now (ABI: "HTTP fields").
    pub(super) fn map(&mut self, map: MapType) -> Option<&Headers> {
        let (direction, part) = match map {
            MapType::CallResponseHeaders => {
                return Some(&self.plugin()?.call_response.as_ref()?.headers);
            }
            MapType::CallResponseTrailers => {
                return self.plugin()?.call_response.as_ref()?.trailers.as_ref();
            }
            _ => place(map)?,
        };
        let stream = self.stream()?;
        let logging = stream.logging;
        let half = stream.half(direction);
        match part {
            // What has arrived can be logged, whether it has passed or not.
            Part::Trailers if logging => {
                let arrived = half.passed_trailers.as_ref().or(half.trailers.as_ref());
                Some(arrived.unwrap_or(&EMPTY))
            }
            Part::Trailers if half.is_open(part) || half.may_add_trailers() => {
                Some(half.trailers.as_ref().unwrap_or(&EMPTY))
            }
            Part::Headers if logging || half.is_open(part) => Some(&half.headers),
            _ => None,
        }
    }

    /// A map that the extension may change now.
    pub(super) fn map_mut(&mut self, map: MapType) -> Option<&mut Headers> {
        let (direction, part) = place(map)?;
        let half = self.stream()?.half(direction);
        match part {
            Part::Trailers if half.may_add_trailers() => {
                Some(half.trailers.get_or_insert_with(Headers::default))
            }
            _ if !half.is_open(part) => None,
            Part::Trailers => half.trailers.as_mut(),
            _ => Some(&mut half.headers),
        }
    }

    /// A buffer that the extension may read now (ABI: "Buffers").
    pub(super) fn buffer(&mut self, buffer: BufferType) -> Option<&[u8]> {
        let direction = match buffer {
            BufferType::RequestBody => Direction::Request,
            BufferType::ResponseBody => Direction::Response,
            BufferType::VmConfiguration => return Some(&self.options.vm_configuration),
            BufferType::PluginConfiguration => return self.plugin()?.configuration.as_deref(),
            BufferType::CallResponseBody => {
                let reply = self.plugin()?.call_response.as_ref()?;
                return Some(reply.chunks.first().map_or(&[], Vec::as_slice));
            }
            _ => return None,
        };
        let half = self.stream()?.half(direction);
        half.is_open(Part::Body).then_some(half.body.as_slice())
    }

    /// A body that the extension may change now.
    pub(super) fn buffer_mut(&mut self, buffer: BufferType) -> Option<&mut Vec<u8>> {
        let direction = match buffer {
            BufferType::RequestBody => Direction::Request,
            BufferType::ResponseBody => Direction::Response,
            _ => return None,
        };
        let half = self.stream()?.half(direction);
        half.is_open(Part::Body).then_some(&mut half.body)
    }

    /// A property: the stream's, the plugin's, or one that the host sets.
    pub(super) fn property(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let set = self
            .stream()
            .and_then(|stream| stream.properties.get(path).cloned());
        let plugin = || {
            let plugin = self.plugin()?;
            let own = plugin.properties.get(path).cloned();
            own.or_else(|| {
                matches!(path, b"plugin_root_id" | b"plugin_name")
                    .then(|| plugin.root_id.clone().into_bytes())
            })
        };
        set.or_else(plugin)
            .or_else(|| (path == b"plugin_vm_id").then(|| self.options.vm_id.clone().into_bytes()))
    }

    pub(super) fn metric(&mut self, id: u32) -> Option<&mut Metric> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.metrics.get_mut(index).map(|(_, metric)| metric)
    }

    /// What a host call costs, by the bytes that it moves: taken off the fuel that is left.
    pub(super) fn cost_of_host_call(&mut self, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let cost = HOST_CALL_COST.saturating_add(bytes.saturating_mul(BYTE_COST));
        self.host_fuel = self.host_fuel.saturating_add(cost);
        cost
    }

    /// The number of the metric of this name, which is created where there is none.
    pub(super) fn define_metric(&mut self, kind: MetricType, name: Vec<u8>) -> Result<u32, Status> {
        let found = self.metrics.iter().position(|(other, metric)| {
            let same_kind = matches!(
                (kind, metric),
                (MetricType::Counter, Metric::Counter(_))
                    | (MetricType::Gauge, Metric::Gauge(_))
                    | (MetricType::Histogram, Metric::Histogram(_))
            );
            *other == name && same_kind
        });
        let index = found.unwrap_or_else(|| {
            let metric = match kind {
                MetricType::Counter => Metric::Counter(0),
                MetricType::Gauge => Metric::Gauge(0),
                MetricType::Histogram => Metric::Histogram(Vec::new()),
            };
            self.metrics.push((name, metric));
            self.metrics.len() - 1
        });
        u32::try_from(index + 1).map_err(|_| Status::InternalFailure)
    }

    pub(super) fn start_call(&mut self, mut call: HttpCall) -> u32 {
        while call.id == 0 || self.calls.contains_key(&call.id) {
            call.id = self.next_call;
            self.next_call = self.next_call.wrapping_add(1);
        }
        let id = call.id;
        self.calls.insert(id, call);
        id
    }

    /// The next random number (SplitMix64).
    pub(super) fn random(&mut self) -> u64 {
        self.random_state = self.random_state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.random_state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

/// Where a map of a stream belongs.
fn place(map: MapType) -> Option<(Direction, Part)> {
    match map {
        MapType::RequestHeaders => Some((Direction::Request, Part::Headers)),
        MapType::RequestTrailers => Some((Direction::Request, Part::Trailers)),
        MapType::ResponseHeaders => Some((Direction::Response, Part::Headers)),
        MapType::ResponseTrailers => Some((Direction::Response, Part::Trailers)),
        _ => None,
    }
}
