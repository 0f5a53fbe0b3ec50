//! The embedded proxy beside a real Envoy: the same modules, the same traffic, the same callbacks
//! with the same numbers in the same order.

#[path = "proxy/wat.rs"]
#[allow(dead_code)] // what the other tests need of it
mod wat;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::{Options, Reply, Upstream};

#[path = "proxy/property_table.rs"]
#[allow(dead_code)] // what the other tests need of it
mod property_table;

use property_table::{CALLBACKS, CONNECTED, reader, rows};
use wat::{Wat, said};

/// What the last callback of a stream logs, so that its trace is complete.
const END: &str = "deleted";

/// A module in a real Envoy, in front of [`upstream`].
struct Real {
    envoy: Envoy,
    _folder: tempfile::TempDir,
}

impl Real {
    fn start(module: &Wat) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("module.wasm");
        fs::write(&path, ::wat::parse_str(module.text())?)?;
        let configuration = Configuration::Text("configuration".to_owned());
        let envoy = Envoy::start(&path, &configuration, upstream()?)?;
        Ok(Self {
            envoy,
            _folder: folder,
        })
    }

    fn connect(&self) -> Result<TcpStream> {
        let url = self.envoy.url("");
        let stream = TcpStream::connect(url.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(stream)
    }

    /// Sends a request and gives the response, as they are on the wire.
    fn exchange(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut connection = self.connect()?;
        connection.write_all(request(method, path, body).as_bytes())?;
        let mut response = String::new();
        connection.read_to_string(&mut response)?;
        Ok(response)
    }

    /// What the module has logged once it has logged a line.
    fn said_after(&self, line: &str) -> Result<Vec<String>> {
        let log = self.envoy.log_until(&format!(" extension: {line}\n"))?;
        Ok(messages(&log))
    }

    fn trace(&self) -> Result<Vec<String>> {
        self.said_after(END)
    }
}

/// What the module has logged. A line carries the names of the plugin and of its root before, or
/// the latter alone where no stream is at hand.
fn messages(log: &str) -> Vec<String> {
    log.lines()
        .filter_map(|line| Some(line.split_once("wasm log")?.1.split_once(" extension: ")?.1))
        .map(str::to_owned)
        .collect()
}

fn request(method: &str, path: &str, body: &str) -> String {
    let length = match body.len() {
        0 => String::new(),
        length => format!("content-length: {length}\r\n"),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{length}\r\n{body}"
    )
}

/// A service that responds with `hello`, or never for `/never`.
fn upstream() -> Result<SocketAddr> {
    let upstream = Upstream::start(|request| {
        while request.headers.first(":path") == Some(b"/never") {
            thread::park();
        }
        hello()
    })?;
    Ok(upstream.address())
}

/// What the upstream sends, as Envoy shows it: over HTTP/1.1 the end is an empty piece.
fn hello() -> Reply {
    Reply::new(200)
        .header("name", "value")
        .header("content-length", "5")
        .body("hello")
        .body("")
}

/// Logs every callback of a stream, with its numbers but for those of headers, to which Envoy adds.
fn tracer() -> Wat {
    tracer_with("", "")
}

/// A tracer that does something more in one of the callbacks.
fn tracer_with(callback: &str, more: &str) -> Wat {
    const SIZE: &str = "(call $number (local.get $body_size))";
    const END_OF_STREAM: &str = "(call $number (local.get $end_of_stream))";
    [
        ("proxy_on_request_headers", END_OF_STREAM.to_owned()),
        ("proxy_on_request_body", format!("{SIZE} {END_OF_STREAM}")),
        ("proxy_on_response_headers", END_OF_STREAM.to_owned()),
        ("proxy_on_response_body", format!("{SIZE} {END_OF_STREAM}")),
        ("proxy_on_done", String::new()),
        ("proxy_on_log", String::new()),
    ]
    .into_iter()
    .fold(Wat::new(), |wat, (name, numbers)| {
        let more = if name == callback { more } else { "" };
        wat.on(name, &format!("(call $say @\"{name}\") {numbers} {more}"))
    })
    .on(
        "proxy_on_context_create",
        "(if (local.get $parent_context_id) (then (call $say @\"created\")))",
    )
    .on("proxy_on_delete", "(call $say @\"deleted\")")
}

