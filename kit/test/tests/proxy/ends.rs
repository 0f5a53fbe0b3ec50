//! How streams end: complete, or by a client or an upstream that closes its connection.

use proxy_wasm_test::{Error, Reply};

use crate::wat::{Wat, said};

/// Logs the callbacks of a response, and of the end of a stream.
fn tracer() -> Wat {
    [
        "proxy_on_response_headers",
        "proxy_on_response_body",
        "proxy_on_log",
        "proxy_on_done",
        "proxy_on_delete",
    ]
    .into_iter()
    .fold(Wat::new(), |wat, callback| {
        wat.on(
            callback,
            &format!("(call $say @\"{}\")", &callback["proxy_on_".len()..]),
        )
    })
}

const END: [&str; 3] = ["log", "done", "delete"];

#[test]
fn a_stream_ends_with_its_response() -> Result<(), Error> {
    let proxy = tracer().load()?;
    let stream = proxy.request("POST", "/").begin()?;
    stream.begin_response(200)?;
    stream.send_response_body("end", true)?;
    let ended = [&["response_headers", "response_body"][..], &END].concat();
    assert_eq!(said(&proxy), ended);
    // The rest of the request is ignored.
    stream.send_body("late", true)?;
    assert_eq!(stream.finish()?.body(), b"end");
    assert_eq!(said(&proxy), ended);
    Ok(())
}

#[test]
fn a_client_that_closes_its_connection_ends_the_stream() -> Result<(), Error> {
    let proxy = tracer().load()?;
    proxy.request("POST", "/").begin()?.reset()?;
    assert_eq!(said(&proxy), END);
    // Dropping the stream does the same.
    let proxy = tracer().load()?;
    drop(proxy.request("POST", "/").begin()?);
    assert_eq!(said(&proxy), END);
    // The callbacks at the end are called only once.
    let proxy = tracer().load()?;
    let stream = proxy.request("GET", "/").send()?;
    stream.begin_response(200)?;
    stream.send_response_body("", true)?;
    stream.reset()?;
    assert_eq!(said(&proxy).len(), 5);
    Ok(())
}

#[test]
fn envoy_responds_if_the_upstream_fails_before_its_response() -> Result<(), Error> {
    let proxy = tracer().load()?;
    let stream = proxy.request("GET", "/").send()?;
    stream.reset_upstream()?;
    let response = stream.finish()?;
    assert_eq!(response.status(), 503);
    assert!(response.is_local());
    let text = String::from_utf8_lossy(response.body());
    assert!(
        text.ends_with("reset reason: connection termination"),
        "{text}"
    );
    let ended = [&["response_headers", "response_body"][..], &END].concat();
    assert_eq!(said(&proxy), ended);

    let request = proxy
        .request("POST", "/")
        .header("content-type", "application/grpc");
    let stream = request.send()?;
    stream.reset_upstream()?;
    assert_eq!(stream.finish()?.header("grpc-status"), ["14"]);
    Ok(())
}

#[test]
fn response_is_cut_off_if_the_upstream_fails() -> Result<(), Error> {
    let proxy = tracer().load()?;
    let stream = proxy.request("GET", "/").send()?;
    stream.begin_response(Reply::new(200).body("he"))?;
    stream.reset_upstream()?;
    assert!(matches!(stream.finish(), Err(Error::StreamReset)));
    let ended = [&["response_headers", "response_body"][..], &END].concat();
    assert_eq!(said(&proxy), ended);
    Ok(())
}

#[test]
fn response_with_held_headers_is_replaced_if_the_upstream_fails() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_response_headers", "(return #1)")
        .on("proxy_on_log", "(call $say @\"log\")");
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    stream.begin_response(Reply::new(200).body("he"))?;
    stream.reset_upstream()?;
    assert_eq!(said(&proxy), ["log"]);
    assert_eq!(stream.finish()?.status(), 502);
    Ok(())
}

#[test]
fn upstream_without_a_request_cannot_be_reset() -> Result<(), Error> {
    let proxy = Wat::new()
        .on("proxy_on_request_headers", "(return #1)")
        .load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert!(matches!(
        stream.reset_upstream(),
        Err(Error::InvalidState(_))
    ));
    assert!(stream.is_request_paused());
    Ok(())
}
