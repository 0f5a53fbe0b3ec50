//! gRPC calls and streams (ABI: "gRPC calls"). What is asserted was seen in Envoy 1.40.

use std::time::Duration;

use proxy_wasm_test::{Error, GrpcReply, Options, Proxy};

use crate::wat::{BAD, Wat, said};

/// Makes a call, and logs its status and identifier.
const CALL: &str = r#"(call $number
        (call $proxy_grpc_call @"grpc" @"a.B" @"C" #0 #0 @"request" #1000 #12))
    (call $number (i32.load #12))"#;

/// Starts a stream, and logs its status and identifier.
const STREAM: &str = r#"(call $number (call $proxy_grpc_stream @"grpc" @"a.B" @"C" #0 #0 #12))
    (call $number (i32.load #12))"#;

const STATUS: &str = "(call $number (call $proxy_get_status #8 @out))
    (call $number (i32.load #8)) (call $say @result)";

/// A module that does something when its timer runs, and logs what it gets.
fn module(on_tick: &str) -> Wat {
    let metadata = |name: &str, map: u32| {
        format!(
            "(call $say @\"{name}\") (call $number (local.get $call_id))
             (call $number (local.get $num_elements))
             (call $number (call $proxy_get_header_map_value #{map} @\"x-{name}\" @out))
             (call $number (call $proxy_add_header_map_value #{map} @\"a\" @\"b\")) {STATUS}"
        )
    };
    Wat::new()
        .on("proxy_on_tick", on_tick)
        .on(
            "proxy_on_grpc_receive_initial_metadata",
            &metadata("initial", 4),
        )
        .on(
            "proxy_on_grpc_receive",
            &format!(
                "(call $say @\"message\") (call $number (local.get $call_id))
                 (call $number (local.get $message_size))
                 (call $number (call $proxy_get_buffer_bytes #5 #0 #100 @out)) (call $say @result)
                 {STATUS}"
            ),
        )
        .on(
            "proxy_on_grpc_receive_trailing_metadata",
            &metadata("trailing", 5),
        )
        .on(
            "proxy_on_grpc_close",
            &format!(
                "(call $say @\"close\") (call $number (local.get $call_id))
                 (call $number (local.get $status_code)) {STATUS}"
            ),
        )
}

/// Runs the timer. Returns the proxy.
fn ticked(module: &Wat) -> Result<Proxy, Error> {
    let proxy = module.load()?;
    proxy.tick()?;
    Ok(proxy)
}

/// What is logged after the first `skip` lines, joined.
fn log(proxy: &Proxy, skip: usize) -> String {
    said(proxy)[skip..].join(" ")
}

#[test]
fn call_carries_what_the_extension_wrote() -> Result<(), Error> {
    let proxy = ticked(&module(CALL))?;
    assert_eq!(said(&proxy), ["0", "5"]);
    let call = &proxy.grpc_calls()[0];
    assert_eq!((call.id, call.cluster.as_str()), (5, "grpc"));
    assert_eq!((call.service.as_str(), call.method.as_str()), ("a.B", "C"));
    assert_eq!(call.messages, [b"request"]);
    assert_eq!(call.timeout, Some(Duration::from_secs(1)));
    assert!(call.end_of_stream && !call.is_stream());
    Ok(())
}

#[test]
fn call_gets_only_the_last_message() -> Result<(), Error> {
    let proxy = ticked(&module(CALL))?;
    let reply = GrpcReply::new().metadata("x-initial", "1").message("first");
    let reply = reply.message("reply").trailer("x-trailing", "2");
    proxy.respond_to_grpc_call(5, reply)?;
    assert_eq!(log(&proxy, 2), "message 5 5 0 reply 0 0 ");
    assert!(proxy.grpc_calls().is_empty());
    assert!(matches!(
        proxy.respond_to_grpc_call(5, GrpcReply::new()),
        Err(Error::InvalidState(_))
    ));
    Ok(())
}

#[test]
fn failed_call_gets_only_its_status() -> Result<(), Error> {
    let failed = GrpcReply::new().status(7, "denied").message("ignored");
    for (reply, expected) in [
        (failed, "close 5 7 0 7 denied{via_upstream}"),
        (
            GrpcReply::new().status(12, ""),
            "close 5 12 0 12 via_upstream",
        ),
        (GrpcReply::new(), "close 5 13 0 13 "),
        (
            GrpcReply::new().status(99, ""),
            "close 5 4294967295 0 4294967295 via_upstream",
        ),
    ] {
        let proxy = ticked(&module(CALL))?;
        proxy.respond_to_grpc_call(5, reply)?;
        assert_eq!(log(&proxy, 2), expected);
        assert!(proxy.grpc_calls().is_empty());
    }
    Ok(())
}

#[test]
fn call_times_out_after_its_timeout() -> Result<(), Error> {
    let proxy = ticked(&module(CALL))?;
    proxy.advance(Duration::from_millis(999))?;
    assert_eq!(proxy.grpc_calls().len(), 1);
    proxy.advance(Duration::from_millis(1))?;
    let expected = "close 5 14 0 14 upstream request timeout{response_timeout}";
    assert_eq!(log(&proxy, 2), expected);
    assert!(proxy.grpc_calls().is_empty());
    Ok(())
}

#[test]
fn call_with_timeout_zero_does_not_time_out() -> Result<(), Error> {
    let proxy = ticked(&module(&CALL.replace("#1000", "#0")))?;
    proxy.advance(Duration::from_secs(1_000_000))?;
    assert_eq!(proxy.grpc_calls()[0].timeout, Some(Duration::ZERO));
    Ok(())
}

#[test]
fn calls_that_cannot_be_sent_are_rejected() -> Result<(), Error> {
    let service = r#"@"\n\u{6}\n\u{4}nope""#;
    let unavailable = "10 99 close 5 14 0 14 Cluster not available";
    for (from, to, expected) in [
        (r#"@"grpc""#, r#"@"nope""#, "4 99"),
        (r#"@"grpc""#, service, unavailable),
        (r#"@"request""#, &format!("{BAD} #8"), "6 99"),
        ("#1000 #12", &format!("#1000 {BAD}"), "6 99"),
        // Metadata that cannot be decoded is ignored.
        ("#0 #0 @", r#"@"abc" @"#, "0 5"),
    ] {
        let to = to.replace("\\u{6}", "\u{6}").replace("\\u{4}", "\u{4}");
        let call = format!("(i32.store #12 #99) {}", CALL.replacen(from, &to, 1));
        let proxy = module(&call).load_with(Options::new().missing_cluster("nope"))?;
        proxy.tick()?;
        assert_eq!(log(&proxy, 0), expected, "{to:?}");
    }
    Ok(())
}

#[test]
fn cluster_name_that_envoy_reads_as_a_message_traps() -> Result<(), Error> {
    for cluster in [r#"@"hi""#, r#"@"authorize""#, "#0 #0"] {
        let proxy = module(&CALL.replacen(r#"@"grpc""#, cluster, 1)).load()?;
        let error = proxy.tick().unwrap_err().to_string();
        assert!(error.contains("Envoy aborts here"), "{error}");
    }
    Ok(())
}

#[test]
fn stream_shows_metadata_messages_and_status_in_order() -> Result<(), Error> {
    let proxy = ticked(&module(&format!(
        r#"{STREAM} (call $number (call $proxy_grpc_send #6 @"one" #0))
           (call $number (call $proxy_grpc_send #6 @"two" #1))
           (call $number (call $proxy_grpc_send #6 @"lost" #1))"#
    )))?;
    assert_eq!(log(&proxy, 0), "0 6 0 0 0");
    let call = &proxy.grpc_calls()[0];
    assert_eq!(call.messages, [b"one", b"two"]);
    assert!(call.is_stream() && call.end_of_stream);

    let first = GrpcReply::new().metadata("x-initial", "i").message("a");
    proxy.respond_to_grpc_call(6, first.keep_open())?;
    assert_eq!(
        log(&proxy, 5),
        "initial 6 3 0 2 0 0  message 6 1 0 a 0 0 ",
        "metadata: :status, content-type and x-initial"
    );
    assert_eq!(proxy.grpc_calls().len(), 1);

    let last = GrpcReply::new().message("b").trailer("x-trailing", "t");
    proxy.respond_to_grpc_call(6, last.status(2, "broken"))?;
    assert_eq!(
        log(&proxy, 21),
        "message 6 1 0 b 0 0  trailing 6 3 0 2 0 0  close 6 2 0 2 broken{via_upstream}",
        "metadata: grpc-status, grpc-message and x-trailing"
    );
    assert!(proxy.grpc_calls().is_empty());
    Ok(())
}

#[test]
fn stream_that_fails_at_once_has_its_headers_as_trailers() -> Result<(), Error> {
    let proxy = ticked(&module(STREAM))?;
    proxy.respond_to_grpc_call(6, GrpcReply::new().status(14, "down"))?;
    assert_eq!(
        log(&proxy, 2),
        "initial 6 0 1 2 0 0  trailing 6 4 1 2 0 0  close 6 14 0 14 down{via_upstream}"
    );
    Ok(())
}

#[test]
fn stream_stays_until_both_sides_have_closed_it() -> Result<(), Error> {
    let close = "(call $number (call $proxy_grpc_send #6 @\"late\" #0))
        (call $number (call $proxy_grpc_close #6)) (call $number (call $proxy_grpc_close #6))";
    // The service first.
    let wat = module(STREAM).on("proxy_on_queue_ready", "");
    let proxy = wat.on("proxy_on_configure", close).load()?;
    proxy.tick()?;
    proxy.respond_to_grpc_call(6, GrpcReply::new())?;
    let count = said(&proxy).len();
    proxy.reconfigure("")?;
    assert_eq!(log(&proxy, count), "0 0 1");
    // The extension first.
    let proxy = ticked(&module(&format!("{STREAM} {close}")))?;
    assert_eq!(log(&proxy, 2), "0 0 0");
    assert_eq!(proxy.grpc_calls()[0].messages, [b"late"]);
    proxy.respond_to_grpc_call(6, GrpcReply::new())?;
    assert!(log(&proxy, 5).ends_with("close 6 0 0 0 via_upstream"));
    Ok(())
}

#[test]
fn cancelled_call_gets_nothing() -> Result<(), Error> {
    for (start, id) in [(CALL, 5), (STREAM, 6)] {
        let cancel = format!("(call $number (call $proxy_grpc_cancel #{id}))");
        let proxy = ticked(&module(&format!("{start} {cancel} {cancel}")))?;
        assert_eq!(log(&proxy, 2), "0 1");
        assert!(proxy.grpc_calls().is_empty());
        let reply = proxy.respond_to_grpc_call(id, GrpcReply::new());
        assert!(matches!(reply, Err(Error::InvalidState(_))));
    }
    Ok(())
}

#[test]
fn stream_that_is_cancelled_in_a_callback_ends_there() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_tick", STREAM).on(
        "proxy_on_grpc_receive",
        "(call $number (call $proxy_grpc_cancel (local.get $call_id)))",
    );
    let proxy = ticked(&wat.on("proxy_on_grpc_close", "(call $say @\"closed\")"))?;
    let reply = GrpcReply::new().message("one").message("two");
    proxy.respond_to_grpc_call(6, reply)?;
    assert_eq!(log(&proxy, 2), "0");
    Ok(())
}

#[test]
fn identifiers_of_another_kind_are_bad_arguments() -> Result<(), Error> {
    let proxy = ticked(&module(
        "(call $number (call $proxy_grpc_send #5 @\"a\" #0))
         (call $number (call $proxy_grpc_send #6 @\"a\" #0))
         (call $number (call $proxy_grpc_close #4)) (call $number (call $proxy_grpc_close #5))
         (call $number (call $proxy_grpc_cancel #7)) (call $number (call $proxy_grpc_cancel #6))",
    ))?;
    assert_eq!(said(&proxy), ["2", "1", "2", "1", "2", "1"]);
    Ok(())
}

#[test]
fn plugin_that_was_shut_down_gets_no_response() -> Result<(), Error> {
    let proxy = ticked(&module(CALL))?;
    proxy.shut_down()?;
    assert!(proxy.grpc_calls().is_empty());
    Ok(())
}
