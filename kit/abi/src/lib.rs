#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod callbacks;
mod envoy_version;
mod function;
mod host_calls;
mod imports;
mod numbers;
mod table;
mod value_type;
mod version;
mod wasi;

#[cfg(test)]
mod tests;

pub use callbacks::{CALLBACKS, callback, is_looked_up};
pub use envoy_version::EnvoyVersion;
pub use function::{Function, Parameter, Signature};
pub use host_calls::{HOST_CALLS, HOST_MODULE};
pub use imports::host_function;
pub use numbers::{BufferType, LogLevel, MapType, MetricType, Status, StreamType, UnknownNumber};
pub use value_type::ValueType;
pub use version::AbiVersion;
pub use wasi::{WASI_FUNCTIONS, WASI_MODULES};
