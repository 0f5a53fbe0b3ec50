//! The embedded proxy against the text of the ABI, with small modules: one behaviour each.
//!
//! "ABI" is `abi-versions/v0.2.1/README.md` of the Proxy-Wasm specification.

mod abi_0_1_0;
mod bodies;
mod breaks;
mod contexts;
mod ends;
mod foreign;
mod fuel;
mod grpc;
mod headers;
mod hostile;
mod http_calls;
mod lifecycle;
mod loading;
mod local_responses;
mod logging;
mod memory;
mod metrics;
mod modules;
mod pausing;
mod properties;
mod property_table;
mod queues;
mod shared_data;
mod statuses;
mod stopping_headers;
mod tcp;
mod time;
mod trailers;
mod traps;
mod wasi;
mod wat;
