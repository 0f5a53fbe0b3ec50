//! ABI 0.1.0, as Envoy supports it.

use proxy_wasm_abi::AbiVersion;
use proxy_wasm_test::{Error, Options};

use crate::wat::{Wat, said};

fn wat() -> Wat {
    Wat::new().version(AbiVersion::V0_1_0)
}

#[test]
fn headers_callbacks_have_the_context_and_the_number_of_headers() -> Result<(), Error> {
    let both =
        "(call $number (local.get $stream_context_id)) (call $number (local.get $num_headers))";
    let proxy = wat()
        .on("proxy_on_request_headers", both)
        .on("proxy_on_response_headers", both)
        .load()?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["2", "4", "2", "1"]);
    Ok(())
}

#[test]
fn configuration_is_that_of_the_plugin_while_it_is_configured() -> Result<(), Error> {
    let get = "(call $number (call $proxy_get_configuration @out)) (call $say @result)";
    let proxy = wat()
        .on("proxy_on_vm_start", get)
        .on("proxy_on_configure", get)
        .on("proxy_on_tick", get)
        .load_with(Options::new().vm_configuration("of the VM"))?
        .configure("of the plugin")?;
    proxy.tick()?;
    let expected = ["0", "of the VM", "0", "of the plugin", "0", "of the VM"];
    assert_eq!(said(&proxy), expected);
    Ok(())
}

#[test]
fn header_that_does_not_exist_is_empty() -> Result<(), Error> {
    let get = "(i32.store #0 #7) (i32.store #4 #7)
        (call $number (call $proxy_get_header_map_value #0 @\"none\" @out))
        (call $number (i32.load #0)) (call $number (i32.load #4))";
    let proxy = wat().on("proxy_on_request_headers", get).load()?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["0", "0", "0"]);
    let newer = Wat::new().on("proxy_on_request_headers", get).load()?;
    newer.request("GET", "/").respond(200)?;
    assert_eq!(said(&newer), ["1", "7", "7"]);
    Ok(())
}

#[test]
fn request_and_response_are_continued() -> Result<(), Error> {
    let pause = "(global.set $context (local.get 0)) (return #1)";
    let proxy = wat()
        .with("(global $context (mut i32) (i32.const 0))")
        .on("proxy_on_request_headers", pause)
        .on("proxy_on_response_headers", pause)
        .on(
            "proxy_on_tick",
            "(drop (call $proxy_set_effective_context (global.get $context)))
             (call $number (call $proxy_continue_request))",
        )
        .on(
            "proxy_on_queue_ready",
            "(drop (call $proxy_set_effective_context (global.get $context)))
             (call $number (call $proxy_continue_response))",
        )
        .on(
            "proxy_on_configure",
            "(drop (call $proxy_register_shared_queue @\"queue\" #8))",
        )
        .load()?
        .configure("")?;
    let stream = proxy.request("GET", "/").send()?;
    assert!(stream.is_request_paused());
    proxy.tick()?;
    assert!(!stream.is_request_paused());
    assert!(matches!(
        stream.respond(200),
        Err(Error::Paused("response"))
    ));
    proxy.enqueue("queue", "item")?;
    assert_eq!(stream.finish()?.status(), 200);
    assert_eq!(said(&proxy), ["0", "0"]);
    Ok(())
}

#[test]
fn route_cache_can_be_cleared() -> Result<(), Error> {
    let proxy = wat()
        .on(
            "proxy_on_request_headers",
            "(call $number (call $proxy_clear_route_cache))",
        )
        .load()?;
    let response = proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["0"]);
    let calls: Vec<_> = response.host_calls().iter().map(|call| call.name).collect();
    assert_eq!(calls, ["proxy_clear_route_cache", "proxy_log"]);
    Ok(())
}
