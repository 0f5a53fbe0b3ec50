//! Bodies (ABI: "Buffers").

use proxy_wasm_test::{Error, Reply};

use crate::wat::{Wat, answers, said};

const BODIES: [(&str, u32); 2] = [("proxy_on_request_body", 0), ("proxy_on_response_body", 1)];

/// What came out on the other side, and what the module logged.
type Passed = (Vec<u8>, Vec<u8>, Vec<String>);

/// Sends a body in pieces both ways.
fn pass(wat: &Wat, pieces: &[&str]) -> Result<Passed, Error> {
    let proxy = wat.load()?;
    let request = pieces
        .iter()
        .fold(proxy.request("POST", "/"), |r, piece| r.body(piece));
    let reply = pieces
        .iter()
        .fold(Reply::new(200), |r, piece| r.body(piece));
    let stream = request.send()?;
    let upstream = stream.upstream().expect("a request").body;
    let response = stream.respond(reply)?;
    Ok((upstream, response.body().to_vec(), said(&proxy)))
}

#[test]
fn a_streamed_body_is_shown_piece_by_piece() -> Result<(), Error> {
    for (callback, buffer) in BODIES {
        let wat = Wat::new().on(
            callback,
            &format!(
                "(call $number (local.get $body_size)) (call $number (local.get $end_of_stream))
              (drop (call $proxy_get_buffer_bytes #{buffer} #0 #-1 @out)) (call $say @result)"
            ),
        );
        let (upstream, downstream, said) = pass(&wat, &["one", "and", "three"])?;
        assert_eq!(said, ["3", "0", "one", "3", "0", "and", "5", "1", "three"]);
        assert_eq!(
            (upstream, downstream),
            (b"oneandthree".to_vec(), b"oneandthree".to_vec())
        );
    }
    Ok(())
}

#[test]
fn a_held_body_grows() -> Result<(), Error> {
    for (callback, buffer) in BODIES {
        let wat = Wat::new().on(
            callback,
            &format!("(call $number (local.get $body_size))
              (if (i32.eqz (local.get $end_of_stream)) (then (return #1)))
              (drop (call $proxy_get_buffer_bytes #{buffer} #0 (local.get $body_size) @out)) (call $say @result)"),
        );
        let (upstream, downstream, said) = pass(&wat, &["one", "and", "three"])?;
        assert_eq!(said, ["3", "6", "11", "oneandthree"]);
        assert_eq!(
            (upstream, downstream),
            (b"oneandthree".to_vec(), b"oneandthree".to_vec())
        );
    }
    Ok(())
}

#[test]
fn nothing_of_a_held_body_passes() -> Result<(), Error> {
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
fn a_body_is_changed_as_start_and_size_say() -> Result<(), Error> {
    for (start, size, expected) in [
        (0, 0, "NEW0123456789"),
        (10, 0, "0123456789NEW"),
        (-1, 0, "0123456789NEW"),
        (-1, -1, "0123456789NEW"),
        (11, 5, "0123456789NEW"),
        (3, 0, "012NEW3456789"),
        (3, 2, "012NEW56789"),
        (0, 10, "NEW"),
        (0, -1, "NEW"),
        (4, -1, "0123NEW"),
    ] {
        for (callback, buffer) in BODIES {
            let wat = Wat::new().on(
                callback,
                &format!("(call $number (call $proxy_set_buffer_bytes #{buffer} #{start} #{size} @\"NEW\"))"),
            );
            let (upstream, downstream, said) = pass(&wat, &["0123456789"])?;
            let changed = if buffer == 0 { upstream } else { downstream };
            assert_eq!(
                String::from_utf8_lossy(&changed),
                expected,
                "{start} {size} {callback}"
            );
            assert_eq!(said, ["0"]);
        }
    }
    Ok(())
}

#[test]
fn a_body_can_be_emptied() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_response_body",
        "(drop (call $proxy_set_buffer_bytes #1 #0 #-1 @\"\"))",
    );
    assert!(pass(&wat, &["one", "two"])?.1.is_empty());
    Ok(())
}

#[test]
fn a_part_of_a_body_can_be_read() -> Result<(), Error> {
    for (start, size, status, part) in [
        (0, 4, "0", "0123"),
        (8, 4, "0", "89"),
        (9, -10, "0", "9"),
        (10, 4, "0", "untouched"),
        (3, 0, "0", "untouched"),
        (11, 1, "2", "untouched"),
        (1, -1, "2", "untouched"),
        (-1, 1, "2", "untouched"),
    ] {
        let wat = Wat::new()
            .with("(func $remember (param i32 i32) (i32.store #0 (local.get 0)) (i32.store #4 (local.get 1)))")
            .on(
                "proxy_on_request_body",
                &format!("(call $remember @\"untouched\")
                   (call $number (call $proxy_get_buffer_bytes #0 #{start} #{size} @out)) (call $say @result)"),
            );
        assert_eq!(
            pass(&wat, &["0123456789"])?.2,
            [status, part],
            "{start} {size}"
        );
    }
    Ok(())
}

#[test]
fn the_size_of_a_buffer_can_be_asked() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_response_body",
        "(i32.store #4 #77) (call $number (call $proxy_get_buffer_status #1 #0 #4))
         (call $number (i32.load #0)) (call $number (i32.load #4))",
    );
    assert_eq!(pass(&wat, &["12345"])?.2, ["0", "5", "0"]);
    Ok(())
}

#[test]
fn buffers_are_at_hand_in_their_own_callbacks_alone() -> Result<(), Error> {
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
        // The configuration of the VM can be read at any time, as in Envoy.
        for buffer in [0, 1, 2, 3, 4, 5, 7, 8] {
            let read = format!("$proxy_get_buffer_bytes #{buffer} #0 #100 @out");
            let status = format!("$proxy_get_buffer_status #{buffer} #0 #4");
            let change = format!("$proxy_set_buffer_bytes #{buffer} #0 #0 @\"x\"");
            let answers = answers(callback, &[&read, &status, &change])?;
            let expected = match own {
                Some(7) if buffer == 7 => ["0", "0", "2"],
                own if own == Some(buffer) => ["0", "0", "0"],
                _ => ["1", "1", "1"],
            };
            assert_eq!(
                answers[answers.len() - 3..],
                expected,
                "buffer {buffer} in {callback}"
            );
        }
        let unknown = answers(
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
fn a_held_body_can_be_changed_from_elsewhere() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_request_body", "(return #1)").on(
        "proxy_on_tick",
        r#"(drop (call $proxy_set_effective_context #2))
           (call $number (call $proxy_set_buffer_bytes #0 #-1 #0 @"!"))
           (drop (call $proxy_continue_stream #0))"#,
    );
    let proxy = wat.load()?;
    let stream = proxy.request("POST", "/").body("held").send()?;
    proxy.tick()?;
    proxy.tick()?;
    assert_eq!(stream.upstream().expect("a request").body, b"held!");
    assert_eq!(said(&proxy), ["0", "1"]);
    Ok(())
}
