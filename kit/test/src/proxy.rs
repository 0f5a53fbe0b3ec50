//! The embedded proxy, as a test uses it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::connection::Connection;
use crate::context::property_path;
use crate::core::Core;
use crate::error::Error;
use crate::grpc::{GrpcCall, GrpcReply};
use crate::message::Reply;
use crate::module::Module;
use crate::options::Options;
use crate::records::{ForeignCall, HttpCall, LogLine, Metric};
use crate::stream::Request;

/// An extension in the embedded proxy: a VM with a plugin. In Envoy, the plugin is an HTTP filter or a
/// network filter of a listener.
///
#[cfg_attr(feature = "wat", doc = "```")]
#[cfg_attr(not(feature = "wat"), doc = "```no_run")]
/// use proxy_wasm_test::{Proxy, Reply};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let module = std::fs::read("tests/append_header.wat")?;
/// let proxy = Proxy::load(module)?.configure("the configuration")?;
/// let response = proxy
///     .request("POST", "/items")
///     .header("content-type", "text/plain")
///     .body("one item")
///     .respond(Reply::new(201).body("stored"))?;
/// assert_eq!(response.status(), 201);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Proxy {
    core: Rc<RefCell<Core>>,
    id: u32,
}

impl Proxy {
    /// Loads a module, and starts its VM and first plugin, as Envoy does (ABI: "Integration",
    /// `proxy_on_context_create`, `proxy_on_vm_start`).
    ///
    /// # Errors
    ///
    /// [`Error::Load`] if Envoy would not load it, [`Error::Unsupported`] if the embedded proxy cannot run
    /// it, [`Error::Rejected`] if its `proxy_on_vm_start` returns false, [`Error::Trap`] if it traps.
    pub fn load(module: impl Into<Module>) -> Result<Self, Error> {
        Options::new().load(module)
    }

    fn start(module: &Module, options: Options) -> Result<Self, Error> {
        let configuration = options.configuration.clone();
        let mut core = Core::load(module, options)?;
        let id = core.start_plugin(configuration.as_deref())?;
        if let Some(configuration) = configuration {
            core.configure(id, &configuration)?;
        }
        Ok(Self {
            core: Rc::new(RefCell::new(core)),
            id,
        })
    }

    /// Configures the plugin for the first time (ABI: `proxy_on_configure`). In Envoy,
    /// `proxy_on_context_create` can read the configuration as well: see [`Options::configuration`].
    ///
    /// # Errors
    ///
    /// As for [`Proxy::reconfigure`].
    pub fn configure(self, configuration: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.reconfigure(configuration)?;
        Ok(self)
    }

    /// Configures the plugin again (ABI: `proxy_on_configure`).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`], with what the extension logged, if it returns false; the plugin keeps
    /// running. [`Error::Trap`] if it traps, [`Error::InvalidState`] if it has been shut down.
    pub fn reconfigure(&self, configuration: impl AsRef<[u8]>) -> Result<(), Error> {
        let mut core = self.core.borrow_mut();
        core.configure(self.id, configuration.as_ref())
    }

