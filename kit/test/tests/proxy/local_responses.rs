//! Responses of the extension's own (ABI: `proxy_send_local_response`).

use proxy_wasm_test::{Error, Headers};

use crate::wat::{Wat, answers, said, whole_request};

const SEND: &str =
    r#"(call $number (call $proxy_send_local_response #418 @"details" @"teapot" #0 #0 #-1))"#;

fn sends(callback: &str) -> Wat {
    Wat::new()
        .on(callback, SEND)
        .on("proxy_on_log", "(call $say @\"log\")")
}

#[test]
fn a_request_can_be_answered_in_each_of_its_callbacks() -> Result<(), Error> {
    for part in ["headers", "body", "trailers"] {
        let wat = sends(&format!("proxy_on_request_{part}"))
            .on(
                "proxy_on_response_headers",
                "(drop (call $proxy_add_header_map_value #2 @\"seen\" @\"yes\"))",
            )
            .on(
                "proxy_on_response_body",
                "(drop (call $proxy_set_buffer_bytes #1 #-1 #0 @\"!\"))",
            );
        let proxy = wat.load()?;
        let response = whole_request(&proxy)?;
        assert!(response.is_local());
        assert_eq!(
            (response.status(), response.body()),
            (418, b"teapot!".as_slice())
        );
        assert_eq!(response.header("seen"), ["yes"], "{part}");
        assert_eq!(said(&proxy), ["0", "log"], "{part}");
    }
    Ok(())
}

#[test]
fn what_a_request_still_sends_is_not_shown_after_a_local_response() -> Result<(), Error> {
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
    assert!(matches!(whole_request(&proxy), Err(Error::Closed)));
    assert_eq!(said(&proxy), ["0", "log"]);
    Ok(())
}

#[test]
fn after_the_end_it_is_too_late() -> Result<(), Error> {
    for callback in ["proxy_on_log", "proxy_on_done", "proxy_on_delete"] {
        let proxy = Wat::new().on(callback, SEND).load()?;
        assert_eq!(whole_request(&proxy)?.status(), 200, "{callback}");
        assert_eq!(said(&proxy), ["0"], "{callback}");
    }
    Ok(())
}

#[test]
fn it_can_be_sent_from_elsewhere_while_the_request_is_held() -> Result<(), Error> {
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
fn a_local_response_carries_the_headers_that_envoy_gives_it() -> Result<(), Error> {
    // One pair, ("content-type", "a/b") and ("x", "1"), at the address 100.
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
fn outside_a_stream_it_does_nothing() -> Result<(), Error> {
    let send = SEND
        .trim_start_matches("(call $number (call ")
        .trim_end_matches("))");
    assert_eq!(answers("proxy_on_configure", &[send])?, ["0"]);
    Ok(())
}
