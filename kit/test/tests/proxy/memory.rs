//! Addresses and memory (ABI: "Memory management", `INVALID_MEMORY_ACCESS`).

use proxy_wasm_test::{Error, Options, Proxy};

use crate::wat::{BAD, Wat, results, said};

/// Host calls with one bad address each, and a callback in which the other arguments are valid.
const BAD_CALLS: &[(&str, &str)] = &[
    ("proxy_on_tick", "$proxy_log #2 BAD #1"),
    ("proxy_on_tick", "$proxy_log #2 #0 #-1"),
    ("proxy_on_tick", "$proxy_get_log_level BAD"),
    ("proxy_on_tick", "$proxy_get_current_time_nanoseconds BAD"),
    (
        "proxy_on_request_body",
        "$proxy_get_buffer_bytes #0 #0 #9 BAD #4",
    ),
    (
        "proxy_on_request_body",
        "$proxy_get_buffer_bytes #0 #0 #9 #0 BAD",
    ),
    (
        "proxy_on_request_body",
        "$proxy_get_buffer_status #0 BAD #4",
    ),
    (
        "proxy_on_request_body",
        "$proxy_get_buffer_status #0 #0 BAD",
    ),
    (
        "proxy_on_request_body",
        "$proxy_set_buffer_bytes #0 #0 #0 BAD #1",
    ),
    (
        "proxy_on_request_body",
        "$proxy_set_buffer_bytes #0 #0 #0 #0 #-1",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_get_header_map_size #0 BAD",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_get_header_map_pairs #0 BAD #4",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_get_header_map_pairs #0 #0 BAD",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_set_header_map_pairs #0 BAD #4",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_set_header_map_pairs #0 #0 #-1",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_get_header_map_value #0 BAD #4 @out",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_get_header_map_value #0 @\"name\" BAD #4",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_get_header_map_value #0 @\"name\" #0 BAD",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_add_header_map_value #0 BAD #1 @\"b\"",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_add_header_map_value #0 @\"a\" BAD #1",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_replace_header_map_value #0 BAD #1 @\"b\"",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_replace_header_map_value #0 @\"name\" BAD #1",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_remove_header_map_value #0 BAD #1",
    ),
    ("proxy_on_tick", "$proxy_get_status BAD #0 #4"),
    ("proxy_on_tick", "$proxy_get_status #8 BAD #4"),
    ("proxy_on_tick", "$proxy_get_status #8 #0 BAD"),
    (
        "proxy_on_request_headers",
        "$proxy_send_local_response #200 BAD #1 #0 #0 #0 #0 #0",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_send_local_response #200 #0 #0 BAD #1 #0 #0 #0",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_send_local_response #200 #0 #0 #0 #0 BAD #1 #0",
    ),
    (
        "proxy_on_tick",
        "$proxy_http_call BAD #1 #0 #0 #0 #0 #0 #0 #0 #0",
    ),
    (
        "proxy_on_tick",
        "$proxy_http_call #0 #0 BAD #1 #0 #0 #0 #0 #0 #0",
    ),
    (
        "proxy_on_tick",
        "$proxy_http_call #0 #0 #0 #0 BAD #1 #0 #0 #0 #0",
    ),
    (
        "proxy_on_tick",
        "$proxy_http_call #0 #0 #0 #0 #0 #0 BAD #1 #0 #0",
    ),
    (
        "proxy_on_tick",
        "$proxy_grpc_call #0 #0 #0 #0 BAD #1 #0 #0 #0 #0 #0 #0",
    ),
    (
        "proxy_on_tick",
        "$proxy_grpc_stream BAD #1 #0 #0 #0 #0 #0 #0 #0",
    ),
    ("proxy_on_tick", "$proxy_grpc_send #1 BAD #1 #0"),
    ("proxy_on_tick", "$proxy_set_shared_data BAD #1 @\"b\" #0"),
    ("proxy_on_tick", "$proxy_set_shared_data @\"a\" BAD #1 #0"),
    ("proxy_on_tick", "$proxy_get_shared_data BAD #1 @out #8"),
    ("proxy_on_tick", "$proxy_register_shared_queue BAD #1 #0"),
    (
        "proxy_on_tick",
        "$proxy_resolve_shared_queue BAD #1 @\"name\" #0",
    ),
    (
        "proxy_on_tick",
        "$proxy_resolve_shared_queue #0 #0 BAD #1 #0",
    ),
    ("proxy_on_tick", "$proxy_define_metric #0 BAD #1 #0"),
    ("proxy_on_tick", "$proxy_get_property BAD #1 @out"),
    (
        "proxy_on_request_headers",
        "$proxy_set_property BAD #1 @\"b\"",
    ),
    (
        "proxy_on_request_headers",
        "$proxy_set_property @\"a\" BAD #1",
    ),
    (
        "proxy_on_tick",
        "$proxy_call_foreign_function BAD #1 #0 #0 @out",
    ),
];

