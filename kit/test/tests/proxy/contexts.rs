//! Contexts (ABI: `proxy_set_effective_context`, `proxy_done`).

use proxy_wasm_test::Error;

use crate::wat::{Wat, results, said};

#[test]
fn the_effective_context_lasts_until_the_callback_returns() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_tick",
            r#"(call $number (call $proxy_set_property @"a" @"before"))
               (call $number (call $proxy_set_effective_context #2))
               (call $number (call $proxy_set_property @"a" @"within"))
               (call $number (call $proxy_set_effective_context #99))
               (call $number (call $proxy_set_property @"a" @"still"))
               (call $number (call $proxy_set_effective_context (local.get $plugin_context_id)))
               (call $number (call $proxy_set_property @"a" @"after"))"#,
        )
        .on(
            "proxy_on_response_headers",
            "(drop (call $proxy_get_property @\"a\" @out)) (call $say @result)",
        );
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    proxy.tick()?;
    let first = ["1", "0", "0", "2", "0", "0", "1"];
    assert_eq!(said(&proxy), first);
    proxy.tick()?;
    assert_eq!(said(&proxy)[7..], first);
    stream.respond(200)?;
    assert_eq!(said(&proxy)[14..], ["still"]);
    proxy.tick()?;
    assert_eq!(said(&proxy)[16], "2", "the stream has ended");
    Ok(())
}

#[test]
fn context_zero_is_that_of_the_callback() -> Result<(), Error> {
    let calls = [
        "$proxy_set_effective_context #1",
        "$proxy_set_property @\"a\" @\"b\"",
        "$proxy_set_effective_context #0",
        "$proxy_set_property @\"a\" @\"b\"",
    ];
    let on = |callback| results(callback, &calls);
    assert_eq!(on("proxy_on_request_headers")?, ["0", "1", "0", "0"]);
    assert_eq!(on("proxy_on_configure")?, ["0", "1", "0", "1"]);
    Ok(())
}

#[test]
fn plugin_that_is_not_done_runs_until_it_calls_proxy_done() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_done", "(call $say @\"done?\") (return #0)")
        .on("proxy_on_delete", "(call $say @\"delete\")")
        .on(
            "proxy_on_tick",
            "(call $number (call $proxy_done)) (call $number (call $proxy_done))",
        );
    let proxy = wat.load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["1", "1"]);
    proxy.shut_down()?;
    assert!(proxy.is_alive());
    assert!(matches!(proxy.shut_down(), Err(Error::InvalidState(_))));
    proxy.tick()?;
    assert!(!proxy.is_alive());
    assert_eq!(said(&proxy)[2..], ["done?", "0", "1", "delete"]);
    assert!(matches!(
        proxy.request("GET", "/").send(),
        Err(Error::InvalidState(_))
    ));
    Ok(())
}

#[test]
fn stream_can_call_proxy_done_for_its_plugin() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_done",
            "(return (i32.ne (local.get $context_id) #1))",
        )
        .on(
            "proxy_on_response_headers",
            "(call $number (call $proxy_done))",
        )
        .on("proxy_on_delete", "(call $number (local.get $context_id))");
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    proxy.shut_down()?;
    stream.respond(200)?;
    assert!(!proxy.is_alive());
    assert_eq!(said(&proxy), ["0", "1", "2"]);
    Ok(())
}

#[test]
fn plugin_that_is_done_is_deleted_at_once() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_done", "(call $say @\"done\")")
        .on("proxy_on_log", "(call $say @\"log\")")
        .on("proxy_on_delete", "(call $say @\"delete\")");
    let proxy = wat.load()?;
    proxy.shut_down()?;
    assert!(!proxy.is_alive());
    assert_eq!(said(&proxy), ["done", "delete"]);
    assert!(matches!(proxy.shut_down(), Err(Error::InvalidState(_))));
    Ok(())
}

#[test]
fn proxy_done_is_not_found_unless_the_plugin_is_shutting_down() -> Result<(), Error> {
    for callback in ["proxy_on_request_headers", "proxy_on_done", "proxy_on_log"] {
        assert_eq!(results(callback, &["$proxy_done"])?, ["1"], "{callback}");
    }
    Ok(())
}

#[test]
fn open_streams_outlive_their_plugin() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_response_headers", "(call $say @\"response\")")
        .on("proxy_on_delete", "(call $number (local.get $context_id))");
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    proxy.shut_down()?;
    assert_eq!(stream.respond(200)?.status(), 200);
    assert_eq!(said(&proxy), ["1", "response", "2"]);
    Ok(())
}
