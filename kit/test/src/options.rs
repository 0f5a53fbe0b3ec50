//! The configuration of a VM and of the proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_abi::{LogLevel, Status};

/// The latest time: the ABI counts nanoseconds in 64 bits.
pub(crate) const MAX_TIME: Duration = Duration::from_nanos(u64::MAX);

/// A foreign function that a test provides.
#[derive(Clone)]
pub(crate) struct ForeignFunction(Arc<ForeignFn>);

type ForeignFn = dyn Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync;

impl ForeignFunction {
    pub(crate) fn call(&self, arguments: &[u8]) -> Result<Vec<u8>, Status> {
        (self.0)(arguments)
    }
}

impl fmt::Debug for ForeignFunction {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("ForeignFunction")
    }
}

/// The configuration of the proxy: `PluginConfig` and `VmConfig` of Envoy, and clusters, time and limits.
/// The defaults are those of Envoy, as far as Envoy has them.
///
/// ```no_run
/// use proxy_wasm_test::{Options, extension};
///
/// # fn main() -> Result<(), proxy_wasm_test::Error> {
/// let options = Options::new().vm_configuration("shared by all plugins");
/// let proxy = options.load(extension())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) vm_id: String,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) configuration: Option<Vec<u8>>,
    pub(crate) plugin_name: String,
    pub(crate) root_id: String,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) log_level: LogLevel,
    pub(crate) time: Duration,
    pub(crate) random_seed: u64,
    pub(crate) missing_clusters: BTreeSet<Vec<u8>>,
    pub(crate) allow_on_headers_stop_iteration: bool,
    pub(crate) buffer_limit: usize,
    pub(crate) foreign_functions: BTreeMap<Vec<u8>, ForeignFunction>,
    pub(crate) fuel_limit: u64,
    pub(crate) memory_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            vm_id: String::new(),
            vm_configuration: Vec::new(),
            configuration: None,
            plugin_name: "extension".to_owned(),
            root_id: String::new(),
            environment: BTreeMap::new(),
            log_level: LogLevel::Info,
            time: Duration::from_secs(1_700_000_000),
            random_seed: 0,
            missing_clusters: BTreeSet::new(),
            allow_on_headers_stop_iteration: false,
            buffer_limit: 1 << 20,
            foreign_functions: BTreeMap::new(),
            fuel_limit: 10_000_000_000,
            memory_limit: 1 << 30,
        }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The VM ID, which is a part of the name of shared queues.
    pub fn vm_id(mut self, vm_id: impl Into<String>) -> Self {
        self.vm_id = vm_id.into();
        self
    }

    /// The configuration of the VM, which `proxy_on_vm_start` reads.
    pub fn vm_configuration(mut self, configuration: impl AsRef<[u8]>) -> Self {
        self.vm_configuration = configuration.as_ref().to_vec();
        self
    }

    /// The configuration of the first plugin. [`Options::load`] configures the plugin, as
    /// [`Proxy::configure`](crate::Proxy::configure) does, and `proxy_on_context_create` can read it.
    pub fn configuration(mut self, configuration: impl AsRef<[u8]>) -> Self {
        self.configuration = Some(configuration.as_ref().to_vec());
        self
    }

    /// The plugin's name in Envoy's configuration: the property `plugin_name`. The default is
    /// `extension`, as in the Envoy of the feature `envoy`.
    pub fn plugin_name(mut self, name: impl Into<String>) -> Self {
        self.plugin_name = name.into();
        self
    }

    /// The plugin's root ID: the property `plugin_root_id`.
    pub fn root_id(mut self, root_id: impl Into<String>) -> Self {
        self.root_id = root_id.into();
        self
    }

    /// Adds an environment variable, which the module can read through WASI.
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// What `proxy_get_log_level` returns: `Info` if it is not set. Lines of every level are kept.
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// The time at which the VM starts, since the Unix epoch; at most 2^64 nanoseconds.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time.min(MAX_TIME);
        self
    }

    /// The seed of the module's random numbers. The same seed gives the same numbers.
    pub fn random_seed(mut self, seed: u64) -> Self {
        self.random_seed = seed;
        self
    }

    /// Removes a cluster from the proxy: HTTP and gRPC calls to it fail. All other clusters exist.
    pub fn missing_cluster(mut self, name: impl AsRef<[u8]>) -> Self {
        self.missing_clusters.insert(name.as_ref().to_vec());
        self
    }

    /// What Envoy does when the extension pauses in a headers callback:
    /// `allow_on_headers_stop_iteration` in Envoy's `PluginConfig`, since Envoy 1.35.
    ///
    /// If it is false, which is the default, Envoy holds the whole message: the extension's body
    /// callback is not called until the extension resumes the message. If it is true, Envoy holds
    /// the headers only. When the body callback continues, so do the headers, so that an extension
    /// can decide about them after it has seen the body.
    pub fn allow_on_headers_stop_iteration(mut self, is_allowed: bool) -> Self {
        self.allow_on_headers_stop_iteration = is_allowed;
        self
    }

    /// How much of a body the extension can hold, in bytes: `per_connection_buffer_limit_bytes` of
    /// Envoy's listener and cluster, which is 1 MiB if it is not set.
    ///
    /// If a body callback pauses and the extension then holds more than the limit, Envoy responds to a
    /// request with status 413. For a response, Envoy sends status 500 if the headers are still held, and
    /// otherwise closes the stream.
    pub fn buffer_limit(mut self, bytes: usize) -> Self {
        self.buffer_limit = bytes;
        self
    }

    /// Adds a foreign function (ABI: `proxy_call_foreign_function`). It can replace one of Envoy's.
    ///
    /// The embedded proxy has Envoy's functions `clear_route_cache`, `compress`, `declare_property`,
    /// `set_envoy_filter_state` and `uncompress`. If a module calls `expr_create`, `expr_delete`,
    /// `expr_evaluate`, `sign` or `verify_signature`, which Envoy also has, the test has to provide it.
    /// Calls of all other names return `NOT_FOUND`.
    ///
    /// ```
    /// use proxy_wasm_test::{Options, Status};
    ///
    /// let options = Options::new().foreign_function("verify_signature", |arguments| {
    ///     if arguments.is_empty() {
    ///         return Err(Status::BadArgument);
    ///     }
    ///     Ok(vec![0x08, 0x01]) // VerifySignatureResult { result: true }
    /// });
    /// ```
    pub fn foreign_function(
        mut self,
        name: impl Into<String>,
        function: impl Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync + 'static,
    ) -> Self {
        let function = ForeignFunction(Arc::new(function));
        self.foreign_functions
            .insert(name.into().into_bytes(), function);
        self
    }

    /// How much fuel one step of a test may use before the module traps: see [Fuel](crate#fuel).
    ///
    /// A step is, for example, a call of [`Stream::send_body`](crate::Stream::send_body), with all
    /// callbacks that it causes. [`Request::respond`](crate::Request::respond) has two steps, and
    /// [`Proxy::advance`](crate::Proxy::advance) has one for each timer and timeout. For this limit,
    /// host calls cost fuel, too: 1,000 for each call, and 10 for each byte that it copies. The
    /// default is 10,000,000,000.
    pub fn fuel_limit(mut self, fuel: u64) -> Self {
        self.fuel_limit = fuel;
        self
    }

    /// The size to which the module's memory can grow, in bytes. The default is 1 GiB, as in Envoy.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }
}
