//! Maps of headers (ABI: "HTTP fields", "Serialization").

use proxy_wasm_test::{Error, Headers, Reply};

use crate::wat::{Wat, answers, said, whole_request};

/// The callbacks in which the maps 0 to 3 can be changed.
const HEADERS: [(&str, u32); 2] = [
    ("proxy_on_request_headers", 0),
    ("proxy_on_response_headers", 2),
];

#[test]
fn headers_of_both_directions_can_be_read_and_changed() -> Result<(), Error> {
    for (callback, map) in HEADERS {
        let wat = Wat::new().on(
            callback,
            &format!(
                r#"(call $number (local.get $num_headers))
                   (drop (call $proxy_get_header_map_value #{map} @"NAME" @out)) (call $say @result)
                   (call $number (call $proxy_get_header_map_value #{map} @"none" @out))
                   (drop (call $proxy_add_header_map_value #{map} @"Name" @"added"))
                   (drop (call $proxy_add_header_map_value #{map} @"other" @""))
                   (drop (call $proxy_replace_header_map_value #{map} @"new" @"replaced"))
                   (drop (call $proxy_get_header_map_value #{map} @"other" @out)) (call $say @result)
                   (call $number (call $proxy_remove_header_map_value #{map} @"NEVER"))"#
            ),
        );
        let proxy = wat.load()?;
        let stream = proxy.request("GET", "/").header("name", "first").send()?;
        let upstream = stream.upstream().expect("a request").headers;
        let response = stream.respond(
            Reply::new(200)
                .header("name", "first")
                .header("b", "")
                .header("c", "")
                .header("d", ""),
        )?;
        assert_eq!(said(&proxy), ["5", "first", "1", "", "0"], "{callback}");
        let changed = if map == 0 {
            &upstream
        } else {
            response.headers()
        };
        assert_eq!(changed.values("name"), ["first", "added"], "{callback}");
        assert_eq!(changed.values("new"), ["replaced"], "{callback}");
        let other = if map == 0 {
            response.headers()
        } else {
            &upstream
        };
        assert_eq!(other.values("name"), ["first"], "{callback}");
    }
    Ok(())
}

#[test]
fn replacing_leaves_one_value_and_removing_none() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_response_headers",
        r#"(drop (call $proxy_replace_header_map_value #2 @"twice" @"once"))
           (drop (call $proxy_remove_header_map_value #2 @"Gone"))"#,
    );
    let reply = ["twice", "gone", "twice", "gone", "stays"]
        .into_iter()
        .fold(Reply::new(200), |reply, name| reply.header(name, "v"));
    let response = wat.load()?.request("GET", "/").respond(reply)?;
    let expected = [(":status", "200"), ("twice", "once"), ("stays", "v")];
    assert_eq!(response.headers(), &Headers::from_iter(expected));
    Ok(())
}

#[test]
fn all_pairs_come_encoded_as_the_abi_says() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_response_headers",
        "(drop (call $proxy_get_header_map_size #2 #8)) (call $number (i32.load #8))
         (call $number (call $proxy_get_header_map_pairs #2 @out)) (call $say @result)",
    );
    let proxy = wat.load()?;
    proxy
        .request("GET", "/")
        .respond(Reply::new(200).header("a", "22"))?;
    let pairs = "\u{2}\0\0\0\u{7}\0\0\0\u{3}\0\0\0\u{1}\0\0\0\u{2}\0\0\0:status\x00200\0a\x0022\0";
    assert_eq!(said(&proxy), [&pairs.len().to_string(), "0", pairs]);
    Ok(())
}

/// Calls `proxy_set_header_map_pairs` with these bytes.
fn set_pairs(map: u32, bytes: &[u8]) -> Wat {
    let stores: String = bytes
        .iter()
        .enumerate()
        .map(|(index, byte)| format!("(i32.store8 #{} #{byte})", 100 + index))
        .collect();
    let call = format!(
        "{stores} (call $number (call $proxy_set_header_map_pairs #{map} #100 #{}))",
        bytes.len()
    );
    Wat::new().on(
        if map == 0 {
            "proxy_on_request_headers"
        } else {
            "proxy_on_response_headers"
        },
        &call,
    )
}

#[test]
fn all_pairs_can_be_set() -> Result<(), Error> {
    let bytes = b"\x02\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0a\x001\0B\x0022\0";
    let expected = Headers::from_iter([("a", "1"), ("b", "22")]);
    let proxy = set_pairs(0, bytes).load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert_eq!(stream.upstream().expect("a request").headers, expected);
    let proxy = set_pairs(2, bytes).load()?;
    assert_eq!(proxy.request("GET", "/").respond(200)?.headers(), &expected);
    for empty in [b"".as_slice(), b"\0", b"\0\0\0\0"] {
        let proxy = set_pairs(2, empty).load()?;
        assert!(proxy.request("GET", "/").respond(200)?.headers().is_empty());
        assert_eq!(said(&proxy), ["0"]);
    }
    Ok(())
}

#[test]
fn malformed_pairs_change_nothing() -> Result<(), Error> {
    for malformed in [
        b"\x01".as_slice(),
        b"\x01\0\0\0",
        b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\x001",
        b"\x01\0\0\0\x01\0\0\0\x01\0\0\0ab11",
        b"\xff\xff\xff\xff\x01\0\0\0\x01\0\0\0a\x001\0",
        b"\x01\0\0\0\xff\xff\xff\xff\x01\0\0\0a\x001\0",
    ] {
        let proxy = set_pairs(2, malformed).load()?;
        let response = proxy.request("GET", "/").respond(200)?;
        assert_eq!(said(&proxy), ["2"], "{malformed:?}");
        assert_eq!(response.status(), 200);
    }
    Ok(())
}

#[test]
fn maps_are_at_hand_in_their_own_callbacks_alone() -> Result<(), Error> {
    let read = |map| format!("$proxy_get_header_map_value #{map} @\"name\" @out");
    let change = |map| format!("$proxy_add_header_map_value #{map} @\"new\" @\"value\"");
    let callbacks = [
        ("proxy_on_configure", None, None),
        ("proxy_on_request_headers", Some(0), None),
        ("proxy_on_request_body", None, None),
        ("proxy_on_request_trailers", Some(1), None),
        ("proxy_on_response_headers", Some(2), None),
        ("proxy_on_response_body", None, None),
        ("proxy_on_response_trailers", Some(3), None),
        ("proxy_on_done", None, None),
        ("proxy_on_delete", None, None),
        ("proxy_on_log", None, Some(0..4)),
    ];
    for (callback, own, readable) in callbacks {
        for map in 0..8 {
            let can_be_read =
                own == Some(map) || readable.clone().is_some_and(|r| r.contains(&map));
            let answers = answers(callback, &[&read(map), &change(map)])?;
            // Bodies are shown twice, and each answer is logged.
            let pair = &answers[answers.len() - 2..];
            let found = if map % 2 == 0 { "0" } else { "1" };
            let expected = [
                if can_be_read { found } else { "2" },
                if own == Some(map) { "0" } else { "2" },
            ];
            assert_eq!(pair, expected, "map {map} in {callback}");
        }
    }
    Ok(())
}

#[test]
fn headers_can_be_changed_while_they_are_held() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_request_headers", "(return #1)").on(
        "proxy_on_tick",
        r#"(drop (call $proxy_set_effective_context #2))
               (call $number (call $proxy_add_header_map_value #0 @"new" @"value"))
               (drop (call $proxy_continue_stream #0))"#,
    );
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert!(stream.upstream().is_none());
    proxy.tick()?;
    let upstream = stream.upstream().expect("a request");
    assert_eq!(upstream.headers.values("new"), ["value"]);
    proxy.tick()?;
    assert_eq!(said(&proxy), ["0", "2"]);
    Ok(())
}

#[test]
fn a_log_sees_headers_that_never_passed() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_request_headers", "(return #1)").on(
        "proxy_on_log",
        r#"(call $number (call $proxy_get_header_map_value #0 @":path" @out)) (call $say @result)
               (call $number (call $proxy_get_header_map_value #2 @":status" @out))"#,
    );
    let proxy = wat.load()?;
    proxy.request("GET", "/held").send()?.reset()?;
    assert_eq!(said(&proxy), ["0", "/held", "1"]);
    Ok(())
}

#[test]
fn a_log_sees_what_the_extension_made_of_the_headers() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_response_headers",
            r#"(drop (call $proxy_replace_header_map_value #2 @"name" @"changed"))"#,
        )
        .on(
            "proxy_on_log",
            r#"(drop (call $proxy_get_header_map_value #2 @"name" @out)) (call $say @result)"#,
        );
    let proxy = wat.load()?;
    whole_request(&proxy)?;
    assert_eq!(said(&proxy), ["changed"]);
    Ok(())
}
