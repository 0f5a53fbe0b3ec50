#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod error;
mod exceptions;
mod item;
mod limits;
mod memory;
mod module;
mod names;
mod proposals;
mod sections;
mod shrink;
mod size;
mod strip;
mod validation;

pub use error::Error;
pub use item::{FunctionType, Global, Item};
pub use limits::MAX_LENGTH;
pub use memory::{Memory, Table};
pub use module::{Export, Import, MAGIC, ModuleInfo};
pub use proposals::{PROPOSALS, Proposal};
pub use shrink::{Decision, Reason, Shrunk, shrink};
pub use size::{Size, measure};
pub use strip::strip;
