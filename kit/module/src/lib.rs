#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod error;
mod item;
mod limits;
mod module;
mod proposals;
mod sections;
mod shrink;
mod size;
mod strip;
mod validation;

pub use error::Error;
pub use item::{Item, Memory, Signature};
pub use limits::MAX_LENGTH;
pub use module::{Export, Import, MAGIC, Module};
pub use proposals::{PROPOSALS, Proposal};
pub use shrink::{Decision, Shrunk, Verdict, shrink};
pub use size::{Size, measure};
pub use strip::strip;
