use wasm_bindgen_test::wasm_bindgen_test;

use super::Config;

#[wasm_bindgen_test(unsupported = test)]
fn header_is_read() {
    let config = Config::parse(br#"{"header": "x-host"}"#).expect("valid");
    assert_eq!(config.header, "x-host");
    assert_eq!(Config::parse(b"").expect("valid").header, "x-tenant");
}

#[wasm_bindgen_test(unsupported = test)]
fn unknown_field_is_rejected() {
    let error = Config::parse(br#"{"haeder": "x"}"#).expect_err("an error");
    assert!(error.contains("unknown field `haeder`"), "{error}");
}
