//! The statuses that host calls return, where no other test checks them.

use proxy_wasm_test::{Error, Status};

use crate::wat::{Wat, results, whole_request};

#[test]
fn each_host_call_returns_the_status_of_the_abi() -> Result<(), Error> {
    const OK: &str = "0";
    const NOT_FOUND: &str = "1";
    const BAD_ARGUMENT: &str = "2";
    const UNIMPLEMENTED: &str = "12";
    for (call, status) in [
        ("$proxy_get_log_level #0", OK),
        ("$proxy_set_effective_context #2", OK),
        ("$proxy_set_effective_context #77", BAD_ARGUMENT),
        ("$proxy_done", NOT_FOUND),
        ("$proxy_get_current_time_nanoseconds #0", OK),
        ("$proxy_set_tick_period_milliseconds #0", OK),
        ("$proxy_get_header_map_size #8 #0", BAD_ARGUMENT),
        ("$proxy_get_header_map_pairs #8 #0 #4", BAD_ARGUMENT),
        ("$proxy_set_header_map_pairs #8 #0 #0", BAD_ARGUMENT),
        ("$proxy_get_header_map_value #8 @\"a\" @out", BAD_ARGUMENT),
        ("$proxy_add_header_map_value #8 @\"a\" @\"b\"", BAD_ARGUMENT),
        (
            "$proxy_replace_header_map_value #8 @\"a\" @\"b\"",
            BAD_ARGUMENT,
        ),
        ("$proxy_remove_header_map_value #8 @\"a\"", BAD_ARGUMENT),
        ("$proxy_get_header_map_pairs #5 #0 #4", OK),
        ("$proxy_continue_stream #2", OK),
        ("$proxy_continue_stream #3", UNIMPLEMENTED),
        ("$proxy_continue_stream #4", BAD_ARGUMENT),
        ("$proxy_close_stream #2", OK),
        ("$proxy_close_stream #3", OK),
        ("$proxy_close_stream #4", BAD_ARGUMENT),
        ("$proxy_get_status #8 @out", OK),
        ("$proxy_grpc_send #2 @\"x\" #0", NOT_FOUND),
        ("$proxy_grpc_cancel #1", NOT_FOUND),
        ("$proxy_grpc_close #1", NOT_FOUND),
        ("$proxy_resolve_shared_queue @\"\" @\"none\" #0", NOT_FOUND),
        ("$proxy_get_property @\"none\" @out", NOT_FOUND),
        ("$proxy_get_property #0 #0 @out", "3"),
        ("$proxy_set_property @\"a\" @\"b\"", OK),
        (
            "$proxy_call_foreign_function @\"none\" #0 #0 @out",
            NOT_FOUND,
        ),
    ] {
        assert_eq!(
            results("proxy_on_request_headers", &[call])?,
            [status],
            "{call}"
        );
    }
    Ok(())
}

#[test]
fn a_response_lists_the_host_calls_made_for_it() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_request_headers",
            "(drop (call $proxy_get_header_map_value #0 @\"none\" @out))",
        )
        .on("proxy_on_delete", "(drop (call $proxy_done))");
    let proxy = wat.load()?;
    let response = whole_request(&proxy)?;
    let calls: Vec<_> = response
        .host_calls()
        .iter()
        .map(|call| (call.name, call.status))
        .collect();
    let expected = [
        ("proxy_get_header_map_value", Status::NotFound),
        ("proxy_done", Status::NotFound),
    ];
    assert_eq!(calls, expected);
    whole_request(&proxy)?;
    assert_eq!(proxy.host_calls()["proxy_done"], 2);
    Ok(())
}

#[test]
fn http_request_calls_no_callbacks_of_tcp_and_grpc() -> Result<(), Error> {
    let never = |name: &str, parameters: &str, result: &str| {
        format!("(func (export \"{name}\") {parameters} {result} unreachable)")
    };
    let wat = Wat::new()
        .with(&never(
            "proxy_on_new_connection",
            "(param i32)",
            "(result i32)",
        ))
        .with(&never(
            "proxy_on_downstream_data",
            "(param i32 i32 i32)",
            "(result i32)",
        ))
        .with(&never("proxy_on_grpc_close", "(param i32 i32 i32)", ""))
        .with(&never(
            "proxy_on_foreign_function",
            "(param i32 i32 i32)",
            "",
        ));
    whole_request(&wat.load()?)?;
    Ok(())
}
