//! Pausing and resuming (ABI: "Common stream operations", the callbacks' actions).

use proxy_wasm_test::{Error, Reply};

use crate::wat::{Wat, said, whole_request};

const PARTS: [&str; 3] = ["headers", "body", "trailers"];

/// Resumes the request, or the response, of the stream 2.
const RESUME: [&str; 2] = [
    "(drop (call $proxy_set_effective_context #2)) (call $number (call $proxy_continue_stream #0))",
    "(drop (call $proxy_set_effective_context #2)) (call $number (call $proxy_continue_stream #1))",
];

#[test]
fn each_part_of_a_request_can_be_held_and_resumed() -> Result<(), Error> {
    for part in PARTS {
        let wat = Wat::new()
            .on(&format!("proxy_on_request_{part}"), "(return #1)")
            .on("proxy_on_tick", RESUME[0]);
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
            .on("proxy_on_tick", RESUME[1]);
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
        assert_eq!(said(&proxy), ["0"]);
    }
    Ok(())
}

#[test]
fn held_request_gets_no_response() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_request_headers", "(return #1)");
    let proxy = wat.load()?;
    let response = proxy.request("GET", "/").respond(200);
    assert!(matches!(response, Err(Error::Paused("request"))));
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
        .on("proxy_on_tick", RESUME[0]);
    let proxy = wat.load()?;
    let request = proxy.request("POST", "/").body("one").body("three");
    let stream = request.trailer("a", "b").send()?;
    assert!(proxy.log().is_empty());
    proxy.tick()?;
    assert_eq!(said(&proxy), ["0", "body", "8", "0", "trailers"]);
    assert!(stream.upstream().expect("a request").is_complete);
    Ok(())
}

#[test]
fn headers_callbacks_pause_with_any_action_but_0_and_2() -> Result<(), Error> {
    for (action, pauses) in [
        (0, false),
        (1, true),
        (2, false),
        (3, true),
        (4, true),
        (5, true),
        (-1, true),
    ] {
        for direction in ["request", "response"] {
            let wat = Wat::new()
                .on(
                    &format!("proxy_on_{direction}_headers"),
                    &format!("(return #{action})"),
                )
                .on(
                    &format!("proxy_on_{direction}_body"),
                    "(call $say @\"body\")",
                );
            let proxy = wat.load()?;
            let stream = proxy.request("POST", "/").body("").send()?;
            let response = stream.respond(Reply::new(200).body(""));
            assert_eq!(response.is_err(), pauses, "{action} in {direction}");
            assert_eq!(said(&proxy).is_empty(), pauses, "{action} in {direction}");
        }
    }
    Ok(())
}

#[test]
fn resuming_what_is_not_held_changes_nothing() -> Result<(), Error> {
    let resume = "(drop (call $proxy_continue_stream #0))";
    let wat = [
        "proxy_on_response_headers",
        "proxy_on_response_body",
        "proxy_on_log",
        "proxy_on_done",
        "proxy_on_delete",
    ]
    .into_iter()
    .fold(Wat::new(), |wat, callback| wat.on(callback, resume))
    .on(
        "proxy_on_request_body",
        "(return (i32.eqz (local.get $end_of_stream)))",
    );
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").body("body").send()?;
    let response = stream.respond(Reply::new(200).body("body"))?;
    assert_eq!(response.body(), b"body");
    Ok(())
}

#[test]
fn request_cannot_be_read_after_it_is_resumed() -> Result<(), Error> {
    let read = "(call $number (call $proxy_get_header_map_value #0 @\":path\" @out))
        (call $number (call $proxy_get_header_map_value #2 @\":status\" @out))";
    let wat = Wat::new().on("proxy_on_request_headers", "(return #1)").on(
        "proxy_on_tick",
        &format!(
            "(drop (call $proxy_set_effective_context #2)) {read} {} {read}",
            RESUME[0]
        ),
    );
    let proxy = wat.load()?;
    let _stream = proxy.request("GET", "/").send()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["0", "2", "0", "2", "2"]);
    Ok(())
}

#[test]
fn a_response_that_was_resumed_can_still_be_read() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_response_headers", "(return #1)")
        .on(
            "proxy_on_response_body",
            "(call $number (call $proxy_add_header_map_value #2 @\"late\" @\"1\"))",
        )
        .on(
            "proxy_on_log",
            "(call $number (call $proxy_get_header_map_value #2 @\"late\" @out))",
        )
        .on("proxy_on_tick", RESUME[1]);
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert!(stream.respond(Reply::new(200).body("")).is_err());
    proxy.tick()?;
    // The client has the headers already.
    assert!(stream.finish()?.header("late").is_empty());
    assert_eq!(said(&proxy), ["0", "0", "0"]);
    Ok(())
}

#[test]
fn body_can_be_resumed_before_its_end() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_request_body",
            "(call $number (local.get $body_size)) (return (i32.eqz (local.get $end_of_stream)))",
        )
        .on("proxy_on_tick", RESUME[0]);
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").body("one").begin()?;
    assert!(stream.upstream().expect("headers").body.is_empty());
    proxy.tick()?;
    assert_eq!(stream.upstream().expect("headers").body, b"one");
    stream.send_body("three", true)?;
    assert_eq!(stream.upstream().expect("headers").body, b"onethree");
    assert_eq!(said(&proxy), ["3", "0", "5"]);
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
            matches!(whole_request(&proxy), Err(Error::StreamReset)),
            "{callback}"
        );
        assert_eq!(said(&proxy), ["0", "deleted"], "{callback}");
    }
    Ok(())
}

#[test]
fn a_closed_stream_ends_at_once() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_request_headers", "(return #1)")
        .on(
            "proxy_on_tick",
            "(drop (call $proxy_set_effective_context #2)) (drop (call $proxy_close_stream #1))",
        )
        .on("proxy_on_log", "(call $say @\"log\")")
        .on("proxy_on_done", "(call $say @\"done\")")
        .on("proxy_on_delete", "(call $say @\"delete\")");
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").begin()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["log", "done", "delete"]);
    assert!(!stream.is_request_paused());
    stream.send_body("late", true)?;
    assert!(matches!(stream.respond(200), Err(Error::StreamReset)));
    assert!(matches!(stream.finish(), Err(Error::InvalidState(_))));
    Ok(())
}
