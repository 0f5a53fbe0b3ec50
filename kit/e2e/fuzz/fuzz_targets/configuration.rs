//! Fuzzes the parser of the template's configuration.

#![no_main]

#[path = "../../../../src/config.rs"]
mod config;

use config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|configuration: &[u8]| match Config::parse(configuration) {
    Ok(config) => {
        for (name, value) in config.headers() {
            assert!(!name.is_empty());
            assert!(name.bytes().all(is_token_character), "{name:?}");
            assert!(!value.chars().any(|c| c.is_control() && c != '\t'), "{value:?}");
            assert_eq!(value.trim_matches([' ', '\t']), value);
        }
        // The message must be a single log line.
        assert!(!config.to_string().contains('\n'));
    }
    Err(error) => {
        assert!(error.len() < 1000, "{} bytes: {error}", error.len());
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
});

/// `tchar` of RFC 9110 without upper case: names are sent in lower case.
fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
