//! Local responses (ABI: `proxy_send_local_response`).

use proxy_wasm_test::{Error, Headers};

use crate::wat::{Wat, results, said, whole_request};

const SEND: &str =
    r#"(call $number (call $proxy_send_local_response #418 @"details" @"teapot" #0 #0 #-1))"#;

fn sends(callback: &str) -> Wat {
    Wat::new()
        .on(callback, SEND)
        .on("proxy_on_log", "(call $say @\"log\")")
}

#[test]
fn local_response_can_be_sent_in_each_request_callback() -> Result<(), Error> {
    for part in ["headers", "body", "trailers"] {
        let wat = sends(&format!("proxy_on_request_{part}"))
            .on(
                "proxy_on_response_headers",
                "(drop (call $proxy_remove_header_map_value #2 @\"content-length\"))
                 (drop (call $proxy_add_header_map_value #2 @\"seen\" @\"yes\"))",
            )
            .on(
                "proxy_on_response_body",
                "(call $number (local.get $end_of_stream))
                 (drop (call $proxy_set_buffer_bytes #1 #-1 #0 @\"!\"))",
            );
        let proxy = wat.load()?;
        let response = whole_request(&proxy)?;
        assert!(response.is_local());
        assert_eq!(
            (response.status(), response.body()),
            (418, b"teapot!".as_slice())
        );
        assert_eq!(response.header("seen"), ["yes"], "{part}");
        assert_eq!(said(&proxy), ["0", "1", "log"], "{part}");
    }
    Ok(())
}

#[test]
fn local_response_can_be_sent_when_the_context_is_created() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_context_create",
            &format!("(if (local.get $parent_context_id) (then {SEND}))"),
        )
        .on("proxy_on_request_headers", "(call $say @\"request\")")
        .on("proxy_on_response_headers", "(call $say @\"response\")");
    let proxy = wat.load()?;
    assert_eq!(proxy.request("GET", "/").respond(200)?.status(), 418);
    assert_eq!(said(&proxy), ["0", "request", "response"]);
    Ok(())
}

#[test]
fn extension_does_not_see_the_rest_of_a_request_after_a_local_response() -> Result<(), Error> {
    let wat =
        sends("proxy_on_request_headers").on("proxy_on_request_body", "(call $say @\"body\")");
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").begin()?;
    stream.send_body("late", true)?;
    assert!(stream.has_local_response());
    assert!(stream.upstream().is_none());
    assert_eq!(stream.finish()?.status(), 418);
    assert_eq!(said(&proxy), ["0", "log"]);
    Ok(())
}

#[test]
fn a_response_whose_headers_have_not_been_sent_is_replaced() -> Result<(), Error> {
    let wat =
        sends("proxy_on_response_headers").on("proxy_on_response_body", "(call $say @\"body\")");
    let proxy = wat.load()?;
    let response = whole_request(&proxy)?;
    assert_eq!(
        (response.status(), response.body()),
        (418, b"teapot".as_slice())
    );
    assert!(response.trailers().is_empty());
    assert_eq!(said(&proxy), ["0", "log"]);
    Ok(())
}

#[test]
fn a_response_that_has_begun_is_cut_off() -> Result<(), Error> {
    let proxy = sends("proxy_on_response_body").load()?;
    assert!(matches!(whole_request(&proxy), Err(Error::StreamReset)));
    assert_eq!(said(&proxy), ["0", "log"]);
    Ok(())
}

/// Sends a response with this status, body and gRPC status.
fn send(status: u32, body: &str, grpc_status: i32) -> String {
    let body = if body.is_empty() {
        "#0 #0".to_owned()
    } else {
        format!("@\"{body}\"")
    };
    format!("(drop (call $proxy_send_local_response #{status} #0 #0 {body} #0 #0 #{grpc_status}))")
}

#[test]
fn grpc_request_gets_a_grpc_status() -> Result<(), Error> {
    let respond = |content_type, host_call: &str| {
        let wat = Wat::new().on("proxy_on_request_headers", host_call).on(
            "proxy_on_response_headers",
            "(call $number (local.get $end_of_stream))",
        );
        let proxy = wat.load()?;
        let request = proxy.request("POST", "/service/method");
        let response = request
            .header("content-type", content_type)
            .body("message")
            .respond(200)?;
        Ok::<_, Error>((response, said(&proxy)))
    };
    for content_type in ["application/grpc", "application/grpc+proto"] {
        let (response, said) = respond(content_type, &send(403, "den%ied", -1))?;
        let expected = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "7"),
            ("grpc-message", "den%25ied"),
        ];
        assert_eq!(response.headers(), &Headers::from_iter(expected));
        assert!(response.body().is_empty());
        assert_eq!(said, ["1"], "{content_type}");
    }
    let (response, _) = respond("application/grpc", &send(403, "", 16))?;
    assert_eq!(response.header("grpc-status"), ["16"]);
    assert!(response.header("grpc-message").is_empty());
    for (status, other, expected) in [(200, 0, "0"), (200, 17, "2"), (503, 99, "14")] {
        let (response, _) = respond("application/grpc", &send(status, "", other))?;
        assert_eq!(response.header("grpc-status"), [expected]);
    }
    let (response, _) = respond("application/grpc-web", &send(403, "denied", 7))?;
    assert_eq!(response.status(), 403);
    assert!(response.header("grpc-status").is_empty());
    Ok(())
}

