//! Properties (ABI: "Properties").

use std::time::Duration;

use proxy_wasm_test::{Error, Options, Proxy, Reply};

use crate::property_table::{CALLBACKS, Row, reader, rows};
use crate::wat::{BAD, Wat, results, said, whole_request};

/// Checks what each callback has logged for each row.
fn check(proxy: &Proxy, rows: &[Row], expected: impl Fn(&Row, &str, &str) -> bool) {
    let said = said(proxy);
    // There are two chunks of each body.
    let times = |callback: &&str| 1 + usize::from(callback.ends_with("body"));
    let callbacks = CALLBACKS
        .iter()
        .flat_map(|callback| vec![callback; times(callback)]);
    assert_eq!(said.len(), callbacks.clone().count() * rows.len());
    for (callback, lines) in callbacks.zip(said.chunks(rows.len())) {
        for (row, line) in rows.iter().zip(lines) {
            assert!(
                expected(row, callback, line),
                "{} in {callback}: {line:?}",
                row.path
            );
        }
    }
}

#[test]
fn properties_exist_where_documented_with_their_defaults() -> Result<(), Error> {
    let rows = rows();
    assert!(rows.len() > 80, "{}", rows.len());
    let proxy = reader(&CALLBACKS, &rows, false).load()?.configure("")?;
    whole_request(&proxy)?;
    check(&proxy, &rows, |row, callback, line| {
        if row.is_unset() || !row.exists_in(callback) {
            line == "NOT_FOUND"
        } else {
            row.fixed()
                .map_or(line != "NOT_FOUND", |fixed| line == fixed)
        }
    });
    Ok(())
}

#[test]
fn value_of_a_test_replaces_the_default_where_the_property_exists() -> Result<(), Error> {
    let rows = rows();
    let proxy = reader(&CALLBACKS, &rows, true).load()?;
    for row in &rows {
        proxy.set_property(&row.parts(), "set");
    }
    let proxy = proxy.configure("")?;
    whole_request(&proxy)?;
    check(&proxy, &rows, |row, callback, line| {
        let is_first = callback == "proxy_on_vm_start";
        is_first
            || line
                == if row.exists_in(callback) {
                    "set"
                } else {
                    "NOT_FOUND"
                }
    });
    Ok(())
}

/// Reads properties in a callback: text, or numbers of up to 32 bits where a path begins with `#`.
fn read(paths: &[&str]) -> String {
    paths
        .iter()
        .map(|path| {
            let (path, value) = match path.strip_prefix('#') {
                Some(path) => (
                    path,
                    "(call $number (i32.wrap_i64 (i64.load (i32.load #0))))",
                ),
                None => (*path, "(call $say @result)"),
            };
            let path = match path.contains("\\0") {
                true => path.to_owned(),
                false => path.replace('.', "\\0"),
            };
            format!(
                "(if (call $proxy_get_property @\"{path}\" @out) (then (call $say @\"-\"))
                   (else {value}))"
            )
        })
        .collect()
}

#[test]
fn properties_describe_the_request() -> Result<(), Error> {
    let paths = [
        "request.path",
        "request.url_path",
        "request.query",
        "request.host",
        "request.scheme",
        "request.method",
        "request.referer",
        "request.useragent",
        "request.id",
        "request.headers.name",
        "request.headers.NAME",
        "request.headers.:path",
        "request.headers.none",
        "request.headers.no name",
        "#request.size",
    ];
    let wat = Wat::new().on("proxy_on_request_headers", &read(&paths));
    let proxy = wat.load()?;
    let request = proxy
        .request("PUT", "/a/b?c=d?&e#f")
        .header(":authority", "host:80");
    let headers = [
        ("referer", "http://before/"),
        ("user-agent", "test"),
        ("x-request-id", "7"),
        ("name", "one"),
        ("Name", "two"),
        ("content-length", "40"),
    ];
    let request = headers.into_iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    request.respond(200)?;
    let path = "/a/b?c=d?&e#f";
    assert_eq!(
        said(&proxy),
        [
            path,
            "/a/b",
            "c=d?&e",
            "host:80",
            "http",
            "PUT",
            "http://before/",
            "test",
            "7",
            "one,two",
            "one,two",
            path,
            "-",
            "-",
            "40"
        ]
    );
    Ok(())
}

