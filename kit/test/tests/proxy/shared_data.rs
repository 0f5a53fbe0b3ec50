//! Shared data (ABI: "Shared Key-Value Store").

use proxy_wasm_test::Error;

use crate::wat::{Wat, said};

#[test]
fn a_value_is_set_only_when_nobody_else_has_changed_it() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        r#"(call $number (call $proxy_get_shared_data @"key" @out #8))
           (call $say @result)
           (call $number (call $proxy_set_shared_data @"key" @"mine" (i32.add (i32.load #8) #1)))
           (call $number (call $proxy_set_shared_data @"key" @"mine" (i32.load #8)))
           (call $number (call $proxy_set_shared_data @"key" @"mine again" (i32.load #8)))"#,
    );
    let proxy = wat.load()?;
    proxy.set_shared_data("key", "theirs");
    proxy.tick()?;
    assert_eq!(said(&proxy), ["0", "theirs", "8", "0", "8"]);
    assert_eq!(
        proxy.shared_data("key").as_deref(),
        Some(b"mine".as_slice())
    );
    Ok(())
}

#[test]
fn zero_takes_any_version_and_a_missing_key_has_none() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        r#"(call $number (call $proxy_get_shared_data @"key" @out #8))
           (call $number (call $proxy_set_shared_data @"key" @"" #7))
           (call $number (call $proxy_set_shared_data @"key" @"one" #0))
           (call $number (call $proxy_set_shared_data @"key" @"two" #0))"#,
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["1", "8", "0", "0"]);
    assert_eq!(proxy.shared_data("key").as_deref(), Some(b"two".as_slice()));
    Ok(())
}

#[test]
fn all_contexts_of_a_vm_share_it() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_tick",
            r#"(drop (call $proxy_set_shared_data @"key" @"value" #0))"#,
        )
        .on(
            "proxy_on_request_headers",
            r#"(drop (call $proxy_get_shared_data @"key" @out #8)) (call $say @result)"#,
        );
    let proxy = wat.load()?;
    proxy.tick()?;
    proxy.add_plugin("")?.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["value"]);
    Ok(())
}
