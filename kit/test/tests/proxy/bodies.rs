//! Bodies (ABI: "Buffers").

use proxy_wasm_test::{Error, Options, Reply, Response};

use crate::wat::{Wat, results, results_with, said};

const BODIES: [(&str, u32); 2] = [("proxy_on_request_body", 0), ("proxy_on_response_body", 1)];

/// Removes `content-length`, so that the length of a body can change.
const WITHOUT_LENGTH: [(&str, &str); 2] = [
    (
        "proxy_on_request_headers",
        "(drop (call $proxy_remove_header_map_value #0 @\"content-length\"))",
    ),
    (
        "proxy_on_response_headers",
        "(drop (call $proxy_remove_header_map_value #2 @\"content-length\"))",
    ),
];

/// Logs what the body callback gets, and the body.
fn show(buffer: u32) -> String {
    format!(
        "(call $number (local.get $body_size)) (call $number (local.get $end_of_stream))
         (drop (call $proxy_get_buffer_bytes #{buffer} #0 #-1 @out)) (call $say @result)"
    )
}

/// A module that can change bodies.
fn changing(callback: &str, body: &str) -> Wat {
    WITHOUT_LENGTH
        .into_iter()
        .fold(Wat::new(), |wat, (callback, body)| wat.on(callback, body))
        .on(callback, body)
}

/// The body that the upstream received, the one that the client received, and what the module logged.
type Forwarded = (Vec<u8>, Vec<u8>, Vec<String>);

/// Sends a body in chunks both ways.
fn pass(wat: &Wat, chunks: &[&str]) -> Result<Forwarded, Error> {
    let proxy = wat.load()?;
    let request = chunks
        .iter()
        .fold(proxy.request("POST", "/"), |r, chunk| r.body(chunk));
    let reply = chunks
        .iter()
        .fold(Reply::new(200), |r, chunk| r.body(chunk));
    let stream = request.send()?;
    let upstream = stream.upstream().expect("a request").body;
    let response = stream.respond(reply)?;
    Ok((upstream, response.body().to_vec(), said(&proxy)))
}

#[test]
fn a_streamed_body_is_shown_chunk_by_chunk_and_ends_with_an_empty_one() -> Result<(), Error> {
    for (callback, buffer) in BODIES {
        let wat = Wat::new().on(callback, &show(buffer));
        for chunks in [["one", "two"].as_slice(), &["one", "two", ""]] {
            let (upstream, downstream, said) = pass(&wat, chunks)?;
            assert_eq!(said, ["3", "0", "one", "3", "0", "two", "0", "1", ""]);
            assert_eq!(
                (upstream, downstream),
                (b"onetwo".to_vec(), b"onetwo".to_vec())
            );
        }
    }
    Ok(())
}

#[test]
fn a_chunk_can_be_the_last_one() -> Result<(), Error> {
    let proxy = Wat::new().on("proxy_on_request_body", &show(0)).load()?;
    let stream = proxy.request("POST", "/").begin()?;
    stream.send_body("one", false)?;
    stream.send_body("two", true)?;
    assert_eq!(said(&proxy), ["3", "0", "one", "3", "1", "two"]);
    Ok(())
}

/// The actions of the calls of a body callback, one after the other, and then 0.
fn actions(callback: &str, buffer: u32, actions: [u32; 3]) -> Wat {
    let [first, second, third] = actions;
    let body = format!(
        "{} (global.set $calls (i32.add (global.get $calls) #1))
         (if (i32.eq (global.get $calls) #1) (then (return #{first})))
         (if (i32.eq (global.get $calls) #2) (then (return #{second})))
         (if (i32.eq (global.get $calls) #3) (then (return #{third})))",
        show(buffer)
    );
    changing(callback, &body).with("(global $calls (mut i32) (i32.const 0))")
}

#[test]
fn the_action_of_a_body_callback_decides_what_it_sees_next() -> Result<(), Error> {
    let shows = |chunks: [&str; 4]| -> Vec<String> {
        let ends = ["0", "0", "0", "1"];
        let lines = chunks.into_iter().zip(ends);
        lines
            .flat_map(|(chunk, end)| [chunk.len().to_string(), end.to_owned(), chunk.to_owned()])
            .collect()
    };
    for (chosen, seen, passed) in [
        ([0, 0, 0], ["one", "two", "three", ""], "onetwothree"),
        (
            [1, 1, 1],
            ["one", "onetwo", "onetwothree", "onetwothree"],
            "onetwothree",
        ),
        (
            [1, 0, 1],
            ["one", "onetwo", "three", "three"],
            "onetwothree",
        ),
        ([2, 2, 2], ["one", "two", "three", ""], "onetwothree"),
        (
            [1, 2, 1],
            ["one", "onetwo", "three", "onetwothree"],
            "onetwothree",
        ),
        ([3, 0, 0], ["one", "two", "three", ""], "twothree"),
        (
            [1, 3, 1],
            ["one", "onetwo", "three", "onetwothree"],
            "onetwothree",
        ),
        ([3, 3, 3], ["one", "two", "three", ""], ""),
        ([4, 0, 99], ["one", "two", "three", ""], "two"),
    ] {
        for (callback, buffer) in BODIES {
            let wat = actions(callback, buffer, chosen);
            let (upstream, downstream, said) = pass(&wat, &["one", "two", "three"])?;
            let passed_on = if buffer == 0 { upstream } else { downstream };
            assert_eq!(String::from_utf8_lossy(&passed_on), passed, "{chosen:?}");
            assert_eq!(said, shows(seen), "{chosen:?} in {callback}");
        }
    }
    Ok(())
}

#[test]
fn held_body_is_not_forwarded() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_request_body", "(return #1)");
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").body("one").begin()?;
    stream.send_body("two", true)?;
    let upstream = stream.upstream().expect("headers");
    assert_eq!(
        (upstream.body.as_slice(), upstream.is_complete),
        (b"".as_slice(), false)
    );
    assert!(stream.is_request_paused());
    Ok(())
}

#[test]
fn a_body_is_changed_at_its_beginning_or_its_end() -> Result<(), Error> {
    for (start, size, status, expected) in [
        (0, 0, "0", "NEW0123456789"),
        (0, 1, "0", "NEW123456789"),
        (0, 9, "0", "NEW9"),
        (0, 10, "0", "NEW"),
        (0, 11, "0", "NEW"),
        (0, -1, "0", "NEW"),
        (1, 0, "2", "0123456789"),
        (3, 2, "2", "0123456789"),
        (9, 1, "2", "0123456789"),
        (4, -1, "2", "0123456789"),
        (10, 0, "0", "0123456789NEW"),
        (11, 5, "0", "0123456789NEW"),
        (-1, 0, "0", "0123456789NEW"),
        (-1, -1, "0", "0123456789NEW"),
    ] {
        for (callback, buffer) in BODIES {
            let change = format!(
                "(if (local.get $body_size) (then
                   (call $number (call $proxy_set_buffer_bytes #{buffer} #{start} #{size} @\"NEW\"))))"
            );
            let (upstream, downstream, said) = pass(&changing(callback, &change), &["0123456789"])?;
            let changed = if buffer == 0 { upstream } else { downstream };
            assert_eq!(
                String::from_utf8_lossy(&changed),
                expected,
                "{start} {size} {callback}"
            );
            assert_eq!(said, [status], "{start} {size} {callback}");
        }
    }
    Ok(())
}

#[test]
fn a_body_can_be_emptied() -> Result<(), Error> {
    let wat = changing(
        "proxy_on_response_body",
        "(drop (call $proxy_set_buffer_bytes #1 #0 #-1 @\"\"))",
    );
    assert!(pass(&wat, &["one", "two"])?.1.is_empty());
    Ok(())
}

#[test]
fn a_part_of_a_body_can_be_read() -> Result<(), Error> {
    for (start, size, part) in [
        (0, 4, "0123"),
        (8, 4, "89"),
        (9, -10, "9"),
        (1, -1, "123456789"),
        (10, 4, ""),
        (10, 0, ""),
        (3, 0, ""),
        (11, 1, ""),
        (-1, 1, ""),
        (-1, -1, ""),
    ] {
        let wat = Wat::new().on(
            "proxy_on_request_body",
            &format!(
                "(if (i32.eqz (local.get $body_size)) (then (return #0)))
                 (i32.store #0 #77) (i32.store #4 #77)
                 (call $number (call $proxy_get_buffer_bytes #0 #{start} #{size} @out))
                 (call $say @result) (call $number (i32.eqz (i32.load #0)))"
            ),
        );
        let is_null = if part.is_empty() { "1" } else { "0" };
        assert_eq!(
            pass(&wat, &["0123456789"])?.2,
            ["0", part, is_null],
            "{start} {size}"
        );
    }
    Ok(())
}

#[test]
fn buffer_size_can_be_read() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_response_body",
        "(i32.store #4 #77) (call $number (call $proxy_get_buffer_status #1 #0 #4))
         (call $number (i32.load #0)) (call $number (i32.load #4))",
    );
    assert_eq!(
        pass(&wat, &["12345", ""])?.2,
        ["0", "5", "0", "0", "0", "0"]
    );
    Ok(())
}

#[test]
fn arguments_of_a_foreign_function_are_the_buffer_that_was_read_last() -> Result<(), Error> {
    const LAST: &str = "$proxy_get_buffer_bytes #8 #0 #100 #0 #4";
    const CHANGE: &str = "$proxy_set_buffer_bytes #8 #0 #0 #0 #0";
    let size = "(func $size (result i32) (i32.load #4))";
    for (callback, read, expected) in [
        // The body is read before its callback is called.
        ("proxy_on_request_body", LAST, ["0", "8", "0"]),
        ("proxy_on_request_headers", LAST, ["0", "0", "2"]),
        (
            "proxy_on_configure",
            "$proxy_get_buffer_bytes #7 #0 #100 #0 #4",
            ["0", "10", "2"],
        ),
    ] {
        let results = results_with(size, callback, &[read, LAST, "$size", CHANGE])?;
        assert_eq!(results[1..4], expected, "{callback}");
    }
    Ok(())
}

#[test]
fn buffers_that_do_not_belong_to_a_callback_are_empty_or_do_not_exist() -> Result<(), Error> {
    const EMPTY: [&str; 4] = ["0", "0", "0", "2"];
    const ABSENT: [&str; 4] = ["1", "0", "1", "1"];
    for (callback, own) in [
        ("proxy_on_configure", Some(7)),
        ("proxy_on_request_headers", None),
        ("proxy_on_request_body", Some(0)),
        ("proxy_on_request_trailers", None),
        ("proxy_on_response_headers", None),
        ("proxy_on_response_body", Some(1)),
        ("proxy_on_response_trailers", None),
        ("proxy_on_log", None),
        ("proxy_on_done", None),
    ] {
        for buffer in 0..8 {
            // The status and the size of a read, and the statuses of the other two host calls.
            let read = format!("$proxy_get_buffer_bytes #{buffer} #0 #100 #0 #4");
            let status = format!("$proxy_get_buffer_status #{buffer} #8 #12");
            let change = format!("$proxy_set_buffer_bytes #{buffer} #0 #0 #0 #0");
            let size_of_read = "(func $size (result i32) (i32.load #4))";
            let results =
                results_with(size_of_read, callback, &[&read, "$size", &status, &change])?;
            let results = &results[results.len() - 4..];
            let expected = match (buffer, own) {
                (7, Some(7)) => ["0", "10", "0", "2"],
                (4 | 7, _) => ABSENT,
                _ if own == Some(buffer) => [results[0].as_str(), &results[1], "0", "0"],
                _ => EMPTY,
            };
            assert_eq!(results, expected, "buffer {buffer} in {callback}");
        }
        let unknown = results(
            callback,
            &[
                "$proxy_get_buffer_bytes #9 #0 #1 @out",
                "$proxy_get_buffer_status #9 @out",
                "$proxy_set_buffer_bytes #9 #0 #0 @\"\"",
            ],
        )?;
        assert_eq!(unknown[unknown.len() - 3..], ["2", "2", "2"], "{callback}");
    }
    Ok(())
}

#[test]
fn held_body_can_be_changed_in_another_callback() -> Result<(), Error> {
    let wat = changing("proxy_on_request_body", "(return #1)").on(
        "proxy_on_tick",
        r#"(drop (call $proxy_set_effective_context #2))
           (call $number (call $proxy_set_buffer_bytes #0 #-1 #0 @"!"))
           (drop (call $proxy_continue_stream #0))
           (call $number (call $proxy_set_buffer_bytes #0 #-1 #0 @"?"))"#,
    );
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").body("held").send()?;
    proxy.tick()?;
    proxy.tick()?;
    assert_eq!(stream.upstream().expect("a request").body, b"held!?");
    assert_eq!(said(&proxy), ["0", "0", "2", "2"]);
    Ok(())
}

/// Holds a body to its end, and changes nothing.
fn holder(callback: &str) -> Wat {
    Wat::new()
        .on(callback, "(return (i32.eqz (local.get $end_of_stream)))")
        .on(
            "proxy_on_response_headers",
            "(drop (call $proxy_get_header_map_value #2 @\":status\" @out)) (call $say @result)",
        )
        .on("proxy_on_log", "(call $say @\"log\")")
}

fn exchange(wat: &Wat, options: Options, body: &[u8]) -> Result<(Response, Vec<String>), Error> {
    let proxy = wat.load_with(options)?;
    let request = proxy.request("POST", "/").body(body);
    let response = request.respond(Reply::new(200).body(body))?;
    Ok((response, said(&proxy)))
}

#[test]
fn a_request_that_is_held_beyond_the_limit_is_rejected() -> Result<(), Error> {
    let wat = holder("proxy_on_request_body");
    let (response, _) = exchange(&wat, Options::new(), &vec![b'x'; 1 << 20])?;
    assert_eq!(response.status(), 200);
    let (response, said) = exchange(&wat, Options::new(), &vec![b'x'; (1 << 20) + 1])?;
    assert_eq!(response.status(), 413);
    assert_eq!(response.body(), b"Payload Too Large");
    assert!(response.is_local());
    assert_eq!(said, ["413", "log"]);
    let (response, _) = exchange(&wat, Options::new().buffer_limit(3), b"four")?;
    assert_eq!(response.status(), 413);
    // The limit is for all held chunks together.
    let proxy = wat.load_with(Options::new().buffer_limit(3))?;
    let stream = proxy.request("POST", "/").begin()?;
    stream.send_body("one", false)?;
    assert!(!stream.has_local_response());
    stream.send_body("two", false)?;
    assert!(stream.has_local_response());
    Ok(())
}

#[test]
fn a_response_that_is_held_beyond_the_limit_is_cut_off_or_replaced() -> Result<(), Error> {
    let wat = holder("proxy_on_response_body");
    let limit = || Options::new().buffer_limit(3);
    let result = exchange(&wat, limit(), b"four");
    assert!(matches!(result, Err(Error::StreamReset)), "{result:?}");

    let wat = Wat::new()
        .on("proxy_on_response_headers", "(return #1)")
        .on("proxy_on_response_body", "(return #1)");
    let options = limit().allow_on_headers_stop_iteration(true);
    let (response, _) = exchange(&wat, options, b"four")?;
    assert_eq!(response.status(), 500);
    assert_eq!(response.body(), b"Internal Server Error");
    Ok(())
}

#[test]
fn what_is_held_without_being_shown_again_has_no_limit() -> Result<(), Error> {
    for action in [2, 3] {
        let wat = Wat::new().on(
            "proxy_on_request_body",
            &format!("(if (i32.eqz (local.get $end_of_stream)) (then (return #{action})))"),
        );
        let wat = WITHOUT_LENGTH
            .into_iter()
            .fold(wat, |wat, (callback, body)| wat.on(callback, body));
        let (response, _) = exchange(&wat, Options::new().buffer_limit(3), b"four")?;
        assert_eq!(response.status(), 200, "{action}");
    }
    Ok(())
}
