//! A plugin in a VM: the tester's side of the embedded proxy.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::context::{HttpCall, LogLine, Metric};
use super::core::Core;
use super::error::Error;
use super::message::Reply;
use super::module::Module;
use super::options::Options;
use super::stream::Request;

/// An extension that runs in the embedded proxy: a VM, and a plugin in it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let module = r#"(module (func (export "proxy_abi_version_0_2_1"))
/// #   (memory (export "memory") 1)
/// #   (func (export "malloc") (param i32) (result i32) (i32.const 0)))"#;
/// use proxy_wasm_test::{Proxy, Reply};
///
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
    pub(super) core: Rc<RefCell<Core>>,
    pub(super) id: u32,
}

impl Proxy {
    /// Loads a module, in binary or in text form, and starts its VM and first plugin, as Envoy does
    /// (ABI: "Integration", `proxy_on_context_create`, `proxy_on_vm_start`).
    ///
    /// # Errors
    ///
    /// [`Error::Load`] when no proxy would load it, [`Error::Rejected`] when its
    /// `proxy_on_vm_start` returns false, [`Error::Trap`] when it traps.
    pub fn load(module: impl Into<Module>) -> Result<Self, Error> {
        Options::new().load(module)
    }

    pub(super) fn start(module: &Module, options: Options) -> Result<Self, Error> {
        let mut core = Core::load(module, options)?;
        let id = core.start_plugin()?;
        Ok(Self {
            core: Rc::new(RefCell::new(core)),
            id,
        })
    }

    /// Hands the plugin its first configuration (ABI: `proxy_on_configure`).
    ///
    /// # Errors
    ///
    /// As [`Proxy::reconfigure`].
    pub fn configure(self, configuration: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.reconfigure(configuration)?;
        Ok(self)
    }

    /// Hands the plugin another configuration (ABI: `proxy_on_configure`).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`], with what the extension logged, when it returns false; the plugin
    /// then runs on. [`Error::Trap`] when it traps.
    pub fn reconfigure(&self, configuration: impl AsRef<[u8]>) -> Result<(), Error> {
        let mut core = self.core.borrow_mut();
        core.configure(self.id, configuration.as_ref())
    }

    /// Starts another plugin in the same VM. This is what Envoy does for each further
    /// configuration of a module, and for each new one after an update.
    ///
    /// # Errors
    ///
    /// As [`Proxy::load`] and [`Proxy::reconfigure`]; the refused plugin is gone.
    pub fn add_plugin(&self, configuration: impl AsRef<[u8]>) -> Result<Self, Error> {
        let mut core = self.core.borrow_mut();
        let id = core.start_plugin()?;
        match core.configure(id, configuration.as_ref()) {
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

    /// Ends the plugin (ABI: `proxy_on_done`, `proxy_on_delete`). One that answers false to
    /// `proxy_on_done` lives on until it calls `proxy_done`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] when it has ended already, [`Error::Trap`] when it traps.
    pub fn shut_down(&self) -> Result<(), Error> {
        self.core.borrow_mut().shut_down(self.id)
    }

    /// Whether the plugin has not been shut down, or still waits to call `proxy_done`.
    pub fn is_alive(&self) -> bool {
        self.core.borrow().host().plugins.contains_key(&self.id)
    }

    /// A request to send through the extension.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.clone(), method, path)
    }

    /// Calls the plugin's timer, whatever the time (ABI: `proxy_on_tick`).
    ///
    /// # Errors
    ///
    /// [`Error::Trap`] when the module traps.
    pub fn tick(&self) -> Result<(), Error> {
        self.core.borrow_mut().tick(self.id)
    }

    /// The plugin's timer period (ABI: `proxy_set_tick_period_milliseconds`). Zero: no timer.
    pub fn tick_period(&self) -> Duration {
        let core = self.core.borrow();
        let plugin = core.host().plugins.get(&self.id);
        plugin.map_or(Duration::ZERO, |plugin| plugin.tick_period)
    }

    /// The time that the module reads, since the Unix epoch.
    pub fn time(&self) -> Duration {
        self.core.borrow().host().time
    }

    /// Lets time pass: timers run and HTTP calls time out, each at its time.
    ///
    /// # Errors
    ///
    /// [`Error::Trap`] when the module traps.
    pub fn advance(&self, duration: Duration) -> Result<(), Error> {
        self.core.borrow_mut().advance(duration)
    }

    /// What the module has logged, the newest last: the last 10,000 lines.
    pub fn log(&self) -> Vec<LogLine> {
        self.core.borrow().host().log.iter().cloned().collect()
    }

    /// How often the module has made each host call.
    pub fn host_calls(&self) -> BTreeMap<&'static str, u64> {
        self.core.borrow().host().host_calls.clone()
    }

