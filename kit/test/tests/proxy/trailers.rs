//! Trailers (ABI: "HTTP fields").

use proxy_wasm_test::{Error, Headers, Reply};

use crate::wat::{Wat, said, whole_request};

#[test]
fn trailers_of_both_directions_can_be_read_and_changed() -> Result<(), Error> {
    let changes = |map| {
        format!(
            r#"(call $number (local.get $num_trailers))
               (drop (call $proxy_get_header_map_value #{map} @"trailer" @out)) (call $say @result)
               (drop (call $proxy_add_header_map_value #{map} @"new" @"value"))"#
        )
    };
    let wat = Wat::new()
        .on("proxy_on_request_trailers", &changes(1))
        .on("proxy_on_response_trailers", &changes(3));
    let proxy = wat.load()?;
    let response = whole_request(&proxy)?;
    assert_eq!(said(&proxy), ["1", "request", "1", "response"]);
    let expected = [("trailer", "response"), ("new", "value")];
    assert_eq!(response.trailers(), &Headers::from_iter(expected));
    Ok(())
}

/// Adds a trailer, and reads it.
fn add(map: u32) -> String {
    format!(
        r#"(call $number (call $proxy_add_header_map_value #{map} @"new" @"value"))
           (call $number (call $proxy_get_header_map_value #{map} @"new" @out))"#
    )
}

#[test]
fn trailers_can_be_added_where_a_message_ends_without_them() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_request_body", &add(1))
        .on("proxy_on_request_trailers", "(call $say @\"trailers\")")
        .on("proxy_on_response_body", &add(3))
        .on("proxy_on_response_trailers", "(call $say @\"trailers\")");
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").body("a").body("").send()?;
    let upstream = stream.upstream().expect("a request");
    let response = stream.respond(Reply::new(200).body("a").body(""))?;
    assert_eq!(upstream.trailers.values("new"), ["value"]);
    assert_eq!(response.trailers().values("new"), ["value"]);
    assert!(upstream.is_complete);
    assert_eq!(said(&proxy), ["2", "2", "0", "0", "2", "2", "0", "0"]);
    Ok(())
}

/// HTTP/1.1 has no trailers after a body whose length is declared.
#[test]
fn trailers_of_a_message_with_a_length_are_not_sent() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_request_body", &add(1))
        .on("proxy_on_response_body", &add(3));
    let proxy = wat.load()?;
    let request = proxy.request("POST", "/").header("content-length", "1");
    let stream = request.body("a").send()?;
    let upstream = stream.upstream().expect("a request");
    let reply = Reply::new(200).header("content-length", "1").body("a");
    let response = stream.respond(reply)?;
    assert!(upstream.trailers.is_empty() && upstream.is_complete);
    assert!(response.trailers().is_empty());
    Ok(())
}

#[test]
fn a_message_without_trailers_has_none_to_read() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_request_body",
        "(call $number (call $proxy_get_header_map_value #1 @\"new\" @out))
         (call $number (call $proxy_get_header_map_pairs #1 @out))
         (call $number (call $proxy_get_header_map_size #1 #8))
         (call $number (call $proxy_get_header_map_value #1 @\"new\" @out))",
    );
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").body("").send()?;
    // Reading the size creates an empty map, which can be read afterwards.
    assert_eq!(said(&proxy), ["2", "0", "0", "1"]);
    assert!(stream.upstream().expect("a request").trailers.is_empty());
    Ok(())
}

#[test]
fn trailers_can_be_added_while_the_end_of_a_body_is_held() -> Result<(), Error> {
    for (direction, map) in [("request", 1), ("response", 3)] {
        let wat = Wat::new()
            .on(&format!("proxy_on_{direction}_body"), "(return #1)")
            .on(
                "proxy_on_tick",
                &format!(
                    "(drop (call $proxy_set_effective_context #2)) {}
                     (drop (call $proxy_continue_stream #{}))",
                    add(map),
                    map / 2
                ),
            );
        let proxy = wat.load()?;
        let stream = proxy.request("POST", "/").body("a").send()?;
        if direction == "request" {
            proxy.tick()?;
            let upstream = stream.upstream().expect("a request");
            assert_eq!(upstream.body, b"a");
            assert_eq!(upstream.trailers.values("new"), ["value"]);
        } else {
            assert!(stream.respond(Reply::new(200).body("a")).is_err());
            proxy.tick()?;
            let response = stream.finish()?;
            assert_eq!(response.body(), b"a");
            assert_eq!(response.trailers().values("new"), ["value"]);
        }
        assert_eq!(said(&proxy), ["0", "0"], "{direction}");
    }
    Ok(())
}

#[test]
fn trailers_of_a_held_response_are_sent_with_it() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_response_body",
        &format!(
            "(if (i32.eqz (local.get $end_of_stream)) (then (return #1))) {}",
            add(3)
        ),
    );
    let proxy = wat.load()?;
    let response = proxy
        .request("GET", "/")
        .respond(Reply::new(200).body("a"))?;
    assert_eq!(response.body(), b"a");
    assert_eq!(response.trailers().values("new"), ["value"]);
    Ok(())
}

#[test]
fn field_cannot_be_added_to_trailers_before_they_arrive() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_response_body",
        r#"(call $number (call $proxy_add_header_map_value #3 @"new" @"value"))"#,
    );
    let proxy = wat.load()?;
    let response = whole_request(&proxy)?;
    assert_eq!(said(&proxy), ["2", "2"]);
    assert!(response.trailers().values("new").is_empty());
    Ok(())
}

#[test]
fn a_held_body_waits_for_its_trailers() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_response_body", "(return #1)").on(
        "proxy_on_response_trailers",
        "(drop (call $proxy_get_buffer_bytes #1 #0 #100 @out)) (call $say @result)
             (drop (call $proxy_set_buffer_bytes #1 #0 #-1 @\"changed\"))",
    );
    let proxy = wat.load()?;
    let response = whole_request(&proxy)?;
    assert_eq!(said(&proxy), ["response body"]);
    assert_eq!(response.body(), b"changed");
    assert_eq!(response.trailers().values("trailer"), ["response"]);
    Ok(())
}

#[test]
fn values_of_a_status_in_trailers_are_joined() -> Result<(), Error> {
    let add = |name| format!("(drop (call $proxy_add_header_map_value #3 @\"{name}\" @\"2\"))");
    let wat = Wat::new().on(
        "proxy_on_response_trailers",
        &(add("grpc-status") + &add("vary")),
    );
    let reply = Reply::new(200)
        .body("a")
        .trailer("grpc-status", "1")
        .trailer("vary", "1");
    let response = wat.load()?.request("GET", "/").respond(reply)?;
    assert_eq!(response.trailers().values("grpc-status"), ["1,2"]);
    assert_eq!(response.trailers().values("vary"), ["1", "2"]);
    Ok(())
}

#[test]
fn trailers_can_be_held_with_any_action_but_continue() -> Result<(), Error> {
    for action in [1, 2, 99] {
        let wat = Wat::new()
            .on("proxy_on_request_trailers", &format!("(return #{action})"))
            .on(
                "proxy_on_tick",
                "(drop (call $proxy_set_effective_context #2))
                 (call $number (call $proxy_add_header_map_value #1 @\"new\" @\"value\"))
                 (drop (call $proxy_continue_stream #0))
                 (call $number (call $proxy_add_header_map_value #1 @\"new\" @\"value\"))",
            );
        let proxy = wat.load()?;
        let request = proxy.request("POST", "/").body("a").trailer("a", "b");
        let stream = request.send()?;
        assert!(stream.is_request_paused(), "{action}");
        assert_eq!(stream.upstream().expect("a request").body, b"a");
        proxy.tick()?;
        let upstream = stream.upstream().expect("a request");
        assert!(upstream.is_complete, "{action}");
        assert_eq!(upstream.trailers.values("new"), ["value"], "{action}");
        assert_eq!(said(&proxy), ["0", "2"], "{action}");
    }
    Ok(())
}
