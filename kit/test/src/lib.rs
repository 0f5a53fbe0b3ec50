//! An embedded Proxy-Wasm host, for tests that run the very module that ships, in milliseconds.
//!
//! A test reads like a sentence:
//!
//! ```
//! # #[cfg(feature = "wat")]
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
//! use proxy_wasm_test::Proxy;
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
//! - Several fields of one name stay several. Envoy makes one of those that it knows, such as
//!   `x-forwarded-host`, with commas between their values.
//!
//! # Where the ABI leaves room
//!
//! Where it says nothing, this host does as Envoy 1.40, and where extensions cannot but run as Envoy
//! runs them, too:
//!
//! - The order at the end of a stream: the ABI has `proxy_on_done` before `proxy_on_log`; Envoy
//!   calls `proxy_on_log`, `proxy_on_done`, `proxy_on_delete`, also after a reset. What a stream
//!   answers to `proxy_on_done` changes nothing, `proxy_done` is for plugins alone, and a plugin has
//!   no `proxy_on_log`.
//! - `proxy_on_vm_start` comes once for each plugin of a VM, not once for the VM.
//! - Over HTTP/1.1, Envoy shows the end of a body as a piece of its own, which is empty. A test that
//!   minds has to send one: `.body("all of it").body("")`.
//! - A body that has arrived while headers were held comes in one piece when they are resumed.
//! - A body that is held goes on when its trailers do.
//! - A local response passes through the extension when no response has begun, replaces one whose
//!   headers are still held, and cuts off one that has begun. Its `content-type` is `text/plain`
//!   unless the extension names one; without a body it has none.
//! - A map that is not at hand, in a callback to which it does not belong: reading all its pairs
//!   gives none; all else gets `BAD_ARGUMENT`. So do pairs whose lengths do not add up, and a status
//!   of a local response beyond 16 bits.
//! - Of several fields of one name the first is read. To replace them leaves one.
//! - A message without trailers has an empty map of them where they could be added or logged.
//! - An empty range of a buffer: the status is `OK`, and nothing is written to the return values.
//! - A buffer that can be read but not changed, such as a configuration: `BAD_ARGUMENT`.
//! - The configuration of the VM can be read at any time.
//! - `proxy_get_status` after a failed HTTP call gives 9 and `reset`, and a histogram's value is a
//!   `BAD_ARGUMENT`.
//! - `proxy_resolve_shared_queue` without an identifier looks in the module's own VM.
//!
//! Where Envoy does otherwise than the ABI says, this host follows the ABI:
//!
//! - A buffer in a callback to which it does not belong: `NOT_FOUND`. (Envoy: an empty buffer.)
//! - A range of a buffer whose end is beyond 32 bits: `BAD_ARGUMENT`. (Envoy: up to the end.)
//! - `proxy_get_header_map_size` in `proxy_on_log`: the size. (Envoy: `BAD_ARGUMENT`. It also counts
//!   names and values without their lengths.)
//! - `proxy_continue_stream` for TCP: `UNIMPLEMENTED`. (Envoy: `OK`.)
//! - `proxy_set_shared_data` with a version for a key that is not there: `CAS_MISMATCH`. (Envoy:
//!   the value is set.)
//! - A counter's step of zero: `OK`; recording a counter sets it. (Envoy: `BAD_ARGUMENT`; it adds
//!   what is recorded.)
//! - gRPC: `INTERNAL_FAILURE` for each call. (Envoy takes no name of an upstream but an encoded
//!   `GrpcService`, and else answers `PARSE_FAILURE`.)
//! - `proxy_close_stream` for TCP: `BAD_ARGUMENT`. (Envoy: `OK` for `DOWNSTREAM`.)

#![warn(missing_docs)]

mod backtrace;
mod context;
mod core;
#[cfg(feature = "envoy")]
pub mod envoy;
mod error;
mod extension;
mod headers;
mod host;
mod host_calls;
#[cfg(feature = "envoy")]
pub mod http;
mod interface;
mod maps;
mod message;
mod module;
mod offer;
mod options;
mod proxy;
mod records;
mod stream;
#[cfg(feature = "envoy")]
mod upstream;
mod vm;
mod wasi;

pub use error::{Error, Frame, Trap};
pub use extension::{extension, module_path};
pub use headers::Headers;
pub use message::{Message, Reply, Response};
pub use module::Module;
pub use options::Options;
pub use proxy::Proxy;
pub use proxy_wasm_abi::{LogLevel, Status};
pub use records::{HostCall, HttpCall, LogLine, Metric};
pub use stream::{Request, Stream};
#[cfg(feature = "envoy")]
pub use upstream::Upstream;
