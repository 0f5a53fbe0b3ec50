// Without the feature `wat`, the first example cannot run. It is documented all the same.
#![cfg_attr(any(feature = "wat", not(doctest)), doc = include_str!("../README.md"))]
#![warn(missing_docs)]

mod backtrace;
mod binary;
#[cfg(feature = "cases")]
pub mod cases;
mod compiled;
mod connection;
mod context;
mod core;
#[doc = include_str!("differences.md")]
#[doc = ""]
#[doc = include_str!("as_in_envoy.md")]
pub mod differences {}
#[cfg(feature = "envoy")]
pub mod envoy;
mod error;
mod extension;
mod filter_state;
mod foreign;
mod grpc;
mod grpc_service;
mod header_map;
mod headers;
mod host;
mod host_calls;
#[cfg(feature = "envoy")]
pub mod http;
#[cfg(feature = "envoy")]
mod http1;
mod imports;
mod inline_headers;
mod interface;
mod limits;
mod local_response;
mod maps;
mod memory;
mod message;
mod module;
mod options;
mod phase;
#[doc = include_str!("properties.md")]
pub mod properties {}
mod protobuf;
mod proxy;
mod queue;
mod records;
mod stream;
mod tcp;
#[cfg(feature = "envoy")]
mod upstream;
mod validation;
mod vm;
mod wasi;

pub use connection::Connection;
pub use error::{Error, Frame, Limit, Trap};
pub use extension::{extension, module_path};
pub use grpc::{GrpcCall, GrpcReply};
pub use headers::Headers;
pub use message::{Message, Reply, Response};
pub use module::Module;
pub use options::Options;
pub use proxy::Proxy;
pub use proxy_wasm_abi::{LogLevel, Status};
pub use records::{ForeignCall, HostCall, HttpCall, LogLine, Metric};
pub use stream::{Request, Stream};
pub use tcp::{End, Received};
#[cfg(feature = "envoy")]
pub use upstream::Upstream;