#[test]
fn a_request_without_a_body_has_the_same_callbacks() -> Result<()> {
    let real = Real::start(&tracer())?;
    let response = real.exchange("GET", "/", "")?;
    assert!(response.ends_with("hello"), "{response}");
    let proxy = tracer().load()?.configure("configuration")?;
    proxy.request("GET", "/").respond(hello())?;
    assert_eq!(said(&proxy), real.trace()?);
    Ok(())
}

#[test]
fn a_request_with_a_body_has_the_same_callbacks() -> Result<()> {
    let real = Real::start(&tracer())?;
    real.exchange("POST", "/", "request")?;
    let proxy = tracer().load()?.configure("configuration")?;
    let request = proxy.request("POST", "/").body("request").body("");
    request.respond(hello())?;
    assert_eq!(said(&proxy), real.trace()?);
    Ok(())
}

#[test]
fn a_client_that_goes_away_has_the_same_callbacks() -> Result<()> {
    let real = Real::start(&tracer())?;
    let mut connection = real.connect()?;
    connection.write_all(request("GET", "/never", "").as_bytes())?;
    real.said_after("proxy_on_request_headers")?;
    drop(connection);
    let expected = real.trace()?;
    let proxy = tracer().load()?.configure("configuration")?;
    proxy.request("GET", "/never").send()?.reset()?;
    assert_eq!(said(&proxy), expected);
    Ok(())
}

/// Answers in one of the callbacks of a request or response.
fn answers_itself(callback: &str) -> Wat {
    let send = "(call $proxy_send_local_response #418 @\"details\" @\"teapot\" #0 #0 #-1)";
    tracer_with(callback, &format!("(call $number {send})"))
}

#[test]
fn a_local_response_has_the_same_callbacks() -> Result<()> {
    for (callback, body) in [
        ("proxy_on_request_headers", ""),
        ("proxy_on_request_headers", "request"),
        ("proxy_on_request_body", "request"),
        ("proxy_on_response_headers", ""),
        ("proxy_on_response_body", ""),
    ] {
        let module = answers_itself(callback);
        let real = Real::start(&module)?;
        let method = if body.is_empty() { "GET" } else { "POST" };
        let response = real.exchange(method, "/", body).unwrap_or_default();
        let proxy = module.load()?.configure("configuration")?;
        let request = proxy.request(method, "/");
        let request = if body.is_empty() {
            request
        } else {
            request.body(body).body("")
        };
        let embedded = request.respond(hello());
        assert_eq!(said(&proxy), real.trace()?, "{callback} {body:?}");
        if callback == "proxy_on_response_body" {
            assert!(
                embedded.is_err() && !response.contains("teapot"),
                "{response}"
            );
            continue;
        }
        let embedded = embedded?;
        assert!(response.starts_with("HTTP/1.1 418 "), "{response}");
        assert!(response.ends_with("teapot"), "{response}");
        for name in ["content-length", "content-type"] {
            let line = format!("{name}: {}\r\n", embedded.header(name).concat());
            assert!(response.contains(&line), "{line:?} is not in {response:?}");
        }
    }
    Ok(())
}