#[test]
fn map_of_headers_has_one_entry_for_each_name() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_response_headers", &read(&["response.headers"]));
    let proxy = wat.load()?;
    let reply = Reply::new(200)
        .header("a", "1")
        .header("b", "2")
        .header("a", "3");
    proxy.request("GET", "/").respond(reply)?;
    let lengths = "\u{3}\0\0\0\u{7}\0\0\0\u{3}\0\0\0\u{1}\0\0\0\u{3}\0\0\0\u{1}\0\0\0\u{1}\0\0\0";
    let fields = ":status\x00200\0a\x001,3\0b\x002\0";
    assert_eq!(said(&proxy), [format!("{lengths}{fields}")]);
    Ok(())
}

#[test]
fn sizes_grow_with_what_arrives_and_is_sent() -> Result<(), Error> {
    let paths = [
        "#request.size",
        "#request.total_size",
        "#response.size",
        "#response.total_size",
    ];
    let read = read(&paths);
    let wat = [
        "proxy_on_request_headers",
        "proxy_on_request_body",
        "proxy_on_response_headers",
        "proxy_on_response_body",
        "proxy_on_log",
        "proxy_on_done",
    ]
    .into_iter()
    .fold(Wat::new(), |wat, callback| wat.on(callback, &read));
    let proxy = wat.load()?;
    // Without `content-length`, which would be the size.
    let stream = proxy.request("POST", "/").begin()?;
    stream.send_body("12345", false)?;
    stream.send_body("678", true)?;
    stream.begin_response(200)?;
    stream.send_response_body("1", false)?;
    stream.send_response_body("23", true)?;
    // `:authority` localhost, `:path` /, `:method` POST, `:scheme` http: 47; `:status` 200: 10.
    assert_eq!(
        said(&proxy),
        [
            ["0", "47", "0", "0"],
            ["5", "5", "0", "0"],
            ["8", "8", "0", "0"],
            ["8", "8", "0", "10"],
            ["8", "8", "0", "0"],
            ["8", "8", "1", "1"],
            ["8", "55", "3", "13"],
            ["8", "8", "3", "3"],
        ]
        .concat()
    );
    Ok(())
}

#[test]
fn body_that_waits_for_held_headers_has_arrived() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_request_headers", "(return #1)").on(
        "proxy_on_tick",
        &format!(
            "(drop (call $proxy_set_effective_context #2)) {}",
            read(&["#request.size"])
        ),
    );
    let proxy = wat.load()?;
    let _stream = proxy.request("POST", "/").body("12345").send()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["5"]);
    Ok(())
}

#[test]
fn times_are_set_by_the_test() -> Result<(), Error> {
    let paths = [
        "#request.time",
        "#request.duration",
        "#response.backend_latency",
    ];
    let wat = Wat::new()
        .on("proxy_on_request_headers", &read(&paths))
        .on("proxy_on_log", &read(&paths));
    let proxy = wat.load_with(Options::new().time(Duration::from_nanos(1_000)))?;
    let stream = proxy.request("GET", "/").send()?;
    proxy.advance(Duration::from_nanos(500))?;
    stream.respond(200)?;
    assert_eq!(said(&proxy), ["1000", "-", "-", "1000", "500", "500"]);
    Ok(())
}

/// The properties that say how a stream has ended.
const OUTCOME: [&str; 4] = [
    "#response.code",
    "response.code_details",
    "#response.grpc_status",
    "#response.flags",
];

#[test]
fn code_is_that_of_the_upstream_until_the_headers_are_sent() -> Result<(), Error> {
    let change = r#"(drop (call $proxy_replace_header_map_value #2 @":status" @"403"))"#;
    let wat = Wat::new()
        .on("proxy_on_request_headers", &read(&OUTCOME))
        .on(
            "proxy_on_response_headers",
            &format!("{change} {}", read(&OUTCOME)),
        )
        .on("proxy_on_response_body", &read(&OUTCOME));
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    stream.begin_response(200)?;
    stream.send_response_body("a", true)?;
    assert_eq!(
        said(&proxy),
        [
            ["-", "-", "-", "0"],
            ["200", "via_upstream", "2", "0"],
            ["403", "via_upstream", "7", "0"]
        ]
        .concat()
    );
    Ok(())
}

