//! Decoding and encoding modules that are rewritten.

use walrus::{Module, ModuleConfig};

use crate::error::Error;

pub fn decode(module: &[u8]) -> Result<Module, Error> {
    ModuleConfig::new()
        .generate_producers_section(false)
        .parse(module)
        .map_err(|error| Error::rewrite(format!("{error:#}")))
}

/// Encodes a module with the names of its functions, and without its other custom sections.
pub fn encode(mut module: Module) -> Vec<u8> {
    let custom: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for section in custom {
        module.customs.delete(section);
    }
    module.emit_wasm()
}
