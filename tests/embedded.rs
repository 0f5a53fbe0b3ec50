//! Tests in the embedded proxy.
#![cfg(not(target_family = "wasm"))]

use proxy_wasm_test::{Error, HostCall, LogLevel, Proxy, Reply, Status, extension};

/// The most fuel that a request with one appended header may need: about one for each instruction.
///
/// Without `cargo make`, the module under test is not shrunk and needs a third more.
const MAX_FUEL: u64 = 6_000;

/// The most memory, in pages of 64 KiB. Rust reserves 16 of them for the stack; `cargo make build` one.
const MAX_PAGES: u64 = 20;

fn configure(configuration: impl AsRef<[u8]>) -> Result<Proxy, Error> {
    Proxy::load(extension())?.configure(configuration)
}

/// The extension appends these headers, in this order, and changes no other header.
#[track_caller]
fn assert_appends(proxy: &Proxy, expected: &[(&str, &str)]) -> Result<(), Error> {
    let reply = Reply::new(200).header("x-upstream", "1").body("hello");
    let response = proxy.request("GET", "/").respond(reply)?;
    let headers: Vec<_> = response.headers().bytes().collect();
    let expected = [&[(":status", "200"), ("x-upstream", "1")], expected].concat();
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    assert_eq!(headers, expected);
    assert_eq!(response.body(), b"hello");
    Ok(())
}

#[test]
fn each_form_of_configuration_gives_its_headers() -> Result<(), Error> {
    let default = [("custom-header", env!("CARGO_PKG_NAME"))];
    let test = [("custom-header", "test")];
    assert_appends(&configure("")?, &default)?;
    assert_appends(&configure(" \n")?, &default)?;
    assert_appends(&configure("test\n")?, &test)?;
    assert_appends(&configure(r#""test""#)?, &test)?;
    assert_appends(&configure(r#"{"custom-header": "test"}"#)?, &test)?;
    assert_appends(&configure("\u{feff}test")?, &test)?;
    assert_appends(
        &configure(r#"{"X-B": "1", "x-a": ["2", "3"], "x-empty": ""}"#)?,
        &[("x-b", "1"), ("x-a", "2"), ("x-a", "3"), ("x-empty", "")],
    )?;
    assert_appends(&configure("{}")?, &[])
}

#[test]
fn header_is_added_beside_the_upstreams_own() -> Result<(), Error> {
    let proxy = configure(r#"{"x-a": "appended"}"#)?;
    let reply = Reply::new(200).header("x-a", "upstream");
    let response = proxy.request("GET", "/").respond(reply)?;
    assert_eq!(response.header("x-a"), ["upstream", "appended"]);
    Ok(())
}

#[test]
fn accepted_configuration_is_logged_with_its_headers() -> Result<(), Error> {
    let log = configure(r#"{"x-a": "1", "x-b": "2"}"#)?.log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0].level, LogLevel::Info);
    assert!(log[0].message.ends_with("x-a, x-b"), "{}", log[0]);
    Ok(())
}

#[test]
fn invalid_configuration_is_rejected_with_one_error_in_the_log() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?;
    let invalid: [(&[u8], &str); 11] = [
        (b"{\n  \"x-a\": }", "line 2 column 10"),
        (br#"["test"]"#, "a JSON array has no header names"),
        (br#"{"x-a": 1}"#, "write it in quotes"),
        (br#"{"x-a": "1", "X-A": "2"}"#, "is written twice"),
        (br#"{"x a": "1"}"#, "is not a header name"),
        (br#"{":status": "200"}"#, "is a pseudo-header"),
        (br#"{"host": "a"}"#, "frames or routes the message"),
        (br#"{"etag": "a"}"#, "may occur only once"),
        (b"one\ntwo", "control character U+000A"),
        (b"\xFF", "not UTF-8"),
        // A google.protobuf.Struct, as Envoy encodes it.
        (b"\n\x09\n\x01a\x12\x04\x1A\x02hi", "protobuf message"),
    ];
    for (configuration, reason) in invalid {
        let result = proxy.reconfigure(configuration);
        let Err(Error::Rejected { log, .. }) = result else {
            panic!("{reason}: {result:?}");
        };
        assert_eq!(log.len(), 1, "{log:?}");
        assert_eq!(log[0].level, LogLevel::Error);
        let message = &log[0].message;
        assert!(message.starts_with("configuration rejected: "), "{message}");
        assert!(message.contains(reason), "{reason:?} is not in {message:?}");
    }
    Ok(())
}

#[test]
fn rejected_configuration_leaves_the_earlier_one_in_force() -> Result<(), Error> {
    let proxy = configure("first")?;
    assert!(proxy.reconfigure("[]").is_err());
    assert_appends(&proxy, &[("custom-header", "first")])
}

#[test]
fn requests_in_flight_keep_their_configuration() -> Result<(), Error> {
    let proxy = configure("first")?;
    let in_flight = proxy.request("GET", "/").send()?;
    proxy.reconfigure("second")?;
    assert_eq!(in_flight.respond(200)?.header("custom-header"), ["first"]);
    assert_appends(&proxy, &[("custom-header", "second")])
}

#[test]
fn each_header_needs_one_host_call() -> Result<(), Error> {
    let proxy = configure(r#"{"x-a": ["1", "2"], "x-b": "3"}"#)?;
    let response = proxy.request("GET", "/").respond(200)?;
    let call = HostCall {
        name: "proxy_add_header_map_value",
        status: Status::Ok,
    };
    assert_eq!(response.host_calls(), [call; 3]);
    Ok(())
}

#[test]
fn request_needs_little_fuel() -> Result<(), Error> {
    let proxy = configure(r#"{"x-a": "value"}"#)?;
    // The first request also allocates what later ones use again.
    proxy.request("GET", "/").respond(200)?;
    let fuel = proxy.request("GET", "/").respond(200)?.fuel();
    assert!(fuel <= MAX_FUEL, "{fuel}");
    Ok(())
}

#[test]
fn memory_is_small_and_does_not_grow() -> Result<(), Error> {
    let proxy = configure("test")?;
    let pages = proxy.memory_pages();
    assert!(pages <= MAX_PAGES, "{pages}");
    for _ in 0..1_000 {
        proxy.request("GET", "/").respond(200)?;
    }
    assert_eq!(proxy.memory_pages(), pages);
    Ok(())
}