    /// The metric of this name (ABI: "Metrics").
    pub fn metric(&self, name: &str) -> Option<Metric> {
        let core = self.core.borrow();
        let metrics = &core.host().metrics;
        metrics
            .iter()
            .find(|(other, _)| other == name.as_bytes())
            .map(|(_, metric)| metric.clone())
    }

    /// A shared value (ABI: "Shared Key-Value Store").
    pub fn shared_data(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let core = self.core.borrow();
        let value = core.host().shared_data.get(key.as_ref());
        value.map(|(value, _)| value.clone())
    }

    /// Sets a shared value, as another VM would.
    pub fn set_shared_data(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (key, value) = (key.as_ref().to_vec(), value.as_ref().to_vec());
        let mut core = self.core.borrow_mut();
        let shared = &mut core.host_mut().shared_data;
        let version = shared.get(&key).map_or(0, |(_, version)| *version);
        shared.insert(key, (value, version.wrapping_add(1).max(1)));
    }

    /// Puts an item into a queue that the extension has registered (ABI: "Shared Queues").
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] when there is no such queue, [`Error::Trap`] when the module traps.
    pub fn enqueue(&self, queue: impl AsRef<[u8]>, item: impl AsRef<[u8]>) -> Result<(), Error> {
        let mut core = self.core.borrow_mut();
        core.enqueue(queue.as_ref(), item.as_ref().to_vec())
    }

    /// Sets a property that the plugin and its streams see (ABI: "Properties").
    ///
    /// Numbers and other types are the caller's to encode, as the proxy that is imitated does.
    pub fn set_property(&self, path: &[&str], value: impl AsRef<[u8]>) {
        let mut core = self.core.borrow_mut();
        if let Ok(plugin) = core.plugin(self.id) {
            let value = value.as_ref().to_vec();
            plugin.properties.insert(property_path(path), value);
        }
    }

    /// The HTTP calls that wait for an answer, in the order in which they were made.
    pub fn http_calls(&self) -> Vec<HttpCall> {
        self.core.borrow().host().calls.values().cloned().collect()
    }

    /// Answers an HTTP call (ABI: `proxy_on_http_call_response`).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] when no call of this number waits, [`Error::Trap`] when the module
    /// traps.
    pub fn respond_to_call(&self, call: u32, reply: impl Into<Reply>) -> Result<(), Error> {
        self.core
            .borrow_mut()
            .respond_to_call(call, Some(reply.into()))
    }

    /// Lets an HTTP call fail: the extension gets no headers.
    ///
    /// # Errors
    ///
    /// As [`Proxy::respond_to_call`].
    pub fn fail_call(&self, call: u32) -> Result<(), Error> {
        self.core.borrow_mut().respond_to_call(call, None)
    }

    /// The size of the module's memory, in pages of 64 KiB.
    pub fn memory_pages(&self) -> u64 {
        self.core.borrow().memory_pages()
    }
}

impl Options {
    /// Loads a module, in binary or in text form, and starts the VM and its first plugin.
    ///
    /// # Errors
    ///
    /// As [`Proxy::load`].
    pub fn load(self, module: impl Into<Module>) -> Result<Proxy, Error> {
        Proxy::start(&module.into(), self)
    }
}

/// A path as the ABI encodes it: its parts, with a zero between them.
pub(super) fn property_path(path: &[&str]) -> Vec<u8> {
    path.join("\0").into_bytes()
}
