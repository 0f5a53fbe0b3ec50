//! Taking out of a module what only people read.

use std::ops::Range;

use anyhow::{Context, Result};
use wasmparser::Parser;

/// The module without its custom sections: names of functions, producers, debugging information.
/// What runs is the same, byte for byte.
///
/// # Errors
///
/// When the bytes are not a module.
pub fn strip(module: &[u8]) -> Result<Vec<u8>> {
    let mut stripped = wasm_encoder::Module::HEADER.to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.context("not a WebAssembly module")?;
        let Some((id, range)) = payload.as_section().filter(|(id, _)| *id != 0) else {
            continue;
        };
        let content = slice(module, range).context("a section without an end")?;
        stripped.push(id);
        wasm_encoder::Encode::encode(content, &mut stripped);
    }
    Ok(stripped)
}

/// A part of a module, where its reader says that it is.
pub(crate) fn slice(module: &[u8], range: Range<u64>) -> Option<&[u8]> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    module.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn names_go_and_all_else_stays() {
        let named = wat::parse_str(
            r#"(module (func $secret (export "run") (result i32) (i32.const 7)) (@custom "x" "y"))"#,
        );
        let bare = wat::parse_str(r#"(module (func (export "run") (result i32) (i32.const 7)))"#);
        let (named, bare) = (named.expect("valid"), bare.expect("valid"));
        assert_ne!(named, bare);
        assert_eq!(strip(&named).expect("stripped"), bare);
    }

    #[test]
    fn what_is_no_module_is_an_error() {
        assert!(strip(b"no module").is_err());
        let module = wat::parse_str("(module (func))").expect("valid");
        assert!(strip(&module[..module.len() - 1]).is_err());
    }
}