    /// Starts another plugin in the same VM, as Envoy does for each listener with the same module and
    /// VM ID, and after an update of the configuration.
    ///
    /// # Errors
    ///
    /// As for [`Proxy::load`] and [`Proxy::reconfigure`]. A plugin that rejects its configuration is
    /// shut down.
    pub fn add_plugin(&self, configuration: impl AsRef<[u8]>) -> Result<Self, Error> {
        let mut core = self.core.borrow_mut();
        let configuration = configuration.as_ref();
        let id = core.start_plugin(Some(configuration))?;
        match core.configure(id, configuration) {
            Ok(()) => Ok(Self {
                core: Rc::clone(&self.core),
                id,
            }),
            Err(error @ Error::Rejected { .. }) => {
                core.shut_down(id)?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Shuts the plugin down (ABI: `proxy_on_done`, `proxy_on_delete`). If it returns false from
    /// `proxy_on_done`, it keeps running until it calls `proxy_done`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if it has been shut down, [`Error::Trap`] if it traps.
    pub fn shut_down(&self) -> Result<(), Error> {
        self.core.borrow_mut().shut_down(self.id)
    }

    /// Whether the plugin runs: it has not been shut down, or it still has to call `proxy_done`.
    pub fn is_alive(&self) -> bool {
        self.core.borrow().host().plugins.contains_key(&self.id)
    }

    /// A request to build and then send: see [`Request::respond`] and [`Request::send`].
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(Rc::clone(&self.core), self.id, method, path)
    }

    /// Opens a TCP connection of a client to the plugin's listener. The plugin is a network filter there.
    ///
    /// # Errors
    ///
    /// [`Error::Trap`] if the module traps, [`Error::InvalidState`] if the plugin has been shut down.
    pub fn connect(&self) -> Result<Connection, Error> {
        Connection::open(Rc::clone(&self.core), self.id)
    }

    /// Calls the plugin's timer now (ABI: `proxy_on_tick`).
    ///
    /// # Errors
    ///
    /// [`Error::Trap`] if the module traps, [`Error::InvalidState`] if the plugin has been shut down.
    pub fn tick(&self) -> Result<(), Error> {
        self.core.borrow_mut().tick(self.id)
    }

    /// The plugin's timer period (ABI: `proxy_set_tick_period_milliseconds`). Zero: no timer.
    pub fn tick_period(&self) -> Duration {
        let core = self.core.borrow();
        let plugin = core.host().plugins.get(&self.id);
        plugin.map_or(Duration::ZERO, |plugin| plugin.tick_period)
    }

    /// The time that the module sees, since the Unix epoch.
    pub fn time(&self) -> Duration {
        self.core.borrow().host().time
    }

    /// Lets time pass. Timers run, and HTTP and gRPC calls time out, each at its time. As in Envoy, an
    /// HTTP call that times out gets a response with status 504, and a gRPC call the status 14.
    ///
    /// # Errors
    ///
    /// [`Error::Trap`] if the module traps.
    pub fn advance(&self, duration: Duration) -> Result<(), Error> {
        self.core.borrow_mut().advance(duration)
    }

    /// The last 10,000 log lines of the module, oldest first.
    pub fn log(&self) -> Vec<LogLine> {
        self.core.borrow().host().log.iter().cloned().collect()
    }

    /// The number of times that the module has made each host call.
    pub fn host_calls(&self) -> BTreeMap<&'static str, u64> {
        self.core.borrow().host().host_calls.clone()
    }

    /// The last 1,000 calls of foreign functions, oldest first (ABI: `proxy_call_foreign_function`).
    pub fn foreign_calls(&self) -> Vec<ForeignCall> {
        let core = self.core.borrow();
        core.host().foreign_calls.iter().cloned().collect()
    }

    /// The metric of this name (ABI: "Metrics"), which Envoy's statistics show as `wasmcustom.NAME`.
    /// If metrics of different types have this name, returns the one that was defined first.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        let core = self.core.borrow();
        core.host().metrics.named(name.as_bytes()).cloned()
    }

    /// The shared value of a key (ABI: "Shared Key-Value Store").
    pub fn shared_data(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let core = self.core.borrow();
        let value = core.host().shared_data.get(key.as_ref());
        value.map(|(value, _)| value.clone())
    }

    /// Sets a shared value, as another VM does.
    pub fn set_shared_data(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (key, value) = (key.as_ref().to_vec(), value.as_ref().to_vec());
        let mut core = self.core.borrow_mut();
        core.host_mut().replace_shared_data(key, value);
    }

    /// Registers a queue, as another VM does, so that the extension can put items into it (ABI: "Shared
    /// Queues").
    ///
    /// VMs with the same VM ID share their queues. If `vm_id` is the module's own, `proxy_on_queue_ready` is
    /// not called for the queue until the plugin registers it after this call.
    pub fn register_queue(&self, vm_id: &str, queue: impl AsRef<[u8]>) {
        let mut core = self.core.borrow_mut();
        let queue = queue.as_ref().to_vec();
        // It fails only after 2^32 queues.
        let _ = core.host_mut().register_queue(vm_id.into(), queue, None);
    }

