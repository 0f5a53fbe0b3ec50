//! The module that ships, in the embedded proxy: what it does to a response.
#![cfg(not(target_family = "wasm"))]

use extension_kit::proxy::{Error, HostCall, LogLevel, Proxy, Reply, Status};
use extension_kit::testing::extension;

#[test]
fn a_response_gets_the_header() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure(r#"{"custom-header": "test"}"#)?;
    let response = proxy.request("GET", "/").respond(200)?;
    assert_eq!(response.header("custom-header"), ["test"]);
    Ok(())
}

#[test]
fn headers_come_in_order_after_those_of_the_upstream() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure(r#"{"x-b": "1", "x-a": ["2", "3"]}"#)?;
    let reply = Reply::new(200).header("x-a", "upstream").body("hello");
    let response = proxy.request("GET", "/").respond(reply)?;
    let headers: Vec<_> = response.headers().bytes().collect();
    let expected: [(&[u8], &[u8]); 5] = [
        (b":status", b"200"),
        (b"x-a", b"upstream"),
        (b"x-b", b"1"),
        (b"x-a", b"2"),
        (b"x-a", b"3"),
    ];
    assert_eq!(headers, expected);
    assert_eq!(response.body(), b"hello");
    Ok(())
}

#[test]
fn a_refused_configuration_leaves_the_earlier_one_in_force() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure("first")?;
    let Err(Error::Refused { log, .. }) = proxy.reconfigure(r#"{"a": 1}"#) else {
        panic!("it was accepted");
    };
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].level, LogLevel::Error);
    assert!(log[0].message.contains("write it in quotes"), "{}", log[0]);
    let response = proxy.request("GET", "/").respond(200)?;
    assert_eq!(response.header("custom-header"), ["first"]);
    Ok(())
}

#[test]
fn an_accepted_configuration_names_its_headers_in_the_log() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure(r#"{"x-a": "1", "x-b": "2"}"#)?;
    let log = proxy.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].level, LogLevel::Info);
    assert!(log[0].message.ends_with("x-a, x-b"), "{}", log[0]);
    Ok(())
}

#[test]
fn a_header_costs_one_host_call() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure(r#"{"x-a": ["1", "2"], "x-b": "3"}"#)?;
    let response = proxy.request("GET", "/").respond(200)?;
    let call = HostCall {
        name: "proxy_add_header_map_value",
        status: Status::Ok,
    };
    assert_eq!(response.host_calls(), [call; 3]);
    Ok(())
}