#[test]
fn head_request_gets_no_body() -> Result<(), Error> {
    let wat = sends("proxy_on_request_headers").on(
        "proxy_on_response_headers",
        "(call $number (local.get $end_of_stream))",
    );
    let proxy = wat.load()?;
    let response = proxy.request("HEAD", "/").respond(200)?;
    assert_eq!(response.header("content-length"), ["6"]);
    assert!(response.body().is_empty());
    assert_eq!(said(&proxy), ["0", "1", "log"]);
    Ok(())
}

#[test]
fn only_the_lower_16_bits_of_a_status_are_used() -> Result<(), Error> {
    for (status, expected) in [(600, 600), (999, 999), (65_736, 200)] {
        let wat = Wat::new().on("proxy_on_request_headers", &send(status, "", 0));
        let response = wat.load()?.request("GET", "/").respond(200)?;
        assert_eq!(response.status(), expected, "{status}");
    }
    Ok(())
}

#[test]
fn first_of_two_local_responses_in_a_request_callback_is_sent() -> Result<(), Error> {
    let two = send(403, "first", 0) + &send(404, "second", 0);
    let wat = Wat::new().on("proxy_on_request_headers", &two);
    let response = wat.load()?.request("GET", "/").respond(200)?;
    assert_eq!(
        (response.status(), response.body()),
        (403, b"first".as_slice())
    );
    Ok(())
}

/// Outside the callbacks of the stream, the first response passes through the extension at once, and
/// the second one replaces it.
#[test]
fn second_of_two_local_responses_in_another_callback_replaces_the_first() -> Result<(), Error> {
    let two = send(403, "first", 0) + &send(404, "second", 0);
    let wat = Wat::new()
        .on("proxy_on_request_headers", "(return #1)")
        .on("proxy_on_response_headers", "(call $say @\"response\")")
        .on(
            "proxy_on_tick",
            &format!("(drop (call $proxy_set_effective_context #2)) {two}"),
        );
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    proxy.tick()?;
    assert_eq!(stream.finish()?.status(), 404);
    assert_eq!(said(&proxy), ["response"]);
    Ok(())
}

#[test]
fn local_response_can_be_replaced_by_another() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_request_headers", &send(403, "first", 0))
        .on("proxy_on_response_headers", &send(404, "second", 0));
    let response = wat.load()?.request("GET", "/").respond(200)?;
    assert_eq!(
        (response.status(), response.body()),
        (404, b"second".as_slice())
    );
    Ok(())
}

