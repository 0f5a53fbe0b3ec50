//! The order in which a VM, its plugins and streams start and end (ABI: "Integration", "Context
//! lifecycle", "Configuration").

use proxy_wasm_test::{Error, Options};

use crate::wat::{Wat, said, whole_request};

fn says(callback: &str, wat: Wat) -> Wat {
    wat.on(callback, &format!("(call $say @\"{callback}\")"))
}

#[test]
fn initialize_and_main_are_called_instead_of_start() -> Result<(), Error> {
    let wat = ["_start", "main", "proxy_on_vm_start", "_initialize"]
        .into_iter()
        .fold(Wat::new(), |wat, callback| says(callback, wat));
    assert_eq!(
        said(&wat.load()?),
        ["_initialize", "main", "proxy_on_vm_start"]
    );
    Ok(())
}

#[test]
fn only_start_is_called_without_initialize() -> Result<(), Error> {
    let wat = says("main", says("_start", Wat::new()));
    assert_eq!(said(&wat.load()?), ["_start"]);
    let wat = says("main", Wat::new());
    assert!(said(&wat.load()?).is_empty());
    Ok(())
}

#[test]
fn early_host_call_traps_except_logging_and_wasi() -> Result<(), Error> {
    let wat = Wat::new().on(
        "_initialize",
        "(call $say @\"early\") (drop (call $wasi_clock_time_get #0 (i64.const 0) #16))",
    );
    assert_eq!(said(&wat.load()?), ["early"]);
    for host_call in [
        "$proxy_set_tick_period_milliseconds #10",
        "$proxy_get_current_time_nanoseconds #0",
        "$proxy_set_shared_data @\"key\" @\"value\" #0",
    ] {
        for start in ["_initialize", "_start"] {
            let wat = Wat::new().on(start, &format!("(drop (call {host_call}))"));
            let Err(Error::Trap(trap)) = wat.load() else {
                panic!("{host_call} in {start}");
            };
            assert_eq!(trap.callback, start);
            assert!(trap.reason.contains("before the VM has started"), "{trap}");
        }
    }
    Ok(())
}

#[test]
fn a_plugin_starts_in_the_order_of_the_abi() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_context_create", "(call $say @\"create\") (call $number (local.get $context_id)) (call $number (local.get $parent_context_id))")
        .on("proxy_on_vm_start", "(call $say @\"vm\") (call $number (local.get 0)) (call $number (local.get $vm_configuration_size))
            (drop (call $proxy_get_buffer_bytes #6 #0 #100 @out)) (call $say @result)")
        .on("proxy_on_configure", "(call $say @\"configure\") (call $number (local.get $plugin_context_id)) (call $number (local.get $plugin_configuration_size))
            (drop (call $proxy_get_buffer_bytes #7 #0 #100 @out)) (call $say @result)");
    let proxy = wat
        .load_with(Options::new().vm_configuration("of the VM"))?
        .configure("of the plugin")?;
    assert_eq!(
        said(&proxy),
        [
            "create",
            "1",
            "0",
            "vm",
            "1",
            "9",
            "of the VM",
            "configure",
            "1",
            "13",
            "of the plugin"
        ]
    );
    Ok(())
}

#[test]
fn a_stream_is_created_under_its_plugin_and_ends_in_order() -> Result<(), Error> {
    let say = |callback: &str| {
        format!("(call $say @\"{callback}\") (call $number (local.get $context_id))")
    };
    let wat = ["proxy_on_log", "proxy_on_done", "proxy_on_delete"]
        .into_iter()
        .fold(Wat::new(), |wat, callback| wat.on(callback, &say(callback)))
        .on(
            "proxy_on_context_create",
            "(call $number (local.get $parent_context_id))",
        );
    let proxy = wat.load()?.configure("")?;
    proxy.request("GET", "/").respond(200)?;
    proxy.request("GET", "/").send()?.reset()?;
    drop(proxy.request("GET", "/").send()?);
    let end = |id| {
        [
            "proxy_on_log",
            id,
            "proxy_on_done",
            id,
            "proxy_on_delete",
            id,
        ]
    };
    let expected = [
        vec!["0"],
        vec!["1"],
        end("2").into(),
        vec!["1"],
        end("3").into(),
        vec!["1"],
        end("4").into(),
    ];
    assert_eq!(said(&proxy), expected.concat());
    Ok(())
}

#[test]
fn a_stream_ends_whatever_on_done_returns() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_done", "(return #0)")
        .on("proxy_on_delete", "(call $number (local.get $context_id))");
    let proxy = wat.load()?;
    proxy.request("GET", "/").respond(200)?;
    assert_eq!(said(&proxy), ["2"]);
    Ok(())
}

#[test]
fn rejection_error_contains_the_log() -> Result<(), Error> {
    let wat = Wat::new().on("proxy_on_vm_start", "(call $say @\"no\") (return #0)");
    let Err(Error::Rejected { callback, log }) = wat.load() else {
        panic!("it was started");
    };
    assert_eq!(
        (callback, log[0].message.as_str()),
        ("proxy_on_vm_start", "no")
    );

    let wat = Wat::new().on(
        "proxy_on_configure",
        "(call $number (local.get $plugin_configuration_size)) (return (local.get $plugin_configuration_size))",
    );
    let proxy = wat.load()?;
    let Err(Error::Rejected { callback, log }) = proxy.reconfigure("") else {
        panic!("it was accepted");
    };
    assert_eq!(
        (callback, log.len(), log[0].message.as_str()),
        ("proxy_on_configure", 1, "0")
    );
    proxy.reconfigure("x")?;
    proxy.request("GET", "/").respond(200)?;
    Ok(())
}

#[test]
fn rejected_configuration_shuts_down_only_the_new_plugin() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_configure",
            "(return (local.get $plugin_configuration_size))",
        )
        .on("proxy_on_delete", "(call $number (local.get $context_id))");
    let proxy = wat.load()?.configure("x")?;
    assert!(matches!(proxy.add_plugin(""), Err(Error::Rejected { .. })));
    assert_eq!(said(&proxy), ["2"]);
    assert!(proxy.add_plugin("x")?.is_alive());
    assert!(proxy.is_alive());
    Ok(())
}

#[test]
fn plugin_that_fails_to_start_is_deleted() -> Result<(), Error> {
    let wat = Wat::new()
        .on("proxy_on_vm_start", "(return (i32.eq (local.get 0) #1))")
        .on("proxy_on_delete", "(call $number (local.get $context_id))");
    let proxy = wat.load()?;
    assert!(matches!(proxy.add_plugin(""), Err(Error::Rejected { .. })));
    assert_eq!(said(&proxy), ["2"]);
    Ok(())
}

#[test]
fn module_without_callbacks_forwards_everything() -> Result<(), Error> {
    let proxy = Wat::new().load()?.configure("anything")?;
    let response = whole_request(&proxy)?;
    assert_eq!(response.body(), b"response body");
    assert_eq!(response.trailers().values("trailer"), ["response"]);
    proxy.tick()?;
    proxy.shut_down()?;
    assert!(proxy.log().is_empty());
    assert!(proxy.host_calls().is_empty());
    Ok(())
}
