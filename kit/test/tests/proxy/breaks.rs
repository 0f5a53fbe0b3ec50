//! Actions of an extension after which Envoy crashes, corrupts a message, or holds one forever.

use proxy_wasm_test::{Error, Reply, Response};

use crate::wat::{Wat, whole_request};

const CONTINUE: [&str; 2] = [
    "(drop (call $proxy_continue_stream #0))",
    "(drop (call $proxy_continue_stream #1))",
];
const CLOSE: &str = "(drop (call $proxy_close_stream #0))";
const SEND: &str = "(drop (call $proxy_send_local_response #403 #0 #0 #0 #0 #0 #0 #-1))";
const STREAM: &str = "(drop (call $proxy_set_effective_context #2))";

/// The arguments of a response.
fn local(status: u32, body: &str) -> String {
    let body = if body.is_empty() {
        "#0 #0".to_owned()
    } else {
        format!("@\"{body}\"")
    };
    format!("$proxy_send_local_response #{status} #0 #0 {body} #0 #0 #-1")
}

/// Checks that the error contains this text.
fn breaks(result: Result<Response, Error>, effect: &str) {
    match result {
        Err(Error::BreaksEnvoy(text)) => assert!(text.contains(effect), "{effect}: {text}"),
        other => panic!("{effect}: {other:?}"),
    }
}

fn on(callback: &str, body: &str) -> Wat {
    Wat::new().on(callback, body)
}

fn whole(wat: &Wat) -> Result<Response, Error> {
    whole_request(&wat.load()?)
}

/// Sends a message without trailers.
fn simple(wat: &Wat) -> Result<Response, Error> {
    let proxy = wat.load()?;
    let request = proxy.request("POST", "/").header("content-length", "7");
    let reply = Reply::new(200).header("content-length", "8");
    request.body("request").respond(reply.body("response"))
}

#[test]
fn a_headers_callback_that_resumes_and_continues_sends_the_headers_twice() -> Result<(), Error> {
    for (callback, resume) in [
        ("proxy_on_request_headers", CONTINUE[0]),
        ("proxy_on_response_headers", CONTINUE[1]),
        ("proxy_on_context_create", CONTINUE[0]),
    ] {
        breaks(simple(&on(callback, resume)), "sends the headers twice");
    }
    Ok(())
}

#[test]
fn a_callback_that_resumes_and_pauses_holds_the_rest_forever() -> Result<(), Error> {
    for (callback, resume) in [
        ("proxy_on_request_headers", CONTINUE[0]),
        ("proxy_on_response_headers", CONTINUE[1]),
    ] {
        let wat = on(callback, &format!("{resume} (return #1)"));
        breaks(simple(&wat), "forever");
        // Without a body, nothing is left to be held.
        assert_eq!(wat.load()?.request("GET", "/").respond(200)?.status(), 200);
        // The held message can be resumed in another callback.
        let wat = wat.on("proxy_on_tick", &format!("{STREAM} {resume}"));
        let proxy = wat.load()?;
        let stream = proxy.request("POST", "/").body("request").send()?;
        if callback == "proxy_on_request_headers" {
            proxy.tick()?;
            assert_eq!(stream.respond(200)?.status(), 200);
        } else {
            stream.begin_response(Reply::new(200).body("response"))?;
            proxy.tick()?;
            stream.send_response_body("", true)?;
            assert_eq!(stream.finish()?.body(), b"response");
        }
    }
    // The last chunk of a body is forwarded by the callback itself.
    let held = on(
        "proxy_on_request_body",
        &format!("{} (return #1)", CONTINUE[0]),
    );
    assert_eq!(simple(&held)?.status(), 200);
    Ok(())
}

#[test]
fn a_trailers_callback_that_resumes_and_continues_sends_the_end_twice() -> Result<(), Error> {
    breaks(
        whole(&on("proxy_on_request_trailers", CONTINUE[0])),
        "sends the end twice",
    );
    breaks(
        whole(&on("proxy_on_response_trailers", CONTINUE[1])),
        "crashes",
    );
    // Envoy ignores the rest of a request after the end of the response.
    let resume = on("proxy_on_response_trailers", CONTINUE[0]);
    assert_eq!(whole(&resume)?.status(), 200);
    // The trailers have been sent already.
    breaks(
        whole(&on("proxy_on_response_headers", CONTINUE[0])),
        "sends the end twice",
    );
    Ok(())
}

#[test]
fn the_end_of_a_held_response_can_be_resumed_only_once() -> Result<(), Error> {
    let hold = "(if (i32.eqz (local.get $end_of_stream)) (then (return #1)))";
    let wat = on("proxy_on_response_body", &format!("{hold} {}", CONTINUE[1]));
    breaks(simple(&wat), "crashes");
    // Envoy ignores the second end of a request if it is an empty chunk.
    let wat = on("proxy_on_request_body", &format!("{hold} {}", CONTINUE[0]));
    assert_eq!(simple(&wat)?.status(), 200);
    Ok(())
}

