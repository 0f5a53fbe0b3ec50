//! Shared queues (ABI: "Shared Queues").

use proxy_wasm_test::{Error, Options};

use crate::wat::{BAD, Wat, results, said};

const READY: &str = "(call $say @\"ready\") (call $number (local.get $plugin_context_id))
    (call $number (call $proxy_dequeue_shared_queue (local.get $queue_id) @out)) (call $say @result)";

#[test]
fn items_come_out_in_order_and_then_the_queue_is_empty() -> Result<(), Error> {
    let take =
        "(call $number (call $proxy_dequeue_shared_queue (i32.load #8) @out)) (call $say @result)";
    let wat = Wat::new().on(
        "proxy_on_tick",
        &format!(
            r#"(call $number (call $proxy_register_shared_queue @"name" #8))
           (call $number (call $proxy_dequeue_shared_queue (i32.load #8) @out))
           (call $number (call $proxy_enqueue_shared_queue (i32.load #8) @"one"))
           (call $number (call $proxy_enqueue_shared_queue (i32.load #8) @""))
           {take} {take}
           (call $number (call $proxy_dequeue_shared_queue (i32.load #8) @out))
           (call $number (call $proxy_enqueue_shared_queue #99 @"one"))
           (call $number (call $proxy_dequeue_shared_queue #99 @out))"#
        ),
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    assert_eq!(
        said(&proxy),
        ["0", "7", "0", "0", "0", "one", "0", "", "7", "1", "1"]
    );
    Ok(())
}

#[test]
fn existing_queue_keeps_its_identifier() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        r#"(drop (call $proxy_register_shared_queue @"name" #0))
           (drop (call $proxy_register_shared_queue @"other" #4))
           (drop (call $proxy_register_shared_queue @"name" #8))
           (call $number (i32.eq (i32.load #0) (i32.load #8)))
           (call $number (i32.eq (i32.load #0) (i32.load #4)))
           (call $number (call $proxy_resolve_shared_queue @"vm" @"name" #12))
           (call $number (i32.eq (i32.load #0) (i32.load #12)))
           (call $number (call $proxy_resolve_shared_queue @"" @"name" #12))
           (call $number (call $proxy_resolve_shared_queue @"elsewhere" @"name" #12))
           (call $number (call $proxy_resolve_shared_queue @"vm" @"none" #12))"#,
    );
    let proxy = wat.load_with(Options::new().vm_id("vm"))?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["1", "0", "0", "1", "0", "1", "1"]);
    Ok(())
}

#[test]
fn last_plugin_that_registers_a_queue_is_notified_after_the_step() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_configure", r#"(drop (call $proxy_register_shared_queue @"name" #8))"#)
        .on(
            "proxy_on_request_headers",
            r#"(drop (call $proxy_enqueue_shared_queue (i32.load #8) @"item")) (call $say @"enqueued")"#,
        )
        .on("proxy_on_request_body", r#"(call $say @"body")"#)
        .on("proxy_on_response_headers", r#"(call $say @"response")"#)
        .on("proxy_on_queue_ready", READY);
    let first = wat.load()?.configure("")?;
    let second = first.add_plugin("")?;
    first.request("POST", "/").body("").respond(200)?;
    let expected = ["enqueued", "body", "ready", "2", "0", "item", "response"];
    assert_eq!(said(&first), expected);
    first.enqueue("name", "from the test")?;
    assert_eq!(said(&second)[7..], ["ready", "2", "0", "from the test"]);
    assert!(matches!(
        first.enqueue("none", ""),
        Err(Error::InvalidState(_))
    ));
    Ok(())
}

#[test]
fn stream_registers_a_queue_for_its_plugin() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_request_headers",
            r#"(drop (call $proxy_register_shared_queue @"name" #8))"#,
        )
        .on("proxy_on_queue_ready", READY);
    let first = wat.load()?;
    first.add_plugin("")?.request("GET", "/").respond(200)?;
    first.enqueue("name", "item")?;
    assert_eq!(said(&first), ["ready", "2", "0", "item"]);
    Ok(())
}

#[test]
fn item_of_the_last_callbacks_of_a_stream_is_ready_after_them() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_log",
            r#"(drop (call $proxy_register_shared_queue @"name" #8))
               (drop (call $proxy_enqueue_shared_queue (i32.load #8) @"item"))"#,
        )
        .on("proxy_on_delete", r#"(call $say @"deleted")"#)
        .on("proxy_on_queue_ready", READY);
    let proxy = wat.load()?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["deleted", "ready", "1", "0", "item"]);
    Ok(())
}

#[test]
fn addresses_outside_the_memory_are_rejected() -> Result<(), Error> {
    let calls = [
        &format!("$proxy_register_shared_queue {BAD} #1 #8"),
        // As in Envoy, the queue exists after this call.
        &format!("$proxy_register_shared_queue @\"name\" {BAD}"),
        &format!("$proxy_resolve_shared_queue @\"\" @\"name\" {BAD}"),
        &format!("$proxy_resolve_shared_queue @\"\" @\"none\" {BAD}"),
        &format!("$proxy_resolve_shared_queue {BAD} #1 @\"name\" #8"),
        &format!("$proxy_resolve_shared_queue @\"\" {BAD} #1 #8"),
        "$proxy_resolve_shared_queue @\"\" @\"name\" #8",
        &format!("$proxy_enqueue_shared_queue #1 {BAD} #1"),
        &format!("$proxy_enqueue_shared_queue #99 {BAD} #1"),
        "$proxy_enqueue_shared_queue #1 @\"item\"",
        // As in Envoy, the item is lost.
        &format!("$proxy_dequeue_shared_queue #1 {BAD} #4"),
        &format!("$proxy_dequeue_shared_queue #1 #0 {BAD}"),
    ];
    let statuses = ["6", "6", "6", "1", "6", "6", "0", "6", "6", "0", "6", "7"];
    assert_eq!(results("proxy_on_configure", &calls)?, statuses);
    Ok(())
}

#[test]
fn queue_of_another_vm_takes_items() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_tick",
            r#"(call $number (call $proxy_resolve_shared_queue @"other" @"name" #8))
               (call $number (call $proxy_enqueue_shared_queue (i32.load #8) @"item"))"#,
        )
        .on("proxy_on_queue_ready", READY);
    let proxy = wat.load_with(Options::new().vm_id("own"))?;
    assert_eq!(proxy.dequeue("other", "name"), None);
    proxy.register_queue("other", "name");
    proxy.tick()?;
    assert_eq!(said(&proxy), ["0", "0"], "the plugin was notified");
    assert_eq!(proxy.dequeue("own", "name"), None);
    assert_eq!(
        proxy.dequeue("other", "name").as_deref(),
        Some(&b"item"[..])
    );
    assert_eq!(proxy.dequeue("other", "name"), None);
    Ok(())
}

#[test]
fn plugin_that_has_ended_is_not_notified() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_configure",
            r#"(drop (call $proxy_register_shared_queue @"name" #8))"#,
        )
        .on("proxy_on_queue_ready", READY);
    let proxy = wat.load()?.configure("")?;
    proxy.shut_down()?;
    proxy.enqueue("name", "item")?;
    assert!(proxy.log().is_empty());
    Ok(())
}