    /// Takes the oldest item out of the queue of a VM, as another VM does. `None` if there is none.
    pub fn dequeue(&self, vm_id: &str, queue: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let mut core = self.core.borrow_mut();
        let vm_id = vm_id.as_bytes();
        core.host_mut().dequeue_by_name(vm_id, queue.as_ref())
    }

    /// Puts an item into a queue that the extension has registered (ABI: "Shared Queues").
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if there is no such queue, [`Error::Trap`] if the module traps.
    pub fn enqueue(&self, queue: impl AsRef<[u8]>, item: impl AsRef<[u8]>) -> Result<(), Error> {
        let mut core = self.core.borrow_mut();
        core.enqueue(queue.as_ref(), item.as_ref().to_vec())
    }

    /// Sets a property that the plugin and its streams see from now on: see
    /// [`properties`](crate::properties).
    pub fn set_property(&self, path: &[&str], value: impl AsRef<[u8]>) {
        let mut core = self.core.borrow_mut();
        if let Ok(plugin) = core.plugin(self.id) {
            let value = value.as_ref().to_vec();
            plugin.properties.insert(property_path(path), value);
        }
    }

    /// The HTTP calls that wait for a response, in the order in which they were made.
    pub fn http_calls(&self) -> Vec<HttpCall> {
        self.core.borrow().host().calls.values().cloned().collect()
    }

    /// Responds to an HTTP call, by its [`HttpCall::id`] (ABI: `proxy_on_http_call_response`).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if no such call waits, [`Error::Trap`] if the module traps.
    pub fn respond_to_call(&self, call: u32, reply: impl Into<Reply>) -> Result<(), Error> {
        self.core
            .borrow_mut()
            .respond_to_call(call, Some(reply.into()))
    }

    /// Lets an HTTP call fail because the service cannot be reached: like Envoy, the embedded proxy
    /// responds with status 503.
    ///
    /// # Errors
    ///
    /// As for [`Proxy::respond_to_call`].
    pub fn fail_call(&self, call: u32) -> Result<(), Error> {
        self.core.borrow_mut().fail_call(call)
    }

    /// Breaks the connection of an HTTP call after the service has begun to respond: the extension
    /// gets a response without headers (ABI: `proxy_get_status`).
    ///
    /// # Errors
    ///
    /// As for [`Proxy::respond_to_call`].
    pub fn reset_call(&self, call: u32) -> Result<(), Error> {
        self.core.borrow_mut().respond_to_call(call, None)
    }

    /// The gRPC calls and streams that wait for a response, in the order in which they were made;
    /// streams are last.
    pub fn grpc_calls(&self) -> Vec<GrpcCall> {
        let core = self.core.borrow();
        let calls = core.host().grpc_calls.values();
        let mut calls: Vec<_> = calls
            .filter(|call| !call.is_closed_by_service)
            .cloned()
            .collect();
        calls.sort_by_key(|call| (call.is_stream(), call.id));
        calls
    }

    /// Responds to a gRPC call or stream, by its [`GrpcCall::id`] (ABI:
    /// `proxy_on_grpc_receive_initial_metadata`, `proxy_on_grpc_receive`,
    /// `proxy_on_grpc_receive_trailing_metadata`, `proxy_on_grpc_close`).
    ///
    /// As in Envoy, a call gets either a message or, if it fails, a status. If the reply to a call
    /// has the status 0 and no message, the call fails with the status 13 (`INTERNAL`).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if no such call waits, [`Error::Trap`] if the module traps.
    pub fn respond_to_grpc_call(&self, call: u32, reply: GrpcReply) -> Result<(), Error> {
        self.core.borrow_mut().respond_to_grpc_call(call, reply)
    }

    /// The size of the module's memory, in pages of 64 KiB.
    pub fn memory_pages(&self) -> u64 {
        self.core.borrow().memory_pages()
    }
}

impl Options {
    /// Loads a module with these options: see [`Proxy::load`].
    ///
    /// # Errors
    ///
    /// As for [`Proxy::load`]; with [`Options::configuration`], as for [`Proxy::configure`].
    pub fn load(self, module: impl Into<Module>) -> Result<Proxy, Error> {
        Proxy::start(&module.into(), self)
    }
}
