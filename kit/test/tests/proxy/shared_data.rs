//! Shared data (ABI: "Shared Key-Value Store").

use proxy_wasm_test::Error;

use crate::wat::{BAD, Wat, results, said};

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
fn version_zero_and_a_missing_key_match_any_version() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        r#"(call $number (call $proxy_get_shared_data @"key" @out #8))
           (call $number (call $proxy_set_shared_data @"key" @"one" #7))
           (call $number (call $proxy_set_shared_data @"key" @"two" #7))
           (call $number (call $proxy_set_shared_data @"key" @"three" #0))"#,
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["1", "0", "8", "0"]);
    assert_eq!(
        proxy.shared_data("key").as_deref(),
        Some(b"three".as_slice())
    );
    Ok(())
}

#[test]
fn all_keys_share_one_count_of_versions() -> Result<(), Error> {
    let set = |key: &str| {
        format!(
            "(drop (call $proxy_set_shared_data @\"{key}\" @\"\" #0))
             (drop (call $proxy_get_shared_data @\"{key}\" @out #8)) (call $number (i32.load #8))"
        )
    };
    let all = ["a", "a", "b", "", "a"].map(set).concat();
    let proxy = Wat::new().on("proxy_on_tick", &all).load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["1", "2", "3", "4", "5"]);
    Ok(())
}

#[test]
fn addresses_outside_the_memory_are_rejected() -> Result<(), Error> {
    let calls = [
        "$proxy_set_shared_data @\"key\" @\"value\" #0",
        &format!("$proxy_set_shared_data {BAD} #1 @\"value\" #0"),
        &format!("$proxy_set_shared_data @\"other\" {BAD} #1 #0"),
        &format!("$proxy_get_shared_data {BAD} #1 @out #8"),
        &format!("$proxy_get_shared_data @\"key\" {BAD} #4 #8"),
        &format!("$proxy_get_shared_data @\"key\" #0 {BAD} #8"),
        &format!("$proxy_get_shared_data @\"key\" @out {BAD}"),
        &format!("$proxy_get_shared_data @\"none\" {BAD} {BAD} {BAD}"),
    ];
    let statuses = ["0", "6", "6", "6", "6", "6", "6", "1"];
    assert_eq!(results("proxy_on_configure", &calls)?, statuses);
    Ok(())
}

#[test]
fn all_contexts_of_a_vm_share_the_values() -> Result<(), Error> {
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