#[test]
fn bad_address_returns_invalid_memory_access_and_changes_nothing() -> Result<(), Error> {
    for (callback, call) in BAD_CALLS {
        let call = call.replace("BAD", BAD);
        let wat = Wat::new().on(callback, &format!("(call $number (call {call}))"));
        let proxy = wat.load()?;
        proxy.tick()?;
        let stream = proxy
            .request("POST", "/")
            .header("name", "value")
            .body("body")
            .send()?;
        // A body callback is called twice.
        let mut said = said(&proxy);
        said.dedup();
        assert_eq!(said, ["6"], "{call}");
        let upstream = stream.upstream().expect("a request");
        assert_eq!(upstream.headers.len(), 5, "{call}");
        assert_eq!(upstream.headers.values("name"), ["value"], "{call}");
        assert_eq!(upstream.body, b"body", "{call}");
        assert!(
            proxy.http_calls().is_empty() && proxy.metric("name").is_none(),
            "{call}"
        );
        assert!(proxy.shared_data("a").is_none(), "{call}");
        assert!(proxy.enqueue("name", "").is_err(), "{call}");
        let response = stream.respond(200)?;
        assert!(!response.is_local(), "{call}");
    }
    Ok(())
}

#[test]
fn values_that_cannot_be_returned_are_not_written() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        &format!(
            r#"(i32.store #0 #77) (i32.store #4 #77)
               (drop (call $proxy_set_shared_data @"key" @"value" #0))
               (call $number (call $proxy_get_shared_data @"key" {BAD} #4 #8))
               (call $number (call $proxy_get_shared_data @"key" #0 {BAD} #8))
               (call $number (call $proxy_get_property @"plugin_root_id" {BAD} #4))
               (call $number (i32.load #0)) (call $number (i32.load #4))"#
        ),
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["6", "6", "6", "77", "77"]);
    Ok(())
}

#[test]
fn the_last_bytes_of_the_memory_can_be_used() -> Result<(), Error> {
    // Two pages: 131,072 bytes.
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(call $number (call $proxy_log #2 #131072 #0)) (call $number (call $proxy_log #2 #131071 #1))
         (call $number (call $proxy_log #2 #131072 #1)) (call $number (call $proxy_log #2 #131073 #0))
         (call $number (call $proxy_get_log_level #131068)) (call $number (call $proxy_get_log_level #131069))",
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["", "0", "\0", "0", "6", "6", "0", "6"]);
    Ok(())
}

#[test]
fn invalid_address_from_the_allocator_is_an_invalid_memory_access() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(call $number (call $proxy_get_property @\"plugin_root_id\" @out))",
    );
    for (address, status) in [
        ("0", "6"),
        ("0x7fffffff", "6"),
        ("131070", "6"),
        ("131068", "0"),
    ] {
        let module = wat
            .text()
            .replace("(local.get $size) (result i32)", "(local.get $size)");
        let module = module.replacen(
            "(local $end i32)",
            &format!("(local $end i32) (return (i32.const {address}))"),
            1,
        );
        let proxy = Options::new().root_id("root").load(module)?;
        proxy.tick()?;
        assert_eq!(said(&proxy), [status], "{address}");
    }
    Ok(())
}

#[test]
fn allocator_that_makes_a_host_call_traps() -> Result<(), Error> {
    let module = r#"(module
      (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
      (func (export "proxy_abi_version_0_2_1"))
      (memory (export "memory") 1)
      (data (i32.const 100) "plugin_root_id")
      (func $ask (result i32)
        (call $get (i32.const 100) (i32.const 14) (i32.const 0) (i32.const 4)))
      (func (export "proxy_on_memory_allocate") (param i32) (result i32) (call $ask))
      (func (export "proxy_on_tick") (param i32) (drop (call $ask))))"#;
    let proxy = Options::new().root_id("root").load(module)?;
    let Err(Error::Trap(trap)) = proxy.tick() else {
        panic!("it did not trap");
    };
    assert!(trap.reason.contains("allocator"), "{trap}");
    Ok(())
}

#[test]
fn memory_grows_up_to_its_limit() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(call $number (memory.grow #1)) (call $number (memory.grow #1)) (call $number (memory.size))",
    );
    let proxy = wat.load_with(Options::new().memory_limit(3 * 65536))?;
    assert_eq!(proxy.memory_pages(), 2);
    proxy.tick()?;
    assert_eq!(said(&proxy), ["2", "4294967295", "3"]);
    assert_eq!(proxy.memory_pages(), 3);
    let rejected = wat.load_with(Options::new().memory_limit(65536));
    assert!(matches!(rejected, Err(Error::Unsupported(_))));
    Ok(())
}

#[test]
fn tables_are_bounded() -> Result<(), Error> {
    let wat = Wat::new().with("(table $table 1 funcref)").on(
        "proxy_on_tick",
        "(call $number (table.grow $table (ref.null func) #0x7fffffff)) (call $number (table.size $table))",
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["4294967295", "1"]);
    let huge = Wat::new().with("(table 0x7fffffff funcref)").load();
    assert!(matches!(huge, Err(Error::Load(_))));
    let many = Wat::new().with(&"(table 1 funcref)".repeat(11)).load();
    assert!(matches!(many, Err(Error::Unsupported(_))));
    Ok(())
}

#[test]
fn value_that_does_not_fit_into_memory_is_not_returned() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_request_body",
        "(call $number (call $proxy_get_buffer_bytes #0 #0 #-1 @out))",
    );
    let proxy: Proxy = wat.load_with(Options::new().memory_limit(2 * 65536))?;
    let body = vec![b'x'; 65537];
    let stream = proxy.request("POST", "/").body(&body).send()?;
    // The end of the body is an empty chunk.
    assert_eq!(said(&proxy), ["6", "0"]);
    assert_eq!(stream.upstream().expect("a request").body, body);
    assert_eq!(
        results(
            "proxy_on_request_body",
            &["$proxy_get_buffer_bytes #0 #0 #-1 @out"]
        )?,
        ["0", "0"]
    );
    Ok(())
}
