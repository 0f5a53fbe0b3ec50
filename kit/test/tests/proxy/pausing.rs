//! Pausing and resuming (ABI: "Common stream operations", the callbacks' actions).

use proxy_wasm_test::{Error, Reply};

use crate::wat::{Wat, said, whole_request};

const PARTS: [&str; 3] = ["headers", "body", "trailers"];

/// Resumes the stream 2 in both directions.
const RESUME: &str = "(drop (call $proxy_set_effective_context #2))
    (call $number (call $proxy_continue_stream #0)) (call $number (call $proxy_continue_stream #1))";

#[test]
fn each_part_of_a_request_can_be_held_and_resumed() -> Result<(), Error> {
    for part in PARTS {
        let wat = Wat::new()
            .on(&format!("proxy_on_request_{part}"), "(return #1)")
            .on("proxy_on_tick", RESUME);
        let proxy = wat.load()?;
        let mut request = proxy.request("POST", "/").body("body");
        if part != "body" {
            request = request.trailer("trailer", "value");
        }
        let stream = request.send()?;
        assert!(stream.is_request_paused(), "{part}");
        assert!(!stream.upstream().is_some_and(|message| message.is_complete));
        proxy.tick()?;
        assert!(!stream.is_request_paused(), "{part}");
        let upstream = stream.upstream().expect("a request");
        assert!(upstream.is_complete, "{part}");
        assert_eq!(upstream.body, b"body", "{part}");
        assert_eq!(upstream.trailers.is_empty(), part == "body");
        assert_eq!(stream.respond(200)?.status(), 200);
    }
    Ok(())
}

#[test]
fn each_part_of_a_response_can_be_held_and_resumed() -> Result<(), Error> {
    for part in PARTS {
        let wat = Wat::new()
            .on(&format!("proxy_on_response_{part}"), "(return #1)")
            .on("proxy_on_tick", RESUME);
        let proxy = wat.load()?;
        let stream = proxy.request("GET", "/").send()?;
        let mut reply = Reply::new(200).body("body");
        if part != "body" {
            reply = reply.trailer("trailer", "value");
        }
        assert!(
            matches!(stream.respond(reply), Err(Error::Paused("response"))),
            "{part}"
        );
        assert!(stream.is_response_paused(), "{part}");
        proxy.tick()?;
        let response = stream.finish()?;
        assert_eq!(response.body(), b"body", "{part}");
        assert_eq!(response.trailers().is_empty(), part == "body");
        assert_eq!(said(&proxy), ["0", "0"]);
    }
    Ok(())
}

#[test]
fn a_request_that_is_held_gets_no_answer() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_request_headers", "(return #1)");
    let proxy = wat.load()?;
    let answer = proxy.request("GET", "/").respond(200);
    assert!(matches!(answer, Err(Error::Paused("request"))));
    Ok(())
}

#[test]
fn held_headers_hold_all_that_follows() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_request_headers", "(return #1)")
        .on(
            "proxy_on_request_body",
            "(call $say @\"body\") (call $number (local.get $body_size)) (call $number (local.get $end_of_stream))",
        )
        .on("proxy_on_request_trailers", "(call $say @\"trailers\")")
        .on("proxy_on_tick", RESUME);
    let proxy = wat.load()?;
    let request = proxy.request("POST", "/").body("one").body("three");
    let stream = request.trailer("a", "b").send()?;
    assert!(proxy.log().is_empty());
    proxy.tick()?;
    assert_eq!(said(&proxy), ["0", "0", "body", "8", "0", "trailers"]);
    assert!(stream.upstream().expect("a request").is_complete);
    Ok(())
}

#[test]
fn resuming_what_is_not_held_changes_nothing() -> Result<(), Error> {
    let resume = "(drop (call $proxy_continue_stream #0)) (drop (call $proxy_continue_stream #1))";
    let wat = [
        "proxy_on_context_create",
        "proxy_on_request_headers",
        "proxy_on_request_body",
        "proxy_on_request_trailers",
        "proxy_on_response_headers",
        "proxy_on_response_body",
        "proxy_on_response_trailers",
        "proxy_on_log",
        "proxy_on_done",
        "proxy_on_delete",
    ]
    .into_iter()
    .fold(Wat::new(), |wat, callback| wat.on(callback, resume));
    let response = whole_request(&wat.load()?)?;
    assert_eq!(response.body(), b"response body");
    assert_eq!(response.trailers().values("trailer"), ["response"]);
    Ok(())
}

#[test]
fn a_body_that_was_resumed_early_streams_on() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_request_body",
            "(call $number (local.get $body_size)) (return (i32.eqz (local.get $end_of_stream)))",
        )
        .on("proxy_on_tick", RESUME);
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").body("one").begin()?;
    assert!(stream.upstream().expect("headers").body.is_empty());
    proxy.tick()?;
    assert_eq!(stream.upstream().expect("headers").body, b"one");
    stream.send_body("three", true)?;
    assert_eq!(stream.upstream().expect("headers").body, b"onethree");
    assert_eq!(said(&proxy), ["3", "0", "0", "5"]);
    Ok(())
}

#[test]
fn a_closed_stream_has_no_response() -> Result<(), Error> {
    for callback in [
        "proxy_on_request_headers",
        "proxy_on_response_headers",
        "proxy_on_response_body",
    ] {
        let wat = Wat::new()
            .on(callback, "(call $number (call $proxy_close_stream #0))")
            .on("proxy_on_response_trailers", "(call $say @\"trailers\")")
            .on("proxy_on_delete", "(call $say @\"deleted\")");
        let proxy = wat.load()?;
        assert!(
            matches!(whole_request(&proxy), Err(Error::Closed)),
            "{callback}"
        );
        assert_eq!(said(&proxy), ["0", "deleted"], "{callback}");
    }
    Ok(())
}