#[test]
fn a_response_that_has_not_begun_cannot_be_resumed() -> Result<(), Error> {
    breaks(
        simple(&on("proxy_on_request_headers", CONTINUE[1])),
        "crashes",
    );
    let wat = on("proxy_on_request_headers", "(return #1)")
        .on("proxy_on_tick", &format!("{STREAM} {}", CONTINUE[1]));
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert!(matches!(proxy.tick(), Err(Error::BreaksEnvoy(_))));
    // The stream does not exist any more, and the proxy continues to run.
    assert!(matches!(stream.finish(), Err(Error::InvalidState(_))));
    assert!(proxy.request("GET", "/").send()?.is_request_paused());
    Ok(())
}

#[test]
fn a_callback_of_a_resumed_message_cannot_resume_it_again() -> Result<(), Error> {
    for part in ["body", "trailers"] {
        let wat = on("proxy_on_request_headers", "(return #1)")
            .on(&format!("proxy_on_request_{part}"), CONTINUE[0])
            .on("proxy_on_tick", &format!("{STREAM} {}", CONTINUE[0]));
        let proxy = wat.load()?;
        let request = proxy.request("POST", "/").body("a").trailer("b", "c");
        let stream = request.send()?;
        breaks(
            proxy.tick().and_then(|()| stream.respond(200)),
            "again and again",
        );
    }
    Ok(())
}

#[test]
fn body_that_is_held_while_its_trailers_are_forwarded_is_lost() -> Result<(), Error> {
    for (direction, resume) in [("request", CONTINUE[0]), ("response", CONTINUE[1])] {
        let wat = on(&format!("proxy_on_{direction}_headers"), "(return #1)")
            .on(&format!("proxy_on_{direction}_body"), "(return #1)")
            .on("proxy_on_tick", &format!("{STREAM} {resume}"));
        let proxy = wat.load()?;
        let request = proxy.request("POST", "/").body("a").trailer("b", "c");
        let stream = request.send()?;
        if direction == "response" {
            let reply = Reply::new(200).body("a").trailer("b", "c");
            assert!(matches!(stream.respond(reply), Err(Error::Paused(_))));
        }
        breaks(
            proxy.tick().and_then(|()| stream.finish()),
            "loses the body",
        );
    }
    let add = "(drop (call $proxy_add_header_map_value #1 @\"a\" @\"b\"))";
    let wat = on("proxy_on_request_body", &format!("{add} (return #1)"));
    breaks(simple(&wat), "loses the body");
    Ok(())
}