#[test]
fn local_response_can_be_held() -> Result<(), Error> {
    let wat = sends("proxy_on_request_headers")
        .on("proxy_on_response_headers", "(return #1)")
        .on(
            "proxy_on_tick",
            "(drop (call $proxy_set_effective_context #2)) (drop (call $proxy_continue_stream #1))",
        );
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert!(stream.is_response_paused());
    assert!(matches!(
        stream.respond(200),
        Err(Error::Paused("response"))
    ));
    proxy.tick()?;
    assert_eq!(stream.finish()?.body(), b"teapot");
    Ok(())
}

#[test]
fn the_action_of_a_callback_that_responds_does_not_count() -> Result<(), Error> {
    for action in [0, 1, 2] {
        let body = format!("{} (return #{action})", send(403, "", 0));
        let wat = Wat::new().on("proxy_on_request_headers", &body);
        let proxy = wat.load()?;
        let stream = proxy.request("GET", "/").send()?;
        assert!(stream.upstream().is_none(), "{action}");
        assert_eq!(stream.finish()?.status(), 403, "{action}");
    }
    Ok(())
}

#[test]
fn resuming_a_request_after_a_local_response_changes_nothing() -> Result<(), Error> {
    let resume = "(drop (call $proxy_continue_stream #0))";
    let wat = Wat::new().on("proxy_on_request_headers", &(send(403, "", 0) + resume));
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert!(stream.upstream().is_none());
    assert_eq!(stream.finish()?.status(), 403);
    Ok(())
}

#[test]
fn local_response_can_be_sent_in_another_callback_while_the_request_is_held() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_request_headers", "(return #1)").on(
        "proxy_on_tick",
        &format!("(drop (call $proxy_set_effective_context #2)) {SEND}"),
    );
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    proxy.tick()?;
    assert_eq!(stream.finish()?.status(), 418);
    Ok(())
}

#[test]
fn local_response_has_the_headers_that_envoy_adds() -> Result<(), Error> {
    // Two pairs, ("content-type", "a/b") and ("x", "1"), at the address 100.
    let headers = r#"(i32.store #100 #2) (i32.store #104 #12) (i32.store #108 #3)
        (i32.store #112 #1) (i32.store #116 #1)
        (memory.copy #120 (global.get $names) #21)"#;
    let send = |body: &str| {
        Wat::new()
            .with("(global $names (mut i32) (i32.const 0))")
            .with("(func $point (param i32 i32) (global.set $names (local.get 0)))")
            .on(
                "proxy_on_request_headers",
                &format!(
                    r#"(call $point @"content-type\0a/b\0x\01\0") {headers}
                  (drop (call $proxy_send_local_response #200 @"" @"{body}" #100 #41 #0))"#
                ),
            )
    };
    let response = whole_request(&send("body").load()?)?;
    let expected = [
        (":status", "200"),
        ("content-type", "a/b"),
        ("x", "1"),
        ("content-length", "4"),
    ];
    assert_eq!(response.headers(), &Headers::from_iter(expected));
    let response = whole_request(&send("").load()?)?;
    let expected = [(":status", "200"), ("x", "1")];
    assert_eq!(response.headers(), &Headers::from_iter(expected));

    let plain = Wat::new().on("proxy_on_request_headers", SEND).load()?;
    let expected = [
        (":status", "418"),
        ("content-length", "6"),
        ("content-type", "text/plain"),
    ];
    assert_eq!(
        whole_request(&plain)?.headers(),
        &Headers::from_iter(expected)
    );
    Ok(())
}

#[test]
fn local_response_outside_a_stream_does_nothing() -> Result<(), Error> {
    let send = SEND
        .trim_start_matches("(call $number (call ")
        .trim_end_matches("))");
    assert_eq!(results("proxy_on_configure", &[send])?, ["0"]);
    Ok(())
}
