//! The facts of a Proxy-Wasm module, and what it can do without.

#![warn(missing_docs)]

mod facts;
pub mod host;
pub mod proposals;
mod shrink;
mod strip;

pub use facts::{Export, Import, Item, MAGIC, MAX_LENGTH, Memory, Module, Signature};
pub use shrink::{Decision, Shrunk, Size, Verdict, measure, shrink};
pub use strip::strip;
