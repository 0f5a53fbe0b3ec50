//! Tests of the configuration. `cargo make test` runs them natively and in wasm.

use wasm_bindgen_test::wasm_bindgen_test;

use super::{Config, FRAMING_HEADERS, SINGLE_HEADERS};

#[track_caller]
fn assert_headers(configuration: &str, expected: &[(&str, &str)]) {
    let config = Config::parse(configuration.as_bytes())
        .unwrap_or_else(|error| panic!("{configuration:?} is rejected: {error}"));
    let headers: Vec<_> = config.headers().collect();
    assert_eq!(headers, expected, "{configuration:?}");
}

/// Asserts that the error has all of these parts.
#[track_caller]
fn assert_rejected(configuration: impl AsRef<[u8]>, parts: &[&str]) {
    let configuration = configuration.as_ref();
    let Err(error) = Config::parse(configuration) else {
        panic!("\"{}\" is accepted", configuration.escape_ascii());
    };
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn empty_configuration_is_the_default() {
    for nothing in ["", " ", "\n\t \r\n"] {
        assert_headers(nothing, &[("custom-header", env!("CARGO_PKG_NAME"))]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn plain_text_is_the_trimmed_value() {
    assert_headers("test", &[("custom-header", "test")]);
    assert_headers("  two words\r\n", &[("custom-header", "two words")]);
    assert_headers("42", &[("custom-header", "42")]);
    assert_headers("naïve", &[("custom-header", "naïve")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn json_string_is_the_value() {
    assert_headers(r#""test""#, &[("custom-header", "test")]);
    assert_headers(" \"a\\tb\" \n", &[("custom-header", "a\tb")]);
    assert_headers(r#""""#, &[("custom-header", "")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn object_has_headers_in_order() {
    assert_headers(r#"{"custom-header": "test"}"#, &[("custom-header", "test")]);
    assert_headers(
        r#"{"x-b": "1", "x-a": ["2", "3"], "x-c": ""}"#,
        &[("x-b", "1"), ("x-a", "2"), ("x-a", "3"), ("x-c", "")],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn names_are_converted_to_lower_case() {
    assert_headers(r#"{"X-Upper": "V"}"#, &[("x-upper", "V")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn white_space_around_a_value_is_removed() {
    assert_headers(r#"{"x-a": "  v\t"}"#, &[("x-a", "v")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn empty_object_or_array_of_values_appends_nothing() {
    assert_headers("{}", &[]);
    assert_headers(r#"{"x-a": []}"#, &[]);
}

#[wasm_bindgen_test(unsupported = test)]
fn byte_order_mark_is_skipped() {
    assert_headers("\u{feff}", &[("custom-header", env!("CARGO_PKG_NAME"))]);
    assert_headers("\u{feff}test", &[("custom-header", "test")]);
    assert_headers("\u{feff} {\"x-a\": \"1\"}", &[("x-a", "1")]);
    assert_rejected("\u{feff}[]", &["array"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn log_names_the_headers() {
    let names = |text: &str| Config::parse(text.as_bytes()).map(|config| config.to_string());
    assert_eq!(
        names(r#"{"x-a": "1", "x-b": "2"}"#),
        Ok("x-a, x-b".to_owned())
    );
    assert_eq!(names("{}"), Ok("nothing".to_owned()));
}

#[wasm_bindgen_test(unsupported = test)]
fn array_at_top_level_is_rejected() {
    assert_rejected(r#"["test"]"#, &["array", r#"{"custom-header": "value"}"#]);
}

#[wasm_bindgen_test(unsupported = test)]
fn invalid_json_is_rejected_with_line_and_column() {
    assert_rejected("{\n  \"x-a\": }", &["invalid JSON", "line 2 column 10"]);
    assert_rejected(r#"{"x-a": "1""#, &["EOF", "line 1 column 11"]);
    assert_rejected(r#"{"x-a": "1"} more"#, &["trailing", "line 1 column 14"]);
    assert_rejected(r#""open"#, &["EOF", "line 1 column 5"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn value_that_is_not_a_string_is_rejected() {
    for value in ["1", "1.5", "true", "null", "{}", "[1]", r#"["a", ["b"]]"#] {
        let column = format!("line 1 column {}", 9 + value.len());
        assert_rejected(
            format!("{{\"x-a\": {value}}}"),
            &["write it in quotes", &column],
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn deep_nesting_is_rejected() {
    assert_rejected(format!("{{\"a\":{}", "[".repeat(100_000)), &["line 1"]);
    assert_rejected("{\"a\":".repeat(100_000), &["line 1"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn bytes_that_are_not_utf8_are_rejected() {
    assert_rejected(b"caf\xE9", &["UTF-8", "index 3"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn encoded_protobuf_message_is_rejected() {
    // Encoded by Envoy 1.40: {"custom-header": "test"}, {"a": 1}, and {"x-a": "vvv…"}, which is so
    // long that its length takes two bytes.
    let long = [
        &b"\x0A\xB1\x01\x0A\x03x-a\x12\xA9\x01\x1A\xA6\x01"[..],
        &[b'v'; 166],
    ]
    .concat();
    for message in [
        &b"\x0A\x17\x0A\x0Dcustom-header\x12\x06\x1A\x04test"[..],
        b"\x0A\x0E\x0A\x01a\x12\x09\x11\0\0\0\0\0\0\xF0\x3F",
        &long,
    ] {
        assert_rejected(message, &["protobuf", "use google.protobuf.StringValue"]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn text_after_a_line_feed_is_not_a_protobuf_message() {
    assert_headers("\ntest", &[("custom-header", "test")]);
    assert_headers("\n{\"x-a\": \"1\"}\n", &[("x-a", "1")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn invalid_names_are_rejected() {
    assert_rejected(r#"{"": "v"}"#, &["empty", "line 1 column 3"]);
    for name in [":status", ":path", ":"] {
        assert_rejected(format!("{{\"{name}\": \"v\"}}"), &[name, "pseudo-header"]);
    }
    for name in ["a b", "a:b", "näme", "a\\r\\nb", "(a)"] {
        assert_rejected(
            format!("{{\"{name}\": \"v\"}}"),
            &[name, "is not a header name", "line 1 column"],
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_that_frame_or_route_are_rejected() {
    for name in FRAMING_HEADERS {
        for name in [name.to_owned(), name.to_ascii_uppercase()] {
            let configuration = format!("{{\"{name}\": \"v\"}}");
            assert_rejected(configuration, &[&name, "frames or routes", "line 1 column"]);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_that_may_occur_only_once_are_rejected() {
    for name in SINGLE_HEADERS {
        for name in [name.to_owned(), name.to_ascii_uppercase()] {
            let configuration = format!("{{\"{name}\": []}}");
            assert_rejected(configuration, &[&name, "only once", "line 1 column"]);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn duplicate_names_are_rejected() {
    assert_rejected(
        r#"{"x-a": "1", "x-a": "2"}"#,
        &["x-a", "twice", "array", "line 1 column 18"],
    );
    assert_rejected(r#"{"x-a": "1", "X-A": "2"}"#, &["x-a", "twice"]);
    assert_rejected(r#"{"x-a": [], "x-a": []}"#, &["x-a", "twice"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn control_characters_in_a_value_are_rejected() {
    for (escape, code) in [
        ("\\r", "U+000D"),
        ("\\n", "U+000A"),
        ("\\u0000", "U+0000"),
        ("\\u001b", "U+001B"),
        ("\\u007f", "U+007F"),
        ("\\u0085", "U+0085"),
    ] {
        let value = format!("\"a{escape}b\"");
        let parts = [code, "remove it", "line 1 column"];
        assert_rejected(&value, &parts);
        assert_rejected(format!("{{\"x\": {value}}}"), &parts);
        assert_rejected(format!("{{\"x\": [\"ok\", {value}]}}"), &parts);
    }
    assert_rejected("one\ntwo", &["U+000A", "remove it"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn long_text_is_truncated_in_errors() {
    let long = "é".repeat(1_000_000);
    for configuration in [
        format!("{{\"{long}\": \"v\"}}"),
        format!("{{\"x\": \"\\n{long}\"}}"),
        format!("\u{1}{long}"),
    ] {
        let error = Config::parse(configuration.as_bytes()).expect_err("rejected");
        assert!(error.len() < 300, "{} bytes", error.len());
    }
}
