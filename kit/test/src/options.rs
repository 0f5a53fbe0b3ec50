//! How a VM is set up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proxy_wasm_abi::LogLevel;

/// The latest time: the ABI counts nanoseconds in 64 bits.
pub(crate) const MAX_TIME: Duration = Duration::from_nanos(u64::MAX);

/// How a VM is set up. What is not set is as in a plain Envoy.
///
/// ```no_run
/// use proxy_wasm_test::Options;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let module = std::fs::read("target/image/extension.wasm")?;
/// let proxy = Options::new().vm_configuration("shared by all plugins").load(module)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) vm_id: String,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) root_id: String,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) log_level: LogLevel,
    pub(crate) time: Duration,
    pub(crate) random_seed: u64,
    pub(crate) missing_clusters: BTreeSet<Vec<u8>>,
    pub(crate) fuel_limit: u64,
    pub(crate) memory_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            vm_id: String::new(),
            vm_configuration: Vec::new(),
            root_id: String::new(),
            environment: BTreeMap::new(),
            log_level: LogLevel::Info,
            time: Duration::from_secs(1_700_000_000),
            random_seed: 0,
            missing_clusters: BTreeSet::new(),
            fuel_limit: 10_000_000_000,
            memory_limit: 1 << 30,
        }
    }
}

impl Options {
    /// A plain setup.
    pub fn new() -> Self {
        Self::default()
    }

    /// The identifier of the VM, a part of the name of shared queues.
    pub fn vm_id(mut self, vm_id: impl Into<String>) -> Self {
        self.vm_id = vm_id.into();
        self
    }

    /// The configuration of the VM, which `proxy_on_vm_start` reads.
    pub fn vm_configuration(mut self, configuration: impl AsRef<[u8]>) -> Self {
        self.vm_configuration = configuration.as_ref().to_vec();
        self
    }

    /// The plugin's root identifier: the property `plugin_root_id`.
    pub fn root_id(mut self, root_id: impl Into<String>) -> Self {
        self.root_id = root_id.into();
        self
    }

    /// An environment variable that the module sees through WASI.
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// What `proxy_get_log_level` answers. Every line is kept, whatever its level.
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// The time at which the VM starts, since the Unix epoch: at most 2^64 nanoseconds.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time.min(MAX_TIME);
        self
    }

    /// From what the module's random numbers are made. The same seed gives the same numbers.
    pub fn random_seed(mut self, seed: u64) -> Self {
        self.random_seed = seed;
        self
    }

    /// An upstream that the proxy does not know: HTTP calls to it are refused. All others are known.
    pub fn missing_cluster(mut self, name: impl AsRef<[u8]>) -> Self {
        self.missing_clusters.insert(name.as_ref().to_vec());
        self
    }

    /// How much fuel one step of a test may use (a request's headers, say, and all that follows
    /// from them) before the module traps. An instruction costs about one; towards this limit
    /// alone, a host call costs a thousand more, and each byte that it moves ten.
    pub fn fuel_limit(mut self, fuel: u64) -> Self {
        self.fuel_limit = fuel;
        self
    }

    /// How far the module's memory may grow, in bytes.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }
}
