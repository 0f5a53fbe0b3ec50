//! HTTP calls (ABI: "HTTP calls").

use std::time::Duration;

use proxy_wasm_test::{Error, Options, Reply};

use crate::wat::{CALL_HEADERS, Wat, said};

const CALL: &str = r#"(call $headers)
    (call $number (call $proxy_http_call @"upstream" #100 #61 @"body" #0 #0 #2000 #0))
    (call $number (i32.load #0))"#;

fn calls(callback: &str, body: &str) -> Wat {
    Wat::new().with(CALL_HEADERS).on(callback, body)
}

#[test]
fn call_carries_what_the_extension_wrote() -> Result<(), Error> {
    let proxy = calls("proxy_on_tick", CALL).load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["0", "4"]);
    let call = &proxy.http_calls()[0];
    assert_eq!(
        (call.id, call.cluster.as_str(), call.body.as_slice()),
        (4, "upstream", b"body".as_slice())
    );
    assert_eq!(call.headers.values(":path"), ["/"]);
    assert_eq!(call.headers.values(":authority"), ["a"]);
    assert_eq!(call.headers.values("content-length"), ["4"]);
    assert!(call.trailers.is_empty());
    assert_eq!(call.timeout, Duration::from_secs(2));
    Ok(())
}

const LOG_RESPONSE: &str = r#"(call $number (local.get $call_id)) (call $number (local.get $num_headers))
    (call $number (local.get $body_size)) (call $number (local.get $num_trailers))
    (call $number (call $proxy_get_header_map_value #6 @":status" @out))
    (call $number (call $proxy_get_header_map_value #7 @"trailer" @out))
    (call $number (call $proxy_get_buffer_bytes #4 #0 #100 @out))
    (call $number (call $proxy_get_status #8 @out)) (call $number (i32.load #8)) (call $say @result)"#;

#[test]
fn response_can_be_read_only_in_its_callback() -> Result<(), Error> {
    let wat = calls("proxy_on_tick", CALL)
        .on("proxy_on_http_call_response", LOG_RESPONSE)
        .on(
            "proxy_on_log",
            "(call $number (call $proxy_get_buffer_bytes #4 #0 #100 @out))
            (call $number (call $proxy_get_header_map_value #6 @\":status\" @out))",
        );
    let proxy = wat.load()?;
    proxy.tick()?;
    let reply = Reply::new(200)
        .header("a", "b")
        .body("two ")
        .body("pieces")
        .trailer("trailer", "t");
    proxy.respond_to_call(4, reply)?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(
        said(&proxy)[2..],
        ["4", "2", "10", "1", "0", "0", "0", "0", "0", "", "1", "1"]
    );
    assert!(proxy.http_calls().is_empty());
    assert!(matches!(
        proxy.respond_to_call(4, 200),
        Err(Error::InvalidState(_))
    ));
    Ok(())
}

#[test]
fn call_whose_response_is_cut_off_has_no_headers_and_a_status() -> Result<(), Error> {
    let proxy = calls("proxy_on_tick", CALL)
        .on("proxy_on_http_call_response", LOG_RESPONSE)
        .on(
            "proxy_on_done",
            "(call $number (call $proxy_get_status #8 @out)) (call $number (i32.load #8))
             (call $say @result)",
        )
        .load()?;
    proxy.tick()?;
    proxy.reset_call(4)?;
    assert_eq!(
        said(&proxy)[2..],
        ["4", "0", "0", "0", "2", "2", "1", "0", "11", "reset"]
    );
    // The status code is kept.
    proxy.shut_down()?;
    assert_eq!(said(&proxy)[12..], ["0", "11", ""]);
    Ok(())
}

#[test]
fn call_to_a_service_that_cannot_be_reached_has_status_503() -> Result<(), Error> {
    let proxy = calls("proxy_on_tick", CALL)
        .on(
            "proxy_on_http_call_response",
            "(call $number (local.get $num_headers)) (call $number (local.get $body_size))
             (drop (call $proxy_get_header_map_value #6 @\":status\" @out)) (call $say @result)",
        )
        .load()?;
    proxy.tick()?;
    proxy.fail_call(4)?;
    assert_eq!(said(&proxy)[2..], ["3", "98", "503"]);
    Ok(())
}

#[test]
fn call_times_out_after_its_timeout() -> Result<(), Error> {
    let proxy = calls("proxy_on_tick", CALL)
        .on(
            "proxy_on_http_call_response",
            "(call $number (local.get $num_headers))
             (drop (call $proxy_get_header_map_value #6 @\":status\" @out)) (call $say @result)
             (drop (call $proxy_get_buffer_bytes #4 #0 #100 @out)) (call $say @result)",
        )
        .load()?;
    proxy.tick()?;
    proxy.advance(Duration::from_millis(1999))?;
    assert_eq!(proxy.http_calls().len(), 1);
    proxy.advance(Duration::from_millis(1))?;
    assert_eq!(said(&proxy)[2..], ["3", "504", "upstream request timeout"]);
    assert!(proxy.http_calls().is_empty());
    Ok(())
}

#[test]
fn each_call_has_its_own_identifier() -> Result<(), Error> {
    let proxy = calls("proxy_on_tick", CALL).load()?;
    proxy.tick()?;
    proxy.tick()?;
    proxy.respond_to_call(4, 200)?;
    proxy.tick()?;
    let ids: Vec<_> = proxy.http_calls().iter().map(|call| call.id).collect();
    assert_eq!(ids, [8, 12]);
    Ok(())
}

#[test]
fn calls_that_cannot_be_sent_are_rejected() -> Result<(), Error> {
    for (call, status) in [
        ("@\"missing\" #100 #61 #0 #0 #0 #0 #0 #0", "2"),
        ("#0 #0 #100 #61 #0 #0 #0 #0 #0 #0", "2"),
        ("@\"upstream\" #0 #0 #0 #0 #0 #0 #0 #0", "2"),
        ("@\"upstream\" #100 #60 #0 #0 #0 #0 #0 #0", "2"),
        ("@\"upstream\" #100 #61 #0 #0 #100 #5 #0 #0", "0"),
        ("@\"upstream\" #100 #61 #0 #0 #0 #0 #-1 #0", "2"),
        ("@\"upstream\" #100 #61 #0 #0 #0 #0 #2147483647 #0", "0"),
        ("@\"upstream\" #100 #61 #0 #0 #0 #0 #0 #0x7fffffff", "6"),
        ("@\"upstream\" #100 #61 #0 #0 #0 #0 #0 #0", "0"),
    ] {
        let wat = calls(
            "proxy_on_tick",
            &format!("(call $headers) (call $number (call $proxy_http_call {call}))"),
        );
        let proxy = wat.load_with(Options::new().missing_cluster("missing"))?;
        proxy.tick()?;
        assert_eq!(said(&proxy), [status], "{call}");
        assert_eq!(
            proxy.http_calls().len(),
            usize::from(status == "0"),
            "{call}"
        );
    }
    Ok(())
}

#[test]
fn each_of_the_required_headers_is_required() -> Result<(), Error> {
    for (name, other) in [
        (":method", ":mexxxx"),
        (":path", ":paxx"),
        (":authority", ":auxxxxxxx"),
    ] {
        let wat = Wat::new()
            .with(&CALL_HEADERS.replace(name, other))
            .on("proxy_on_tick", CALL);
        let proxy = wat.load()?;
        proxy.tick()?;
        assert_eq!(said(&proxy), ["2", "0"], "{name}");
    }
    Ok(())
}

#[test]
fn response_resumes_the_request_that_waits_for_it() -> Result<(), Error> {
    let wat = calls("proxy_on_request_headers", &format!("{CALL} (return #1)")).on(
        "proxy_on_http_call_response",
        r#"(drop (call $proxy_get_buffer_bytes #4 #0 #100 @out))
           (call $number (call $proxy_set_effective_context #2))
           (call $number (call $proxy_add_header_map_value #0 @"x-user" @result))
           (drop (call $proxy_get_header_map_value #6 @":status" @out)) (call $say @result)
           (call $number (call $proxy_continue_stream #0))"#,
    );
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert!(stream.is_request_paused());
    proxy.respond_to_call(4, Reply::new(200).body("someone"))?;
    let upstream = stream.upstream().expect("a request");
    assert_eq!(upstream.headers.values("x-user"), ["someone"]);
    assert_eq!(stream.respond(204)?.status(), 204);
    assert_eq!(said(&proxy), ["0", "4", "0", "0", "200", "0"]);
    Ok(())
}

#[test]
fn plugin_that_was_shut_down_gets_no_response() -> Result<(), Error> {
    let wat =
        calls("proxy_on_tick", CALL).on("proxy_on_http_call_response", "(call $say @\"heard\")");
    let proxy = wat.load()?;
    proxy.tick()?;
    proxy.shut_down()?;
    assert!(proxy.http_calls().is_empty());
    proxy.advance(Duration::from_secs(10))?;
    assert_eq!(said(&proxy), ["0", "4"]);
    Ok(())
}