#[test]
fn trailers_that_are_added_to_a_held_request_are_sent_twice() -> Result<(), Error> {
    let wat = on(
        "proxy_on_request_body",
        "(if (i32.eqz (local.get $end_of_stream)) (then (return #1)))
         (drop (call $proxy_add_header_map_value #1 @\"a\" @\"b\"))",
    );
    breaks(simple(&wat), "sends the end twice");
    Ok(())
}

#[test]
fn ended_stream_cannot_be_closed_or_get_a_local_response() -> Result<(), Error> {
    for callback in ["proxy_on_log", "proxy_on_done", "proxy_on_delete"] {
        for host_call in [CLOSE, SEND] {
            breaks(simple(&on(callback, host_call)), "has ended");
        }
    }
    for [first, second] in [[CLOSE, CLOSE], [CLOSE, SEND], [SEND, CLOSE]] {
        let both = first.to_owned() + second;
        breaks(simple(&on("proxy_on_request_headers", &both)), "has ended");
    }
    let twice = SEND.to_owned() + SEND;
    breaks(
        simple(&on("proxy_on_response_headers", &twice)),
        "has ended",
    );
    Ok(())
}

#[test]
fn a_stream_that_is_being_created_cannot_be_closed() -> Result<(), Error> {
    let wat = on("proxy_on_context_create", CLOSE);
    breaks(wat.load()?.request("GET", "/").respond(200), "twice");
    Ok(())
}

#[test]
fn stream_cannot_be_closed_or_get_a_local_response_in_response_trailers() -> Result<(), Error> {
    breaks(whole(&on("proxy_on_response_trailers", CLOSE)), "crashes");
    breaks(whole(&on("proxy_on_response_trailers", SEND)), "never ends");
    Ok(())
}

#[test]
fn changed_body_needs_a_new_content_length() -> Result<(), Error> {
    let change = |buffer, bytes| {
        format!("(drop (call $proxy_set_buffer_bytes #{buffer} #0 #-1 @\"{bytes}\"))")
    };
    for bytes in ["longer than before", "short", ""] {
        for (direction, buffer) in [("request", 0), ("response", 1)] {
            let wat = on(
                &format!("proxy_on_{direction}_body"),
                &format!(
                    "(if (local.get $body_size) (then {}))",
                    change(buffer, bytes)
                ),
            );
            let remedy = format!("Remove content-length in proxy_on_{direction}_headers");
            breaks(simple(&wat), &remedy);
        }
    }
    let declare = |value| {
        let call = format!("$proxy_replace_header_map_value #2 @\"content-length\" @\"{value}\"");
        on(
            "proxy_on_response_headers",
            &format!("(drop (call {call}))"),
        )
    };
    assert_eq!(simple(&declare("8"))?.body(), b"response");
    for value in ["9", "7", "x", "8,8"] {
        breaks(simple(&declare(value)), "content-length");
    }
    // What the test itself declares is not the extension's fault, and HEAD has no body.
    let proxy = Wat::new().load()?;
    let request = proxy.request("GET", "/").header("content-length", "9");
    let reply = Reply::new(200).header("content-length", "9");
    assert_eq!(request.respond(reply.clone())?.status(), 200);
    let head = declare("7").load()?.request("HEAD", "/").respond(reply)?;
    assert_eq!(head.header("content-length"), ["7"]);
    Ok(())
}

#[test]
fn body_with_a_status_that_has_none_breaks_envoy() -> Result<(), Error> {
    for status in [101, 204, 304] {
        let replace = format!("#2 @\":status\" @\"{status}\"");
        let wat = on(
            "proxy_on_response_headers",
            &format!("(drop (call $proxy_replace_header_map_value {replace}))"),
        );
        breaks(simple(&wat), &format!("status {status} and a body"));
        let response = wat.load()?.request("GET", "/").respond(200)?;
        assert_eq!(response.status(), status);
    }
    let send = format!("(drop (call {}))", local(204, "body"));
    for callback in ["proxy_on_request_headers", "proxy_on_response_headers"] {
        breaks(simple(&on(callback, &send)), "status 204 and a body");
    }
    Ok(())
}

#[test]
fn invalid_response_status_breaks_envoy() -> Result<(), Error> {
    for (status, effect) in [
        (0, "clients reject"),
        (99, "clients reject"),
        (100, "clients wait"),
        (199, "clients wait"),
        (1_000, "clients reject"),
        (65_535, "clients reject"),
    ] {
        let replace = format!("#2 @\":status\" @\"{status}\"");
        let replace = format!("(drop (call $proxy_replace_header_map_value {replace}))");
        breaks(simple(&on("proxy_on_response_headers", &replace)), effect);
        let send = format!("(drop (call {}))", local(status, ""));
        breaks(simple(&on("proxy_on_request_headers", &send)), effect);
    }
    // What the test itself sends is not the extension's fault.
    let proxy = Wat::new().load()?;
    let reply = Reply::new(99);
    assert_eq!(proxy.request("GET", "/").respond(reply)?.status(), 99);
    let reply = Reply::new(204).body("body");
    assert_eq!(proxy.request("GET", "/").respond(reply)?.status(), 204);
    Ok(())
}

#[test]
fn invalid_header_breaks_envoy() -> Result<(), Error> {
    for (name, value) in [
        ("a", "b\\nc: d"),
        ("a", "\\0"),
        ("a b", "c"),
        ("a:", "c"),
        ("", "c"),
    ] {
        let add = |map| {
            format!("(drop (call $proxy_add_header_map_value #{map} @\"{name}\" @\"{value}\"))")
        };
        breaks(
            simple(&on("proxy_on_response_headers", &add(2))),
            "add headers",
        );
        if name.is_empty() {
            breaks(
                simple(&on("proxy_on_request_headers", &add(0))),
                "add headers",
            );
        }
    }
    // Envoy does not check trailers at all.
    for (name, value) in [("a", "b\\nc: d"), ("a b", "c"), (":path", "/"), ("", "c")] {
        for (direction, map) in [("request", 1), ("response", 3)] {
            let add = format!("#{map} @\"{name}\" @\"{value}\"");
            let wat = on(
                &format!("proxy_on_{direction}_trailers"),
                &format!("(drop (call $proxy_add_header_map_value {add}))"),
            );
            breaks(whole(&wat), "add headers");
        }
    }
    let tab = "(drop (call $proxy_add_header_map_value #2 @\"a\" @\"b\tc \u{e9}\"))";
    let response = simple(&on("proxy_on_response_headers", tab))?;
    assert_eq!(response.header("a"), ["b\tc \u{e9}"]);
    Ok(())
}
