//! Maps of headers (ABI: "HTTP fields", "Serialization").

use proxy_wasm_test::{Error, Headers, Reply};

use crate::wat::{Wat, results, said, whole_request};

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
    // A replaced header moves to the end.
    let expected = [(":status", "200"), ("stays", "v"), ("twice", "once")];
    assert_eq!(response.headers(), &Headers::from_iter(expected));
    Ok(())
}

/// Changes headers, and logs them.
fn changes(map: u32, host_calls: &[String]) -> Wat {
    let callback = if map == 0 {
        "proxy_on_request_headers"
    } else {
        "proxy_on_response_headers"
    };
    let host_calls: String = host_calls
        .iter()
        .map(|host_call| format!("(drop (call {host_call}))"))
        .collect();
    Wat::new().on(callback, &host_calls)
}

fn add(map: u32, name: &str, value: &str) -> String {
    format!("$proxy_add_header_map_value #{map} @\"{name}\" @\"{value}\"")
}

fn replace(map: u32, name: &str, value: &str) -> String {
    format!("$proxy_replace_header_map_value #{map} @\"{name}\" @\"{value}\"")
}

fn remove(map: u32, name: &str) -> String {
    format!("$proxy_remove_header_map_value #{map} @\"{name}\"")
}

/// The request that reaches the upstream.
fn forwarded(wat: &Wat) -> Result<Headers, Error> {
    let proxy = wat.load()?;
    let request = proxy.request("GET", "/a").header("accept", "x");
    let stream = request.header("b", "1").header("accept", "y").send()?;
    Ok(stream.upstream().expect("a request").headers)
}

#[test]
fn pseudo_headers_come_first_in_the_order_of_http_1_1() -> Result<(), Error> {
    let expected = |path, fields: &[(&'static str, &'static str)]| {
        let pseudo = [
            (":authority", "localhost"),
            (":path", path),
            (":method", "GET"),
            (":scheme", "http"),
        ];
        Headers::from_iter(pseudo.iter().chain(fields).copied())
    };
    let fields = [("accept", "x,y"), ("b", "1")];
    assert_eq!(forwarded(&Wat::new())?, expected("/a", &fields));
    let replaced = forwarded(&changes(0, &[replace(0, ":path", "/c")]))?;
    let names: Vec<_> = replaced.bytes().map(|(name, _)| name.to_vec()).collect();
    let order = [":authority", ":method", ":scheme", ":path", "accept", "b"];
    assert_eq!(names, order.map(|name| name.as_bytes().to_vec()));
    assert_eq!(replaced.values(":path"), ["/c"]);
    Ok(())
}

#[test]
fn the_host_of_a_request_is_its_authority() -> Result<(), Error> {
    let proxy = Wat::new()
        .on(
            "proxy_on_request_headers",
            "(drop (call $proxy_get_header_map_value #0 @\"Host\" @out)) (call $say @result)",
        )
        .load()?;
    let stream = proxy.request("GET", "/").header("host", "a.test").send()?;
    let upstream = stream.upstream().expect("a request").headers;
    assert_eq!(said(&proxy), ["a.test"]);
    assert_eq!(upstream.values(":authority"), ["a.test"]);
    assert!(upstream.values("host").is_empty());
    let upstream = forwarded(&changes(0, &[replace(0, "host", "b.test")]))?;
    assert_eq!(upstream.values(":authority"), ["b.test"]);
    let upstream = forwarded(&changes(0, &[remove(0, "host")]))?;
    assert!(upstream.values(":authority").is_empty());
    // In a response it is a header like others.
    let proxy = changes(2, &[add(2, "host", "c.test")]).load()?;
    let response = proxy.request("GET", "/").respond(200)?;
    assert_eq!(response.header("host"), ["c.test"]);
    Ok(())
}

#[test]
fn values_of_names_that_envoy_knows_are_joined() -> Result<(), Error> {
    let twice = |map| {
        ["x-forwarded-host", "vary", "location", "cookie", "x-other"]
            .iter()
            .flat_map(|name| [add(map, name, "1"), add(map, name, ""), add(map, name, "2")])
            .collect::<Vec<_>>()
    };
    let headers = forwarded(&changes(0, &twice(0)))?;
    assert_eq!(headers.values("x-forwarded-host"), ["1,2"]);
    for separate in ["vary", "location", "cookie", "x-other"] {
        assert_eq!(headers.values(separate), ["1", "", "2"], "{separate}");
    }
    let proxy = changes(2, &twice(2)).load()?;
    let response = proxy.request("GET", "/").respond(200)?;
    for joined in ["vary", "location"] {
        assert_eq!(response.header(joined), ["1,2"], "{joined}");
    }
    for separate in ["x-forwarded-host", "cookie", "x-other"] {
        assert_eq!(response.header(separate), ["1", "", "2"], "{separate}");
    }
    Ok(())
}

