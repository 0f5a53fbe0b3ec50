//! Clocks and timers (ABI: "Clocks", "Timers").

use std::time::Duration;

use proxy_wasm_test::{Error, Options};

use crate::wat::{Wat, said};

#[test]
fn all_clocks_show_the_time_of_the_test() -> Result<(), Error> {
    let wat = Wat::new()
        .with("(func $show (call $number (i32.wrap_i64 (i64.div_u (i64.load #0) (i64.const 1000000)))))")
        .on(
            "proxy_on_tick",
            "(call $number (call $proxy_get_current_time_nanoseconds #0)) (call $show)
             (call $number (call $wasi_clock_time_get #0 (i64.const 1) #0)) (call $show)
             (call $number (call $wasi_clock_time_get #1 (i64.const 1) #0)) (call $show)
             (call $number (call $wasi_clock_time_get #2 (i64.const 1) #0))",
        );
    let proxy = wat.load_with(Options::new().time(Duration::from_millis(1234)))?;
    proxy.tick()?;
    let at = |time| ["0", time, "0", time, "0", time, "58"];
    assert_eq!(said(&proxy), at("1234"));
    proxy.advance(Duration::from_millis(766))?;
    proxy.tick()?;
    assert_eq!(said(&proxy)[7..], at("2000"));
    assert_eq!(proxy.time(), Duration::from_secs(2));
    Ok(())
}

#[test]
fn a_timer_runs_at_its_period_until_it_is_stopped() -> Result<(), Error> {
    let wat = Wat::new()
        .with("(global $ticks (mut i32) (i32.const 0))")
        .on("proxy_on_vm_start", "(call $number (call $proxy_set_tick_period_milliseconds #100))")
        .on(
            "proxy_on_tick",
            "(global.set $ticks (i32.add (global.get $ticks) #1)) (call $number (global.get $ticks))
             (if (i32.eq (global.get $ticks) #3)
               (then (drop (call $proxy_set_tick_period_milliseconds #0))))",
        );
    let proxy = wat.load()?;
    assert_eq!(proxy.tick_period(), Duration::from_millis(100));
    proxy.advance(Duration::from_millis(99))?;
    assert_eq!(said(&proxy), ["0"]);
    proxy.advance(Duration::from_millis(101))?;
    assert_eq!(said(&proxy), ["0", "1", "2"]);
    proxy.advance(Duration::from_secs(60))?;
    assert_eq!(said(&proxy), ["0", "1", "2", "3"]);
    assert_eq!(proxy.tick_period(), Duration::ZERO);
    Ok(())
}

#[test]
fn each_plugin_has_its_own_timer_and_streams_set_it() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_request_headers",
            "(drop (call $proxy_set_tick_period_milliseconds #10))",
        )
        .on(
            "proxy_on_tick",
            "(call $number (local.get $plugin_context_id))",
        );
    let first = wat.load()?;
    let second = first.add_plugin("")?;
    second.request("GET", "/").respond(200)?;
    first.advance(Duration::from_millis(20))?;
    assert_eq!(said(&first), ["2", "2"]);
    assert_eq!(first.tick_period(), Duration::ZERO);
    Ok(())
}

#[test]
fn timer_of_a_plugin_that_has_ended_does_not_run() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_vm_start",
            "(drop (call $proxy_set_tick_period_milliseconds #10))",
        )
        .on("proxy_on_tick", "(call $say @\"tick\")");
    let proxy = wat.load()?;
    proxy.shut_down()?;
    proxy.advance(Duration::from_secs(1))?;
    assert!(proxy.log().is_empty());
    assert!(matches!(proxy.tick(), Err(Error::InvalidState(_))));
    Ok(())
}

#[test]
fn latest_time_does_not_trap() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_vm_start",
            "(drop (call $proxy_set_tick_period_milliseconds #-1))",
        )
        .on(
            "proxy_on_tick",
            "(drop (call $proxy_get_current_time_nanoseconds #0)) (call $number (i32.load #4))",
        );
    let proxy = wat.load_with(Options::new().time(Duration::MAX))?;
    proxy.advance(Duration::MAX)?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["4294967295"]);
    Ok(())
}