#[test]
fn response_of_the_extension_has_its_details() -> Result<(), Error> {
    let send = r#"(drop (call $proxy_send_local_response #418 @"some details" #0 #0 #0 #0 #-1))"#;
    for callback in ["proxy_on_request_headers", "proxy_on_response_headers"] {
        let wat = Wat::new()
            .on(callback, send)
            .on("proxy_on_log", &read(&OUTCOME));
        let proxy = wat.load()?;
        proxy.request("GET", "/").respond(200)?;
        assert_eq!(
            said(&proxy),
            ["418", "some_details", "2", "0"],
            "{callback}"
        );
    }
    Ok(())
}

#[test]
fn disconnect_and_close_have_different_details() -> Result<(), Error> {
    let log = read(&OUTCOME);
    let proxy = Wat::new().on("proxy_on_log", &log).load()?;
    proxy.request("GET", "/").send()?.reset()?;
    let disconnected = ["-", "downstream_remote_disconnect", "-", "16384"];
    assert_eq!(said(&proxy), disconnected);

    let close = "(drop (call $proxy_close_stream #0))";
    let proxy = Wat::new()
        .on("proxy_on_request_headers", close)
        .on("proxy_on_log", &log)
        .load()?;
    let response = proxy.request("GET", "/").respond(200);
    assert!(matches!(response, Err(Error::StreamReset)), "{response:?}");
    assert_eq!(said(&proxy), ["-", "wasm_close_stream", "-", "0"]);
    Ok(())
}

#[test]
fn grpc_status_is_that_of_trailers_headers_or_the_code() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_log", &read(&["#response.grpc_status"]));
    for (reply, expected) in [
        (
            Reply::new(200)
                .header("grpc-status", "5")
                .trailer("grpc-status", "3"),
            "3",
        ),
        (
            Reply::new(200)
                .header("grpc-status", "5")
                .trailer("grpc-status", ""),
            "5",
        ),
        (Reply::new(200).header("grpc-status", "17"), "4294967295"),
        (Reply::new(200).header("grpc-status", "x"), "4294967295"),
        (Reply::new(200), "2"),
        (Reply::new(400), "13"),
        (Reply::new(401), "16"),
        (Reply::new(403), "7"),
        (Reply::new(404), "12"),
        (Reply::new(429), "14"),
        (Reply::new(503), "14"),
    ] {
        let proxy = wat.load()?;
        proxy.request("GET", "/").respond(reply.clone())?;
        assert_eq!(said(&proxy), [expected], "{reply:?}");
    }
    Ok(())
}

#[test]
fn plugin_has_a_name_besides_its_root_id() -> Result<(), Error> {
    let paths = ["plugin_name", "plugin_root_id", "plugin_vm_id"];
    let wat = Wat::new().on("proxy_on_configure", &read(&paths));
    let proxy = wat.load()?.configure("")?;
    assert_eq!(said(&proxy), ["extension", "", ""]);
    let options = Options::new()
        .plugin_name("name")
        .root_id("root")
        .vm_id("vm");
    let proxy = wat.load_with(options)?.configure("")?;
    assert_eq!(said(&proxy), ["name", "root", "vm"]);
    Ok(())
}

#[test]
fn port_follows_from_the_address() -> Result<(), Error> {
    let paths = ["#source.port", "#destination.port"];
    let wat = Wat::new().on("proxy_on_request_headers", &read(&paths));
    let proxy = wat.load()?;
    proxy.set_property(&["destination", "address"], "a pipe");
    let request = proxy
        .request("GET", "/")
        .property(&["source", "address"], "[2001:db8::1]:99");
    request.respond(200)?;
    assert_eq!(said(&proxy), ["99", "-"]);
    Ok(())
}

#[test]
fn value_of_a_stream_comes_before_that_of_its_plugin() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_request_headers", &read(&["a.b"]))
        .on("proxy_on_response_headers", &read(&["a.b"]));
    let proxy = wat.load()?;
    proxy.set_property(&["a", "b"], "plugin");
    let stream = proxy
        .request("GET", "/")
        .property(&["a", "b"], "request")
        .send()?;
    stream.set_property(&["a", "b"], "stream");
    stream.respond(200)?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["request", "stream", "plugin", "plugin"]);
    Ok(())
}