#[test]
fn a_request_that_envoy_cannot_forward_gets_a_response_of_envoy() -> Result<(), Error> {
    for (host_call, status, body) in [
        (remove(0, ":path"), 404, ""),
        (replace(0, ":path", "a"), 404, ""),
        (remove(0, "x-forwarded-proto"), 404, ""),
        (
            remove(0, ":method"),
            503,
            "missing required header: :method",
        ),
        (add(0, "a b", "c"), 503, "invalid header name: a b"),
        (add(0, "a\\0", "c"), 503, "invalid header name: a\\u0000"),
        (add(0, "a", "b\\n"), 503, "invalid header value for: a"),
    ] {
        let wat = changes(0, std::slice::from_ref(&host_call))
            .on("proxy_on_request_body", "(call $say @\"body\")")
            .on(
                "proxy_on_response_headers",
                "(drop (call $proxy_add_header_map_value #2 @\"seen\" @\"yes\"))",
            );
        let proxy = wat.load()?;
        let request = proxy
            .request("POST", "/")
            .header("x-forwarded-proto", "http");
        let stream = request.body("body").send()?;
        assert!(stream.has_local_response(), "{host_call}");
        assert!(stream.upstream().is_none(), "{host_call}");
        let response = stream.finish()?;
        assert_eq!(response.status(), status, "{host_call}");
        assert_eq!(response.body(), body.as_bytes(), "{host_call}");
        assert_eq!(response.header("seen"), ["yes"], "{host_call}");
        assert!(said(&proxy).is_empty(), "{host_call}");
    }
    // The embedded proxy requires `x-forwarded-proto` only if the request arrived with it, and never
    // the other two.
    for name in [":authority", ":scheme", "x-forwarded-proto"] {
        let proxy = changes(0, &[remove(0, name)]).load()?;
        assert_eq!(proxy.request("GET", "/").respond(200)?.status(), 200);
    }
    Ok(())
}

#[test]
fn response_without_a_status_is_replaced_by_envoy() -> Result<(), Error> {
    for host_call in [
        remove(2, ":status"),
        replace(2, ":status", ""),
        replace(2, ":status", "ok"),
        replace(2, ":status", "2 00"),
        replace(2, ":status", "-1"),
        add(2, ":status", "201"),
    ] {
        let wat = changes(2, std::slice::from_ref(&host_call))
            .on("proxy_on_response_body", "(call $say @\"body\")")
            .on("proxy_on_log", "(call $say @\"log\")");
        let proxy = wat.load()?;
        let response = proxy
            .request("GET", "/")
            .respond(Reply::new(200).body("body"))?;
        assert_eq!(response.status(), 502, "{host_call}");
        assert_eq!(response.body(), b"missing required header: :status");
        assert!(response.is_local());
        assert_eq!(said(&proxy), ["log"], "{host_call}");
    }
    let proxy = changes(2, &[replace(2, ":status", " +0201")]).load()?;
    let response = proxy.request("GET", "/").respond(200)?;
    assert_eq!(response.header(":status"), ["201"]);
    Ok(())
}

#[test]
fn headers_about_a_connection_do_not_reach_the_client() -> Result<(), Error> {
    let added: Vec<_> = [
        "connection",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ]
    .iter()
    .map(|name| add(2, name, "x"))
    .chain([
        add(2, "Server", "mine"),
        add(2, ":path", "/"),
        add(2, "te", "x"),
    ])
    .collect();
    let wat = changes(2, &added).on(
        "proxy_on_log",
        "(drop (call $proxy_get_header_map_value #2 @\"server\" @out)) (call $say @result)",
    );
    let proxy = wat.load()?;
    let response = proxy.request("GET", "/").respond(200)?;
    let expected = [(":status", "200"), ("server", "envoy"), ("te", "x")];
    assert_eq!(response.headers(), &Headers::from_iter(expected));
    assert_eq!(said(&proxy), ["envoy"]);
    Ok(())
}

#[test]
fn all_pairs_are_encoded_as_in_the_abi() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_response_headers",
        "(call $number (call $proxy_get_header_map_pairs #2 @out)) (call $say @result)",
    );
    let proxy = wat.load()?;
    proxy
        .request("GET", "/")
        .respond(Reply::new(200).header("a", "22"))?;
    let pairs = "\u{2}\0\0\0\u{7}\0\0\0\u{3}\0\0\0\u{1}\0\0\0\u{2}\0\0\0:status\x00200\0a\x0022\0";
    assert_eq!(said(&proxy), ["0", pairs]);
    Ok(())
}

