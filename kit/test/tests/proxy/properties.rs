//! Properties (ABI: "Properties").

use proxy_wasm_test::{Error, Options};

use crate::wat::{Wat, answers, said};

const GET: &str = "(call $number (call $proxy_get_property @\"a\\0b\" @out)) (call $say @result)";

#[test]
fn a_property_of_the_test_is_seen_by_the_plugin_and_its_streams() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_tick", GET)
        .on("proxy_on_request_headers", GET);
    let proxy = wat.load()?;
    proxy.tick()?;
    proxy.set_property(&["a", "b"], "value");
    proxy.tick()?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["1", "", "0", "value", "0", "value"]);
    Ok(())
}

#[test]
fn a_property_of_a_stream_is_its_own() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_request_headers",
            "(drop (call $proxy_set_property @\"a\\0b\" @\"mine\"))",
        )
        .on("proxy_on_response_headers", GET)
        .on("proxy_on_tick", GET);
    let proxy = wat.load()?;
    let stream = proxy.request("GET", "/").send()?;
    proxy.tick()?;
    stream.respond(200)?;
    let stream = proxy.request("GET", "/").send()?;
    stream.set_property(&["a", "b"], "the test's");
    stream.respond(200)?;
    assert_eq!(said(&proxy), ["1", "", "0", "mine", "0", "the test's"]);
    Ok(())
}

#[test]
fn a_plugin_has_no_property_to_set() -> Result<(), Error> {
    let set = "$proxy_set_property @\"a\" @\"b\"";
    assert_eq!(answers("proxy_on_configure", &[set])?, ["1"]);
    assert_eq!(answers("proxy_on_request_headers", &[set])?, ["0"]);
    Ok(())
}

#[test]
fn the_names_of_the_plugin_and_the_vm_are_properties() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_request_headers",
        r#"(drop (call $proxy_get_property @"plugin_root_id" @out)) (call $say @result)
           (drop (call $proxy_get_property @"plugin_vm_id" @out)) (call $say @result)"#,
    );
    let proxy = wat.load_with(Options::new().root_id("root").vm_id("vm"))?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["root", "vm"]);
    Ok(())
}
