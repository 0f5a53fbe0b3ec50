//! The configuration contract, row by row. Run natively, and again in wasm under Node.

use wasm_bindgen_test::wasm_bindgen_test;

use super::Config;

fn accepted(configuration: &str) -> Vec<(String, String)> {
    Config::parse(configuration.as_bytes())
        .unwrap_or_else(|error| panic!("{configuration:?} was refused: {error}"))
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn refused(configuration: impl AsRef<[u8]>) -> String {
    Config::parse(configuration.as_ref()).expect_err("a refusal")
}

#[track_caller]
fn assert_headers(configuration: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    assert_eq!(accepted(configuration), expected, "{configuration:?}");
}

#[track_caller]
fn assert_refused(configuration: impl AsRef<[u8]>, parts: &[&str]) {
    let error = refused(configuration);
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_means_the_default() {
    for nothing in ["", " ", "\n\t \r\n"] {
        assert_headers(nothing, &[("custom-header", env!("CARGO_PKG_NAME"))]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn plain_text_is_the_value_trimmed() {
    assert_headers("test", &[("custom-header", "test")]);
    assert_headers("  two words\n", &[("custom-header", "two words")]);
    assert_headers("42", &[("custom-header", "42")]);
    assert_headers("naïve", &[("custom-header", "naïve")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_json_string_is_the_value() {
    assert_headers(r#""test""#, &[("custom-header", "test")]);
    assert_headers(" \"a\\tb\" \n", &[("custom-header", "a\tb")]);
    assert_headers(r#""""#, &[("custom-header", "")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_object_keeps_its_order() {
    assert_headers(r#"{"custom-header": "test"}"#, &[("custom-header", "test")]);
    assert_headers(
        r#"{"x-b": "1", "x-a": ["2", "3"], "X-Upper": "4"}"#,
        &[("x-b", "1"), ("x-a", "2"), ("x-a", "3"), ("x-upper", "4")],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn an_empty_object_or_array_appends_nothing() {
    assert_headers("{}", &[]);
    assert_headers(r#"{"x-a": []}"#, &[]);
}

#[wasm_bindgen_test(unsupported = test)]
fn white_space_around_a_value_is_not_part_of_it() {
    assert_headers(r#"{"x-a": "  v\t"}"#, &[("x-a", "v")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_array_is_refused() {
    assert_refused(r#"["test"]"#, &["array", r#"{"custom-header": "value"}"#]);
}

#[wasm_bindgen_test(unsupported = test)]
fn broken_json_is_refused_with_its_place() {
    assert_refused("{\n  \"x-a\": \"1\",,\n}", &["line 2 column"]);
    assert_refused(r#"{"x-a": "1""#, &["EOF", "line 1 column"]);
    assert_refused(r#"{"x-a": "1"} more"#, &["trailing", "line 1 column 14"]);
    assert_refused(r#""open"#, &["EOF", "line 1 column"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_value_that_is_no_string_is_refused() {
    for value in ["1", "1.5", "true", "null", "{}", "[1]", "[[\"a\"]]"] {
        assert_refused(
            format!("{{\"x-a\": {value}}}"),
            &["write it in quotes", "line 1 column"],
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn deep_nesting_is_refused() {
    assert_refused(format!("{{\"a\":{}", "[".repeat(100_000)), &["line 1"]);
    assert_refused("{\"a\":".repeat(100_000), &["line 1"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn bytes_that_are_not_utf8_are_refused() {
    assert_refused(b"caf\xe9", &["UTF-8", "index 3"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn names_that_are_no_names_are_refused() {
    assert_refused(r#"{"": "v"}"#, &["empty", "line 1 column"]);
    assert_refused(r#"{":status": "200"}"#, &["pseudo-header", "line 1 column"]);
    for name in ["a b", "a:b", "näme", "a\\r\\nb", "(a)"] {
        assert_refused(
            format!("{{\"{name}\": \"v\"}}"),
            &["no header name", "line 1 column"],
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_long_name_does_not_fill_the_log() {
    let error = refused(format!("{{\"{}\": \"v\"}}", "é".repeat(1_000_000)));
    assert!(error.len() < 300, "{} bytes", error.len());
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_that_frame_or_route_are_refused() {
    for name in super::RESERVED_NAMES {
        assert_refused(format!("{{\"{name}\": \"v\"}}"), &[name, "remove it"]);
        let upper = name.to_ascii_uppercase();
        assert_refused(format!("{{\"{upper}\": \"v\"}}"), &[&upper, "remove it"]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_name_written_twice_is_refused() {
    assert_refused(r#"{"x-a": "1", "x-a": "2"}"#, &["x-a", "twice", "array"]);
    assert_refused(r#"{"x-a": "1", "X-A": "2"}"#, &["x-a", "twice", "line 1"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn control_characters_in_a_value_are_refused() {
    for (escape, code) in [
        ("\\r", "U+000D"),
        ("\\n", "U+000A"),
        ("\\u0000", "U+0000"),
        ("\\u001b", "U+001B"),
        ("\\u007f", "U+007F"),
        ("\\u0085", "U+0085"),
    ] {
        assert_refused(format!("\"a{escape}b\""), &[code, "remove it"]);
        assert_refused(format!("{{\"x\": [\"a{escape}b\"]}}"), &[code]);
    }
    assert_refused("one\ntwo", &["U+000A"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_log_names_the_headers() {
    let config = Config::parse(br#"{"x-a": "1", "x-b": "2"}"#).expect("valid");
    assert_eq!(config.to_string(), "x-a, x-b");
    assert_eq!(Config::parse(b"{}").expect("valid").to_string(), "nothing");
}