#[test]
fn paths_are_read_part_by_part() -> Result<(), Error> {
    let get = |path: &str| format!("$proxy_get_property @\"{path}\" @out");
    let calls = [
        get("request\\0path"),
        get("request\\0path\\0"),
        get("request\\0path\\0\\0"),
        get("request\\0path\\0more"),
        get("request\\0\\0path"),
        get("\\0request\\0path"),
        get("request.path"),
        get("plugin_name\\0more"),
        get("request"),
        get("request\\0"),
        get("metadata"),
        get(""),
        get("\\0"),
        get("node\\0id"),
        get("cluster_name"),
        format!("$proxy_get_property {BAD} #0 @out"),
        format!("$proxy_get_property @\"plugin_name\" {BAD} #4"),
        format!("$proxy_get_property @\"plugin_name\" #0 {BAD}"),
        format!("$proxy_get_property @\"none\" #0 {BAD}"),
    ];
    let calls: Vec<_> = calls.iter().map(String::as_str).collect();
    assert_eq!(
        results("proxy_on_request_headers", &calls)?,
        [
            "0", "0", "1", "1", "1", "1", "1", "1", "3", "3", "0", "3", "1", "1", "1", "6", "6",
            "6", "1"
        ]
    );
    Ok(())
}

#[test]
fn plugin_sees_a_stream_through_the_effective_context() -> Result<(), Error> {
    let paths = ["request.protocol", "xds.cluster_name", "xds.node.id"];
    let tick = format!(
        "{} (drop (call $proxy_set_effective_context #2)) {}",
        read(&paths),
        read(&paths)
    );
    let proxy = Wat::new().on("proxy_on_tick", &tick).load()?;
    let _stream = proxy.request("GET", "/").send()?;
    proxy.tick()?;
    let expected = ["-", "-", "test", "HTTP/1.1", "upstream", "test"];
    assert_eq!(said(&proxy), expected);
    Ok(())
}

fn set(path: &str, value: &str) -> String {
    format!("(call $number (call $proxy_set_property @\"{path}\" @\"{value}\"))")
}

#[test]
fn property_of_the_extension_is_in_the_filter_state() -> Result<(), Error> {
    let request = set("a", "one") + &set("a", "two") + &set("e", "") + &read(&["a", "e", "a.b"]);
    let wat = Wat::new().on("proxy_on_request_headers", &request).on(
        "proxy_on_log",
        &read(&["a", "filter_state\\0wasm.a", "filter_state.a"]),
    );
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert_eq!(stream.filter_state("wasm.a").as_deref(), Some(&b"two"[..]));
    let response = stream.respond(200)?;
    assert_eq!(response.filter_state("wasm.a"), Some(&b"two"[..]));
    assert_eq!(response.filter_state("a"), None);
    let expected = ["0", "0", "0", "two", "", "-", "two", "two", "-"];
    assert_eq!(said(&proxy), expected);
    Ok(())
}

#[test]
fn path_with_several_parts_can_be_set_but_not_read() -> Result<(), Error> {
    let all = set("a\\0b", "value") + &read(&["a.b", "a"]);
    let proxy = Wat::new().on("proxy_on_request_headers", &all).load()?;
    let response = proxy.request("GET", "/").respond(200)?;
    assert_eq!(response.filter_state("wasm.a\0b"), Some(&b"value"[..]));
    assert_eq!(said(&proxy), ["0", "-", "-"]);
    Ok(())
}

#[test]
fn extension_does_not_change_a_property_of_envoy() -> Result<(), Error> {
    let all = set("plugin_name", "mine")
        + &set("request\\0path", "/mine")
        + &read(&[
            "plugin_name",
            "request.path",
            "filter_state\\0wasm.plugin_name",
        ]);
    let proxy = Wat::new().on("proxy_on_request_headers", &all).load()?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["0", "0", "extension", "/", "mine"]);
    Ok(())
}

#[test]
fn plugin_has_no_filter_state() -> Result<(), Error> {
    let set = "$proxy_set_property @\"a\" @\"b\"";
    assert_eq!(results("proxy_on_configure", &[set])?, ["1"]);
    for callback in ["proxy_on_request_headers", "proxy_on_log", "proxy_on_done"] {
        assert_eq!(results(callback, &[set])?, ["0"], "{callback}");
    }
    Ok(())
}

#[test]
fn property_of_the_extension_comes_before_that_of_the_test() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_request_headers",
        &(read(&["a"]) + &set("a", "own") + &read(&["a"])),
    );
    let proxy = wat.load()?;
    proxy.set_property(&["a"], "of another filter");
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["of another filter", "0", "own"]);
    Ok(())
}
