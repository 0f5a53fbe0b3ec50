//! `allow_on_headers_stop_iteration`: what a headers callback that pauses holds.

use proxy_wasm_test::{Error, Options, Proxy, Reply};

use crate::wat::{Wat, said};

const DIRECTIONS: [(&str, u32, u32); 2] = [("request", 0, 0), ("response", 2, 1)];

fn load(wat: &Wat, is_allowed: bool) -> Result<Proxy, Error> {
    wat.load_with(Options::new().allow_on_headers_stop_iteration(is_allowed))
}

/// Pauses in the headers callback, holds the body to its end, and then adds a header.
fn decides(direction: &str, map: u32, buffer: u32) -> Wat {
    Wat::new()
        .on(
            &format!("proxy_on_{direction}_headers"),
            "(call $say @\"headers\") (return #1)",
        )
        .on(
            &format!("proxy_on_{direction}_body"),
            &format!(
                "(if (i32.eqz (local.get $end_of_stream)) (then (return #1)))
                 (drop (call $proxy_get_buffer_bytes #{buffer} #0 #-1 @out)) (call $say @result)
                 (call $number (call $proxy_add_header_map_value #{map} @\"x-body\" @result))"
            ),
        )
}

#[test]
fn with_the_option_a_body_callback_can_change_the_headers() -> Result<(), Error> {
    for (direction, map, buffer) in DIRECTIONS {
        let proxy = load(&decides(direction, map, buffer), true)?;
        let stream = proxy.request("POST", "/").begin()?;
        if direction == "request" {
            stream.send_body("one ", false)?;
            assert!(stream.upstream().is_none());
            stream.send_body("two", true)?;
            let upstream = stream.upstream().expect("a request");
            assert_eq!(upstream.headers.values("x-body"), ["one two"]);
            assert_eq!(upstream.body, b"one two");
        } else {
            let response = stream.respond(Reply::new(200).body("one ").body("two"))?;
            assert_eq!(response.header("x-body"), ["one two"]);
            assert_eq!(response.body(), b"one two");
        }
        assert_eq!(said(&proxy), ["headers", "one two", "0"], "{direction}");
    }
    Ok(())
}

#[test]
fn without_the_option_the_body_is_held_as_well() -> Result<(), Error> {
    for (direction, map, buffer) in DIRECTIONS {
        let proxy = decides(direction, map, buffer).load()?;
        let stream = proxy.request("POST", "/").body("body").send()?;
        let response = stream.respond(Reply::new(200).body("body"));
        assert!(matches!(response, Err(Error::Paused(_))), "{direction}");
        assert_eq!(said(&proxy), ["headers"], "{direction}");
    }
    Ok(())
}

#[test]
fn without_a_body_the_headers_are_held() -> Result<(), Error> {
    let proxy = load(&decides("request", 0, 0), true)?;
    let stream = proxy.request("GET", "/").send()?;
    assert!(stream.is_request_paused());
    assert!(matches!(stream.respond(200), Err(Error::Paused("request"))));
    Ok(())
}

#[test]
fn first_callback_that_continues_forwards_the_headers() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_request_headers", "(return #1)").on(
        "proxy_on_request_body",
        "(drop (call $proxy_add_header_map_value #0 @\"x\" @\"1\"))",
    );
    let proxy = load(&wat, true)?;
    let stream = proxy.request("POST", "/").begin()?;
    assert!(stream.upstream().is_none());
    stream.send_body("one", false)?;
    let upstream = stream.upstream().expect("a request");
    assert_eq!(upstream.headers.values("x"), ["1"]);
    assert_eq!(upstream.body, b"one");
    stream.send_body("two", true)?;
    let upstream = stream.upstream().expect("a request");
    assert_eq!(upstream.headers.values("x"), ["1"]);
    assert_eq!(upstream.body, b"onetwo");
    Ok(())
}

#[test]
fn a_message_with_trailers_ends_in_their_callback() -> Result<(), Error> {
    for (direction, map, buffer) in DIRECTIONS {
        let wat = decides(direction, map, buffer).on(
            &format!("proxy_on_{direction}_trailers"),
            &format!("(drop (call $proxy_add_header_map_value #{map} @\"x-end\" @\"1\"))"),
        );
        let proxy = load(&wat, true)?;
        let request = proxy.request("POST", "/").body("a").trailer("b", "c");
        let stream = request.send()?;
        let upstream = stream.upstream().expect("a request");
        let response = stream.respond(Reply::new(200).body("a").trailer("b", "c"))?;
        let (headers, body) = match direction {
            "request" => (&upstream.headers, upstream.body.as_slice()),
            _ => (response.headers(), response.body()),
        };
        assert_eq!(headers.values("x-end"), ["1"]);
        assert_eq!(body, b"a");
        assert_eq!(said(&proxy), ["headers"]);
    }
    Ok(())
}

#[test]
fn other_actions_hold_the_body_as_well() -> Result<(), Error> {
    for action in [3, 4, 5] {
        let wat = Wat::new()
            .on("proxy_on_request_headers", &format!("(return #{action})"))
            .on("proxy_on_request_body", "(call $say @\"body\")");
        let proxy = load(&wat, true)?;
        let stream = proxy.request("POST", "/").body("body").send()?;
        assert!(stream.is_request_paused(), "{action}");
        assert!(said(&proxy).is_empty(), "{action}");
    }
    Ok(())
}

#[test]
fn a_body_callback_can_respond_instead() -> Result<(), Error> {
    let send = "(drop (call $proxy_send_local_response #403 #0 #0 #0 #0 #0 #0 #-1))";
    for direction in ["request", "response"] {
        let wat = Wat::new()
            .on(&format!("proxy_on_{direction}_headers"), "(return #1)")
            .on(&format!("proxy_on_{direction}_body"), send);
        let proxy = load(&wat, true)?;
        let stream = proxy.request("POST", "/").body("body").send()?;
        assert_eq!(stream.upstream().is_none(), direction == "request");
        let response = stream.respond(Reply::new(200).body("body"))?;
        assert_eq!(response.status(), 403, "{direction}");
    }
    Ok(())
}
