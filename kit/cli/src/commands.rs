//! The commands, one file each.

pub mod build;
pub mod check;
pub mod deploy;
pub mod package;
pub mod push;
pub mod rename;
pub mod shrink;
#[cfg(feature = "run")]
pub mod test;
