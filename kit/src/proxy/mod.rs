//! An embedded Proxy-Wasm host, for tests that run the very module that ships, in milliseconds.
//!
//! A test reads like a sentence:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let module = r#"(module
//! #   (import "env" "proxy_add_header_map_value"
//! #     (func $add (param i32 i32 i32 i32 i32) (result i32)))
//! #   (func (export "proxy_abi_version_0_2_1"))
//! #   (memory (export "memory") 1)
//! #   (data (i32.const 0) "custom-headertest")
//! #   (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
//! #   (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
//! #     (drop (call $add (i32.const 2) (i32.const 0) (i32.const 13) (i32.const 13) (i32.const 4)))
//! #     (i32.const 0)))"#;
//! use extension_kit::proxy::Proxy;
//!
//! let proxy = Proxy::load(module)?.configure(r#"{"custom-header": "test"}"#)?;
//! let response = proxy.request("GET", "/").respond(200)?;
//! assert_eq!(response.header("custom-header"), ["test"]);
//! # Ok(())
//! # }
//! ```
//!
//! # What it is
//!
//! A host for modules of the Proxy-Wasm ABI, versions 0.2.0 and 0.2.1, in a WebAssembly
//! interpreter. It does what Envoy does for an HTTP extension: it starts the VM and its plugins,
//! calls the callbacks that a module exports, and offers the host calls that the ABI lists. Where
//! the ABI is silent, it does as Envoy. "ABI" in this documentation is
//! `abi-versions/v0.2.1/README.md` of the Proxy-Wasm specification.
//!
//! It does not do gRPC, foreign functions or TCP streams: those calls get the status that the ABI
//! names for what cannot be had.
//!
//! # Where it differs from Envoy
//!
//! - One thread and one VM. A real Envoy has a VM for each worker.
//! - Time stands still until a test moves it ([`Proxy::advance`]).
//! - Random numbers are the same in each run ([`Options::random_seed`]).
//! - Every log line is kept, whatever its level.
//! - No header is added by the proxy itself (`server`, `date`, `x-envoy-…`).
//!
//! # Where the ABI leaves room
//!
//! - The order at the end of a stream: the ABI has `proxy_on_done` before `proxy_on_log`; Envoy
//!   calls `proxy_on_log` first. This host does as Envoy, where extensions run.
//! - A map that is not at hand, in a callback to which it does not belong: reading all its pairs
//!   gives none; all else gets `BAD_ARGUMENT`.
//! - An empty range of a buffer: the status is `OK`, and nothing is written to the return values.
//! - `proxy_on_vm_start` comes once for each plugin of a VM, not once for the VM.
//! - A negative or zero step of a counter: `BAD_ARGUMENT` for negative ones only, and recording a
//!   counter sets it, as the ABI says. (Envoy refuses zero as well, and adds what is recorded.)

mod abi;
mod backtrace;
mod context;
mod core;
mod error;
mod headers;
mod host_calls;
mod message;
mod module;
mod options;
mod plugin;
mod stream;
mod vm;
mod wasi;

pub use abi::{LogLevel, Status};
pub use context::{HostCall, HttpCall, LogLine, Metric};
pub use error::{Error, Frame, Trap};
pub use headers::Headers;
pub use message::{Message, Reply, Response};
pub use module::Module;
pub use options::Options;
pub use plugin::Proxy;
pub use stream::{Request, Stream};