#[test]
fn the_size_of_a_map_is_that_of_its_names_and_values() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_response_headers",
        "(call $number (call $proxy_get_header_map_size #2 #8)) (call $number (i32.load #8))",
    );
    let proxy = wat.load()?;
    let reply = Reply::new(200).header("a", "22");
    proxy.request("GET", "/").respond(reply)?;
    assert_eq!(said(&proxy), ["0", "13"]);
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

/// The encoding of pairs (ABI: "Serialization").
fn encode(pairs: &[(&str, &str)]) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = length(pairs.len()).to_vec();
    for (name, value) in pairs {
        bytes.extend([length(name.len()), length(value.len())].concat());
    }
    for (name, value) in pairs {
        bytes.extend(format!("{name}\0{value}\0").as_bytes());
    }
    bytes
}

#[test]
fn all_pairs_can_be_set() -> Result<(), Error> {
    let pairs = [
        ("b", "1"),
        (":Path", "/b"),
        ("A", "2"),
        (":method", "PUT"),
        ("b", "3"),
        ("accept", "4"),
        ("Accept", "5"),
    ];
    let expected = [
        (":path", "/b"),
        (":method", "PUT"),
        ("b", "1"),
        ("a", "2"),
        ("b", "3"),
        ("accept", "4,5"),
    ];
    let upstream = forwarded(&set_pairs(0, &encode(&pairs)))?;
    assert_eq!(upstream, Headers::from_iter(expected));
    let proxy = set_pairs(2, &encode(&[("a", "1"), (":status", "201")])).load()?;
    let response = proxy.request("GET", "/").respond(200)?;
    let expected = [(":status", "201"), ("a", "1")];
    assert_eq!(response.headers(), &Headers::from_iter(expected));
    Ok(())
}

#[test]
fn malformed_pairs_are_read_as_no_pairs() -> Result<(), Error> {
    for malformed in [
        b"".as_slice(),
        b"\0",
        b"\0\0\0\0",
        b"\x01",
        b"\x01\0\0\0",
        b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\x001",
        b"\x01\0\0\0\x01\0\0\0\x01\0\0\0ab11",
        b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\x001\0\0",
        b"\xff\xff\xff\xff\x01\0\0\0\x01\0\0\0a\x001\0",
        b"\x01\0\0\0\xff\xff\xff\xff\x01\0\0\0a\x001\0",
    ] {
        let wat = set_pairs(2, malformed).on(
            "proxy_on_log",
            "(drop (call $proxy_get_header_map_value #2 @\":status\" @out)) (call $say @result)",
        );
        let proxy = wat.load()?;
        // Without a status, Envoy responds itself.
        let response = proxy.request("GET", "/").respond(200)?;
        assert_eq!(response.status(), 502, "{malformed:?}");
        assert_eq!(said(&proxy), ["0", "502"], "{malformed:?}");
    }
    Ok(())
}

#[test]
fn maps_can_be_read_and_changed_only_in_their_callbacks() -> Result<(), Error> {
    const OK: &str = "0";
    const NOT_FOUND: &str = "1";
    const BAD_ARGUMENT: &str = "2";
    let callbacks = [
        ("proxy_on_configure", None),
        ("proxy_on_request_headers", Some(0)),
        ("proxy_on_request_body", None),
        ("proxy_on_request_trailers", Some(1)),
        ("proxy_on_response_headers", Some(2)),
        ("proxy_on_response_body", None),
        ("proxy_on_response_trailers", Some(3)),
        ("proxy_on_log", None),
        ("proxy_on_done", None),
        ("proxy_on_delete", None),
    ];
    for (callback, own) in callbacks {
        for map in 0..8 {
            let results = results(
                callback,
                &[
                    &format!("$proxy_get_header_map_value #{map} @\"name\" @out"),
                    &format!("$proxy_get_header_map_pairs #{map} @out"),
                    &format!("$proxy_get_header_map_size #{map} #8"),
                    &format!("$proxy_set_header_map_pairs #{map} #0 #0"),
                    &add(map, "new", "value"),
                    &replace(map, "new", "value"),
                    &remove(map, "new"),
                ],
            );
            let results = results?;
            // A body callback is called twice, and logs each time.
            let results = &results[results.len() - 7..];
            let value = match (callback, map) {
                ("proxy_on_log", 0 | 2) => OK,
                ("proxy_on_log", _) => NOT_FOUND,
                _ if own == Some(map) => [OK, NOT_FOUND][usize::from(map % 2 == 1)],
                _ => BAD_ARGUMENT,
            };
            let change = if own == Some(map) { OK } else { BAD_ARGUMENT };
            let expected = [value, OK, change, change, change, change, change];
            assert_eq!(results, expected, "map {map} in {callback}");
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
fn on_log_can_read_headers_that_were_not_forwarded() -> Result<(), Error> {
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
fn on_log_reads_headers_as_the_extension_changed_them() -> Result<(), Error> {
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
