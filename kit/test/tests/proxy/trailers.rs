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

#[test]
fn trailers_can_be_added_where_a_message_ends_without_them() -> Result<(), Error> {
    let add = |map| {
        format!(
            r#"(call $number (call $proxy_add_header_map_value #{map} @"new" @"value"))
               (call $number (call $proxy_get_header_map_value #{map} @"new" @out))"#
        )
    };
    let wat = Wat::new()
        .on("proxy_on_request_body", &add(1))
        .on("proxy_on_response_body", &add(3));
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").body("a").body("b").send()?;
    let upstream = stream.upstream().expect("a request");
    let response = stream.respond(Reply::new(200).body("a").body("b"))?;
    assert_eq!(upstream.trailers.values("new"), ["value"]);
    assert_eq!(response.trailers().values("new"), ["value"]);
    assert!(upstream.is_complete);
    assert_eq!(said(&proxy), ["2", "2", "0", "0", "2", "2", "0", "0"]);
    Ok(())
}

#[test]
fn trailers_that_will_come_cannot_be_added_to_before() -> Result<(), Error> {
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
