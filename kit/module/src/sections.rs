//! Copies the sections of a module.

use std::ops::Range;

use wasmparser::{Parser, Payload};

use crate::error::Error;

/// The module without the custom sections whose names `keep` does not accept. All other sections
/// are copied byte for byte.
pub fn with_custom_sections(module: &[u8], keep: impl Fn(&str) -> bool) -> Result<Vec<u8>, Error> {
    let mut copy = wasm_encoder::Module::HEADER.to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|error| Error::invalid(&error))?;
        if let Payload::CustomSection(section) = &payload
            && !keep(section.name())
        {
            continue;
        }
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let offset = range.start;
        let content = slice(module, range).ok_or_else(|| Error::Invalid {
            message: "a section ends after the module".to_owned(),
            offset,
        })?;
        copy.push(id);
        wasm_encoder::Encode::encode(content, &mut copy);
    }
    Ok(copy)
}

/// The bytes of a module in a range from the parser. `None` if they are not in the module.
pub fn slice(module: &[u8], range: Range<u64>) -> Option<&[u8]> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    module.get(start..end)
}
