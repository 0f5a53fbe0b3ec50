//! Foreign functions (ABI: "Foreign function interface").

use proxy_wasm_test::{Error, ForeignCall, Options, Status};

use crate::wat::{BAD, Wat, results, said};

/// Calls a foreign function, and logs the status and the result.
fn call(name: &str, arguments: &str) -> String {
    format!(
        "(call $number (call $proxy_call_foreign_function @\"{name}\" @\"{arguments}\" #16 #20))
         (call $say (i32.load #16) (i32.load #20))"
    )
}

/// The arguments of `set_envoy_filter_state`, as the tests' modules write text.
fn filter_state(key: &str, value: &str, life_span: u8) -> String {
    let length = |text: &str| char::from(u8::try_from(text.len()).expect("a short text"));
    let (key_length, value_length) = (length(key), length(value));
    let life_span = char::from(life_span);
    format!("\n{key_length}{key}\u{12}{value_length}{value}\u{18}{life_span}")
}

/// The arguments of `declare_property`.
fn declaration(name: &str, is_read_only: bool) -> String {
    let length = char::from(u8::try_from(name.len()).expect("a short text"));
    let is_read_only = char::from(u8::from(is_read_only));
    format!("\n{length}{name}\u{10}{is_read_only}")
}

#[test]
fn function_of_a_test_is_called() -> Result<(), Error> {
    let all = call("reverse", "abc") + &call("reverse", "") + &call("none", "abc");
    let wat = Wat::new().on("proxy_on_vm_start", &all);
    let options = Options::new().foreign_function("reverse", |arguments| {
        let reversed: Vec<u8> = arguments.iter().rev().copied().collect();
        match reversed.is_empty() {
            true => Err(Status::BadArgument),
            false => Ok(reversed),
        }
    });
    let proxy = wat.load_with(options)?;
    assert_eq!(said(&proxy), ["0", "cba", "2", "", "1", ""]);
    let call = |name: &str, arguments: &str, status| ForeignCall {
        name: name.to_owned(),
        arguments: arguments.into(),
        status,
    };
    assert_eq!(
        proxy.foreign_calls(),
        [
            call("reverse", "abc", Status::Ok),
            call("reverse", "", Status::BadArgument),
            call("none", "abc", Status::NotFound),
        ]
    );
    Ok(())
}

#[test]
fn function_of_a_test_replaces_one_of_envoy() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_vm_start", &call("compress", "abc"));
    let options = Options::new().foreign_function("compress", |_| Ok(b"other".to_vec()));
    assert_eq!(said(&wat.load_with(options)?), ["0", "other"]);
    Ok(())
}

#[test]
fn function_that_only_envoy_has_is_named_in_the_error() {
    for name in [
        "expr_create",
        "expr_delete",
        "expr_evaluate",
        "sign",
        "verify_signature",
    ] {
        let wat = Wat::new().on("proxy_on_vm_start", &call(name, ""));
        let error = wat.load().map(drop).unwrap_err().to_string();
        let advice = format!("{name}; provide one with Options::foreign_function");
        assert!(error.contains(&advice), "{error}");
    }
}

#[test]
fn route_cache_can_be_cleared_everywhere() -> Result<(), Error> {
    let clear = "$proxy_call_foreign_function @\"clear_route_cache\" #0 #0 #0 #0";
    for callback in [
        "proxy_on_configure",
        "proxy_on_request_headers",
        "proxy_on_log",
    ] {
        assert_eq!(results(callback, &[clear])?, ["0"], "{callback}");
    }
    Ok(())
}

#[test]
fn result_is_not_written_to_address_zero() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(i32.store #16 #77) (i32.store #0 #77)
         (call $number (call $proxy_call_foreign_function @\"a\" @\"b\" #0 #20))
         (call $number (i32.load #0)) (call $number (i32.load #20))
         (call $number (call $proxy_call_foreign_function @\"a\" @\"b\" #16 #0))
         (call $number (i32.eq (i32.load #16) #77)) (call $number (i32.load #0))",
    );
    let options = Options::new().foreign_function("a", |_| Ok(b"result".to_vec()));
    let proxy = wat.load_with(options)?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["0", "77", "6", "0", "0", "77"]);
    Ok(())
}

#[test]
fn failed_function_has_an_empty_result_and_an_unknown_one_has_none() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(i32.store #16 #77) (i32.store #20 #77)
         (call $number (call $proxy_call_foreign_function @\"uncompress\" @\"x\" #16 #20))
         (call $number (i32.load #16)) (call $number (i32.load #20))
         (i32.store #16 #77) (i32.store #20 #77)
         (call $number (call $proxy_call_foreign_function @\"none\" @\"x\" #16 #20))
         (call $number (i32.load #16)) (call $number (i32.load #20))",
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["3", "0", "0", "1", "77", "77"]);
    Ok(())
}

#[test]
fn addresses_outside_the_memory_are_rejected() -> Result<(), Error> {
    let clear = "@\"clear_route_cache\"";
    let calls = [
        format!("$proxy_call_foreign_function {BAD} #1 #0 #0 #0 #0"),
        format!("$proxy_call_foreign_function {clear} {BAD} #1 #0 #0"),
        format!("$proxy_call_foreign_function {clear} #0 #0 {BAD} #4"),
        format!("$proxy_call_foreign_function {clear} #0 #0 #4 {BAD}"),
        format!("$proxy_call_foreign_function @\"none\" #0 #0 {BAD} {BAD}"),
    ];
    let calls = calls.each_ref().map(String::as_str);
    let statuses = results("proxy_on_configure", &calls)?;
    assert_eq!(statuses, ["6", "6", "6", "6", "1"]);
    Ok(())
}

#[test]
fn what_is_compressed_can_be_uncompressed() -> Result<(), Error> {
    let uncompress =
        "(call $number (call $proxy_call_foreign_function @\"uncompress\" (i32.load #16) (i32.load #20) #24 #28))
         (call $say (i32.load #24) (i32.load #28))";
    let compress = |text: &str| {
        format!(
            "(call $number (call $proxy_call_foreign_function @\"compress\" @\"{text}\" #16 #20))
             (call $number (i32.load8_u (i32.load #16))) {uncompress}"
        )
    };
    let proxy = Wat::new()
        .on(
            "proxy_on_tick",
            &(compress("hello, hello, hello") + &compress("")),
        )
        .load()?;
    proxy.tick()?;
    // zlib's first byte.
    let expected = ["0", "120", "0", "hello, hello, hello", "0", "120", "0", ""];
    assert_eq!(said(&proxy), expected);
    Ok(())
}

#[test]
fn bytes_of_zlib_are_uncompressed() -> Result<(), Error> {
    // "hello", as Envoy 1.40 compresses it.
    const HELLO: [u8; 13] = [
        0x78, 0x9c, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x06, 0x2c, 0x02, 0x15,
    ];
    let bytes =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("\\{byte:02x}")).collect() };
    let data = format!("(data (i32.const 500) \"{}trailing\")", bytes(&HELLO));
    let uncompress = |length: u32| {
        format!(
            "(call $number (call $proxy_call_foreign_function @\"uncompress\" #500 #{length} #16 #20))
             (call $say (i32.load #16) (i32.load #20))"
        )
    };
    let all = [13, 21, 12, 0].map(uncompress).concat();
    let proxy = Wat::new().with(&data).on("proxy_on_tick", &all).load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["0", "hello", "0", "hello", "3", "", "3", ""]);
    Ok(())
}

#[test]
fn allocator_without_memory_is_a_trap_because_envoy_crashes() -> Result<(), Error> {
    let module = Wat::new()
        .on("proxy_on_tick", &call("compress", "abc"))
        .text();
    for address in ["0", "0x7fffffff"] {
        let result = format!("(i32.const {address})\n");
        let module = module.replace("(global.get $heap)\n", &result);
        let error = Options::new().load(module)?.tick().unwrap_err().to_string();
        assert!(error.contains("and Envoy crashes"), "{error}");
    }
    Ok(())
}

#[test]
fn filter_state_of_envoy_is_set() -> Result<(), Error> {
    let set = |key, value, life_span| {
        call(
            "set_envoy_filter_state",
            &filter_state(key, value, life_span),
        )
    };
    let all = set("envoy.string", "one", 0)
        + &set("envoy.string", "two", 0)
        // As in Envoy, it stays, because it has another life span.
        + &set("envoy.string", "three", 1)
        + &set("envoy.upstream.dynamic_port", " 80", 0)
        + &set("envoy.upstream.dynamic_port", "none", 0)
        + &set("wasm.a", "value", 0)
        + "(call $number (call $proxy_get_property @\"filter_state\\0envoy.string\" @out))
           (call $say @result)";
    let proxy = Wat::new().on("proxy_on_request_headers", &all).load()?;
    let stream = proxy.request("GET", "/").send()?;
    assert_eq!(
        stream.filter_state("envoy.string").as_deref(),
        Some(&b"two"[..])
    );
    let response = stream.respond(200)?;
    assert_eq!(
        response.filter_state("envoy.upstream.dynamic_port"),
        Some(&b"80"[..])
    );
    assert_eq!(response.filter_state("wasm.a"), None);
    assert_eq!(
        said(&proxy),
        [
            "0", "", "0", "", "0", "", "0", "", "2", "", "1", "", "0", "two"
        ]
    );
    Ok(())
}

#[test]
fn arguments_that_are_not_a_message_are_rejected() -> Result<(), Error> {
    let all = call("set_envoy_filter_state", "\n\u{7f}")
        + &call("set_envoy_filter_state", "")
        + &call("declare_property", "\n\u{7f}")
        + &call("declare_property", "");
    let proxy = Wat::new().on("proxy_on_request_headers", &all).load()?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["2", "", "1", "", "2", "", "0", ""]);
    Ok(())
}

#[test]
fn plugin_sets_the_filter_state_of_the_effective_context() -> Result<(), Error> {
    let set = call(
        "set_envoy_filter_state",
        &filter_state("envoy.string", "tick", 0),
    );
    let tick = format!("{set} (drop (call $proxy_set_effective_context #2)) {set}");
    let proxy = Wat::new().on("proxy_on_tick", &tick).load()?;
    let stream = proxy.request("GET", "/").send()?;
    proxy.tick()?;
    assert_eq!(
        stream.filter_state("envoy.string").as_deref(),
        Some(&b"tick"[..])
    );
    assert_eq!(said(&proxy), ["1", "", "0", ""]);
    Ok(())
}

/// Sets a property twice.
const SET_TWICE: &str = "(call $number (call $proxy_set_property @\"a\" @\"1\"))
    (call $number (call $proxy_set_property @\"a\" @\"2\"))";

#[test]
fn property_that_the_plugin_declares_read_only_is_set_once() -> Result<(), Error> {
    let declare = |is_read_only| call("declare_property", &declaration("a", is_read_only));
    for (is_read_only, second, value) in [(true, "2", "1"), (false, "0", "2")] {
        let wat = Wat::new()
            .on(
                "proxy_on_configure",
                &(declare(is_read_only) + &declare(true)),
            )
            .on("proxy_on_request_headers", SET_TWICE);
        let proxy = wat.load()?.configure("")?;
        let response = proxy.request("GET", "/").respond(200)?;
        assert_eq!(response.filter_state("wasm.a"), Some(value.as_bytes()));
        assert_eq!(said(&proxy), ["0", "", "2", "", "0", second]);
    }
    Ok(())
}

#[test]
fn declaration_of_a_stream_has_no_effect() -> Result<(), Error> {
    let declare = call("declare_property", &declaration("a", true));
    let request = format!(
        "{declare} (drop (call $proxy_set_effective_context #1)) {declare}
         (drop (call $proxy_set_effective_context #0)) {SET_TWICE}"
    );
    let proxy = Wat::new().on("proxy_on_request_headers", &request).load()?;
    proxy.request("GET", "/").respond(200)?;
    // The effective context is ignored: the second call declares the property in the stream again.
    assert_eq!(said(&proxy), ["0", "", "2", "", "0", "0"]);
    Ok(())
}

#[test]
fn newest_thousand_calls_are_kept() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(local $count i32)
         (drop (call $proxy_call_foreign_function @\"first\" #0 #0 #0 #0))
         (loop $calls
           (drop (call $proxy_call_foreign_function @\"clear_route_cache\" #0 #0 #0 #0))
           (local.set $count (i32.add (local.get $count) #1))
           (br_if $calls (i32.lt_u (local.get $count) #1000)))",
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    let calls = proxy.foreign_calls();
    assert_eq!(calls.len(), 1_000);
    assert!(calls.iter().all(|call| call.name == "clear_route_cache"));
    Ok(())
}
