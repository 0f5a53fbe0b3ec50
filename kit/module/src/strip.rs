//! Removes custom sections, which only people and tools read.

use crate::error::Error;
use crate::sections::with_custom_sections;

/// The module without its custom sections: function names, producers, debugging information.
///
/// The other sections stay the same, byte for byte.
///
/// # Errors
///
/// If the bytes are not a module.
pub fn strip(module: &[u8]) -> Result<Vec<u8>, Error> {
    with_custom_sections(module, |_| false)
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn only_custom_sections_are_removed() {
        let named = wat::parse_str(
            r#"(module (func $secret (export "run") (result i32) (i32.const 7)) (@custom "x" "y"))"#,
        );
        let bare = wat::parse_str(r#"(module (func (export "run") (result i32) (i32.const 7)))"#);
        let (named, bare) = (named.expect("valid"), bare.expect("valid"));
        assert_ne!(named, bare);
        assert_eq!(strip(&named).expect("stripped"), bare);
    }

    #[test]
    fn bytes_that_are_not_a_module_are_an_error() {
        assert!(strip(b"no module").is_err());
        let module = wat::parse_str("(module (func))").expect("valid");
        let error = strip(&module[..module.len() - 1]).expect_err("an error");
        assert!(error.to_string().contains("offset"), "{error}");
    }
}