/// Holds a body until its end.
fn holder() -> Wat {
    let hold = |buffer| {
        format!(
            "(call $number (local.get $body_size)) (call $number (local.get $end_of_stream))
             (if (i32.eqz (local.get $end_of_stream)) (then (return #1)))
             (drop (call $proxy_get_buffer_bytes #{buffer} #0 #-1 @out)) (call $say @result)
             (drop (call $proxy_set_buffer_bytes #{buffer} #-1 #0 @\" and more\"))
             (drop (call $proxy_set_buffer_bytes #{buffer} #0 #0 @\"more and \"))"
        )
    };
    Wat::new()
        .on(
            "proxy_on_request_headers",
            "(drop (call $proxy_remove_header_map_value #0 @\"content-length\"))",
        )
        .on(
            "proxy_on_response_headers",
            "(drop (call $proxy_remove_header_map_value #2 @\"content-length\"))",
        )
        .on("proxy_on_request_body", &hold(0))
        .on("proxy_on_response_body", &hold(1))
        .on("proxy_on_delete", "(call $say @\"deleted\")")
}

#[test]
fn a_body_that_is_held_and_changed_comes_out_the_same() -> Result<()> {
    let real = Real::start(&holder())?;
    let response = real.exchange("POST", "/", "request")?;
    let proxy = holder().load()?.configure("configuration")?;
    let request = proxy.request("POST", "/").body("request").body("");
    let embedded = request.respond(hello())?;
    assert_eq!(said(&proxy), real.trace()?);
    assert_eq!(embedded.body(), b"more and hello and more");
    // In pieces, since its length is not known before.
    let pieces: String = response
        .lines()
        .filter(|line| line.contains("more") || line.contains("hello"))
        .collect();
    assert_eq!(pieces, "more and hello and more", "{response:?}");
    Ok(())
}

/// Asks an upstream before a request goes on.
fn asker() -> Wat {
    tracer_with(
        "proxy_on_request_headers",
        "(call $headers)
         (call $number (call $proxy_http_call @\"upstream\" #100 #61 #0 #0 #0 #0 #5000 #0))
         (return #1)",
    )
    .with(wat::CALL_HEADERS)
    .on(
        "proxy_on_http_call_response",
        "(call $say @\"answered\") (call $number (local.get $body_size)) (call $number (local.get $num_trailers))
         (drop (call $proxy_get_header_map_value #6 @\":status\" @out)) (call $say @result)
         (call $number (call $proxy_get_status #8 @out)) (call $number (i32.load #8))
         (call $number (call $proxy_set_effective_context #2))
         (call $number (call $proxy_add_header_map_value #0 @\"x-new\" @\"value\"))
         (call $number (call $proxy_continue_stream #0))",
    )
}

#[test]
fn a_request_that_waits_for_an_http_call_has_the_same_callbacks() -> Result<()> {
    for body in ["", "request"] {
        let real = Real::start(&asker())?;
        let method = if body.is_empty() { "GET" } else { "POST" };
        let response = real.exchange(method, "/", body)?;
        assert!(response.ends_with("hello"), "{response}");
        let proxy = asker().load()?.configure("configuration")?;
        let request = proxy.request(method, "/");
        let stream = if body.is_empty() {
            request
        } else {
            request.body(body).body("")
        }
        .send()?;
        proxy.respond_to_call(4, hello())?;
        stream.respond(hello())?;
        assert_eq!(said(&proxy), real.trace()?);
    }
    Ok(())
}

/// Adds two fields of a name to the request, reads them, replaces them, and reads them again.
fn twice(name: &str) -> Wat {
    let call = |call: &str| format!("(drop (call $proxy_{call}_header_map_value #0 @\"{name}\" ");
    let [add, get, replace] = ["add", "get", "replace"].map(call);
    tracer_with(
        "proxy_on_request_headers",
        &format!(
            "{add} @\"1\")) {add} @\"2\")) {get} @out)) (call $say @result)
             {replace} @\"3\")) {get} @out)) (call $say @result)"
        ),
    )
}

#[test]
fn of_several_fields_of_a_name_the_first_is_read() -> Result<()> {
    let real = Real::start(&twice("x-other"))?;
    real.exchange("GET", "/", "")?;
    let proxy = twice("x-other").load()?.configure("configuration")?;
    let stream = proxy.request("GET", "/").send()?;
    let upstream = stream.upstream().expect("a request");
    assert_eq!(upstream.headers.values("x-other"), ["3"]);
    stream.respond(hello())?;
    let said = said(&proxy);
    assert!(said.contains(&"1".to_owned()), "{said:?}");
    assert_eq!(said, real.trace()?);
    Ok(())
}

#[test]
fn envoy_makes_one_field_of_several_that_it_knows() -> Result<()> {
    let real = Real::start(&twice("x-forwarded-host"))?;
    real.exchange("GET", "/", "")?;
    let trace = real.trace()?;
    assert!(trace.contains(&"1,2".to_owned()), "{trace:?}");
    let proxy = twice("x-forwarded-host")
        .load()?
        .configure("configuration")?;
    proxy.request("GET", "/").respond(hello())?;
    assert_eq!(said(&proxy), trace);
    Ok(())
}

/// Host calls whose status does not depend on those before.
const CALLS: [&str; 74] = [
    "$proxy_get_log_level #0",
    "$proxy_set_effective_context #77",
    "$proxy_done",
    "$proxy_get_header_map_size #0 #0",
    "$proxy_get_header_map_size #1 #0",
    "$proxy_get_header_map_size #2 #0",
    "$proxy_get_header_map_size #3 #0",
    "$proxy_get_header_map_size #8 #0",
    "$proxy_get_header_map_pairs #0 @out",
    "$proxy_get_header_map_pairs #2 @out",
    "$proxy_get_header_map_pairs #5 @out",
    "$proxy_get_header_map_pairs #8 @out",
    "$proxy_get_header_map_value #0 @\"none\" @out",
    "$proxy_get_header_map_value #1 @\"none\" @out",
    "$proxy_get_header_map_value #2 @\"none\" @out",
    "$proxy_get_header_map_value #3 @\"none\" @out",
    "$proxy_get_header_map_value #4 @\"none\" @out",
    "$proxy_get_header_map_value #6 @\"none\" @out",
    "$proxy_get_header_map_value #7 @\"none\" @out",
    "$proxy_get_header_map_value #8 @\"none\" @out",
    "$proxy_add_header_map_value #0 @\"a\" @\"b\"",
    "$proxy_add_header_map_value #1 @\"a\" @\"b\"",
    "$proxy_add_header_map_value #2 @\"a\" @\"b\"",
    "$proxy_add_header_map_value #3 @\"a\" @\"b\"",
    "$proxy_add_header_map_value #6 @\"a\" @\"b\"",
    "$proxy_remove_header_map_value #0 @\"none\"",
    "$proxy_remove_header_map_value #2 @\"none\"",
    "$proxy_set_header_map_pairs #1 #0 #0",
    "$proxy_get_buffer_status #0 #0 #4",
    "$proxy_get_buffer_status #1 #0 #4",
    "$proxy_get_buffer_status #2 #0 #4",
    "$proxy_get_buffer_status #4 #0 #4",
    "$proxy_get_buffer_status #5 #0 #4",
    "$proxy_get_buffer_status #6 #0 #4",
    "$proxy_get_buffer_status #7 #0 #4",
    "$proxy_get_buffer_status #8 #0 #4",
    "$proxy_get_buffer_status #9 #0 #4",
    "$proxy_get_buffer_bytes #0 #0 #9 @out",
    "$proxy_get_buffer_bytes #1 #0 #9 @out",
    "$proxy_get_buffer_bytes #1 #1 #-1 @out",
    "$proxy_get_buffer_bytes #6 #0 #9 @out",
    "$proxy_set_buffer_bytes #6 #0 #0 @\"x\"",
    "$proxy_set_buffer_bytes #7 #0 #0 @\"x\"",
    "$proxy_continue_stream #2",
    "$proxy_continue_stream #4",
    "$proxy_close_stream #4",
    "$proxy_get_status #8 @out",
    "$proxy_grpc_call @\"u\" @\"s\" @\"m\" #0 #0 @\"x\" #0 #0",
    "$proxy_grpc_stream @\"u\" @\"s\" @\"m\" #0 #0 #0",
    "$proxy_grpc_send #1 @\"x\" #0",
    "$proxy_grpc_send #2 @\"x\" #0",
    "$proxy_grpc_cancel #1",
    "$proxy_grpc_close #2",
    "$proxy_http_call @\"missing\" #0 #0 #0 #0 #0 #0 #0 #0",
    "$proxy_http_call @\"upstream\" #0 #0 #0 #0 #0 #0 #0 #0",
    "$proxy_http_call @\"upstream\" #0 #0 #0 #0 #0 #0 #0 #0x7fffffff",
    "$proxy_get_shared_data @\"absent\" @out #8",
    "$proxy_set_shared_data @\"none\" @\"a\" #7",
    "$proxy_dequeue_shared_queue #77 @out",
    "$proxy_enqueue_shared_queue #77 @\"x\"",
    "$proxy_resolve_shared_queue @\"\" @\"none\" #0",
    "$proxy_define_metric #3 @\"name\" #0",
    "$proxy_define_metric #0 @\"counter\" #0",
    "$proxy_increment_metric (i32.load #0) (i64.const -1)",
    "$proxy_increment_metric (i32.load #0) (i64.const 0)",
    "$proxy_increment_metric #44444 (i64.const 1)",
    "$proxy_record_metric #44444 (i64.const 1)",
    "$proxy_get_metric #44444 #0",
    "$proxy_get_property @\"none\" @out",
    "$proxy_set_property @\"a\" @\"b\"",
    "$proxy_call_foreign_function @\"none\" #0 #0 @out",
    "$wasi_clock_time_get #1 (i64.const 0) #0",
    "$wasi_clock_time_get #2 (i64.const 0) #0",
    "$wasi_fd_write #3 #0 #0 #0",
];

#[test]
fn host_calls_answer_as_in_envoy() -> Result<()> {
    for callback in [
        "proxy_on_request_headers",
        "proxy_on_request_body",
        "proxy_on_response_headers",
        "proxy_on_response_body",
        "proxy_on_log",
        "proxy_on_done",
    ] {
        let calls: String = CALLS
            .iter()
            .map(|call| format!("(call $number (call {call}))"))
            .collect();
        let module = Wat::new()
            .on(
                callback,
                &format!("(call $say @\"begin\") {calls} (call $say @\"end\")"),
            )
            .on("proxy_on_delete", "(call $say @\"deleted\")");
        let real = Real::start(&module)?;
        real.exchange("POST", "/", "request")?;
        let options = Options::new().missing_cluster("u");
        let proxy = module.load_with(options)?.configure("configuration")?;
        let request = proxy.request("POST", "/").body("request").body("");
        request.respond(hello())?;
        let (envoy, own) = (statuses(&real.trace()?), statuses(&said(&proxy)));
        assert_eq!(
            (envoy.len(), own.len()),
            (CALLS.len(), CALLS.len()),
            "{callback}"
        );
        for ((call, envoy), own) in CALLS.iter().zip(&envoy).zip(&own) {
            assert_eq!(envoy, own, "{call} in {callback}");
        }
    }
    Ok(())
}

/// What the last callback that asked was answered.
fn statuses(said: &[String]) -> Vec<String> {
    let asked = said
        .rsplit(|line| line == "begin")
        .next()
        .unwrap_or_default();
    let answers = asked.iter().take_while(|line| *line != "end");
    answers.cloned().collect()
}

/// The documentation of the embedded proxy says what Envoy does otherwise: here Envoy does it.
#[test]
fn envoy_does_what_the_documentation_says_of_it() -> Result<()> {
    let module = Wat::new()
        .on(
            "proxy_on_response_headers",
            "(drop (call $proxy_define_metric #0 @\"counter\" #16))
             (drop (call $proxy_record_metric (i32.load #16) (i64.const 5)))
             (drop (call $proxy_record_metric (i32.load #16) (i64.const 5)))
             (drop (call $proxy_get_metric (i32.load #16) #24)) (call $number (i32.load #24))
             (drop (call $proxy_get_header_map_size #2 #32))
             (drop (call $proxy_get_header_map_pairs #2 @out))
             (call $number (i32.eq (i32.load #32) (i32.load #4)))
             (call $number (call $proxy_close_stream #2))",
        )
        .on("proxy_on_done", "(return #0)")
        .on("proxy_on_delete", "(call $say @\"deleted\")");
    let real = Real::start(&module)?;
    real.exchange("GET", "/", "")?;
    assert_eq!(real.trace()?, ["10", "0", "0", "deleted"]);

    let proxy = module.load()?.configure("configuration")?;
    proxy.request("GET", "/").respond(hello())?;
    assert_eq!(said(&proxy), ["10", "0", "0", "deleted"]);
    Ok(())
}

#[test]
fn each_plugin_of_a_vm_is_started_as_in_envoy() -> Result<()> {
    let module = Wat::new()
        .with("(global $starts (mut i32) (i32.const 0))")
        .on(
            "proxy_on_vm_start",
            "(global.set $starts (i32.add (global.get $starts) #1))",
        )
        .on(
            "proxy_on_configure",
            "(call $say @\"starts\") (call $number (global.get $starts))",
        );
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("module.wasm");
    fs::write(&path, ::wat::parse_str(module.text())?)?;
    let text = |text: &str| Configuration::Text(text.to_owned());
    let envoy = Envoy::builder(&path, upstream()?)
        .workers(1)
        .listener("one", "extension", &text("one"))
        .listener("two", "extension", &text("two"))
        .start()?;
    let starts = messages(&envoy.log_until(" extension: 2\n")?);

    let first = module.load()?.configure("one")?;
    first.add_plugin("two")?;
    assert_eq!(said(&first), ["starts", "1", "starts", "2"]);
    assert!(starts.iter().any(|line| line == "1"), "{starts:?}");
    Ok(())
}

#[test]
fn properties_exist_as_in_envoy_and_have_its_values() -> Result<()> {
    let mut rows = rows();
    rows.retain(|row| row.exists != CONNECTED);
    let callbacks: Vec<_> = CALLBACKS
        .into_iter()
        .filter(|name| {
            name.contains("request") || name.contains("response") || name.ends_with("log")
        })
        .collect();
    let module = reader(&callbacks, &rows, false)
        .on("proxy_on_delete", "(call $probe) (call $say @\"deleted\")");
    let real = Real::start(&module)?;
    real.exchange("POST", "/", "request")?;
    let real = real.trace()?;
    let proxy = module.load()?.configure("configuration")?;
    let request = proxy.request("POST", "/").body("request").body("");
    request.respond(hello())?;
    let own = said(&proxy);
    // Headers, two pieces of body, the same of the response, and the last two callbacks.
    assert_eq!(
        (real.len(), own.len()),
        (8 * rows.len() + 1, 8 * rows.len() + 1)
    );
    for (index, (real, own)) in real.iter().zip(&own).enumerate() {
        let (callback, row) = (index / rows.len(), &rows[index % rows.len()]);
        let is_status = |line: &String| line == "NOT_FOUND" || line == "SERIALIZATION_FAILURE";
        let mut differs = ["address", "port", "duration"].into_iter();
        let is_same = row.fixed().is_some() && !differs.any(|end| row.path.ends_with(end));
        let is_equal = if is_status(real) || is_status(own) || is_same {
            real == own
        } else {
            true
        };
        assert!(
            is_equal,
            "{} in callback {callback}: {real:?}, {own:?}",
            row.path
        );
    }
    Ok(())
}
