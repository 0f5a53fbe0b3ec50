//! Traps: what the error contains, and the end of the VM.

use proxy_wasm_test::{Error, Limit, Module, Options, Proxy, Trap};

use crate::wat::{Wat, said};

/// Ticks, and expects a trap.
#[track_caller]
fn trap(proxy: &Proxy) -> Trap {
    match proxy.tick() {
        Err(Error::Trap(trap)) => trap,
        other => panic!("no trap: {other:?}"),
    }
}

fn names(trap: &Trap) -> Vec<String> {
    trap.backtrace.iter().map(ToString::to_string).collect()
}

const DEEP: &str = "(func $outer (call $inner #7)) (func $inner (param i32) (unreachable))";

#[test]
fn a_trap_names_the_functions_that_had_not_returned() -> Result<(), Error> {
    let wat = Wat::new().with("(func $returns)").with(DEEP).on(
        "proxy_on_tick",
        "(call $returns) (call $say @\"a last word\") (call $outer)",
    );
    let proxy = wat.load()?;
    let trap = trap(&proxy);
    assert_eq!(trap.callback, "proxy_on_tick");
    assert_eq!(trap.log.len(), 1);
    let frames = names(&trap);
    assert_eq!(frames[..2], ["inner", "outer"]);
    assert_eq!(frames.len(), 3);
    let text = trap.to_string();
    for part in [
        "proxy_on_tick trapped: ",
        "unreachable",
        "\n  at inner\n  at outer\n  at ",
        "a last word",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    Ok(())
}

#[test]
fn test_that_returns_a_trap_shows_its_message() -> Result<(), Error> {
    let proxy = Wat::new().on("proxy_on_tick", "(unreachable)").load()?;
    let error = proxy.tick().expect_err("a trap");
    assert_eq!(format!("{error:?}"), error.to_string());
    Ok(())
}

#[test]
fn without_names_a_trap_shows_indexes_and_another_file_can_give_the_names() -> Result<(), Error> {
    let text = Wat::new()
        .with(DEEP)
        .on("proxy_on_tick", "(call $outer)")
        .text();
    let named = ::wat::parse_str(&text).expect("a module");
    let stripped = proxy_wasm_module::strip(&named).expect("a module");
    let bare = trap(&Proxy::load(&stripped)?);
    assert!(
        names(&bare)
            .iter()
            .all(|name| name.starts_with("function ")),
        "{bare}"
    );
    let with_symbols = trap(&Proxy::load(Module::with_symbols(&stripped, &named))?);
    assert_eq!(names(&with_symbols)[..2], ["inner", "outer"]);
    let indexes = |trap: &Trap| {
        trap.backtrace
            .iter()
            .map(|frame| frame.function)
            .collect::<Vec<_>>()
    };
    assert_eq!(indexes(&bare), indexes(&with_symbols));
    let garbage = trap(&Proxy::load(Module::with_symbols(
        &stripped,
        b"\0asm\x01\0\0\0\0\xff",
    ))?);
    assert_eq!(names(&garbage), names(&bare));
    Ok(())
}

#[test]
fn each_kind_of_trap_is_an_error_value() -> Result<(), Error> {
    for (body, reason) in [
        ("(unreachable)", "unreachable"),
        ("(drop (i32.load #0x7fffffff))", "out of bounds"),
        ("(i32.store #-1 #1)", "out of bounds"),
        ("(memory.fill #0 #0 #-1)", "out of bounds"),
        ("(drop (i32.div_u #1 (i32.load #0)))", "divide by zero"),
        ("(call_indirect (type $nothing) #0)", "uninitialized"),
        ("(call_indirect (type $nothing) #9)", "undefined"),
        (
            "(call_indirect (type $nothing) #1)",
            "indirect call type mismatch",
        ),
    ] {
        let proxy = Wat::new()
            .with("(type $nothing (func)) (table 2 funcref) (elem (i32.const 1) $one) (func $one (param i64))")
            .on("proxy_on_tick", body)
            .load()?;
        let trap = trap(&proxy);
        assert!(trap.reason.contains(reason), "{body}: {}", trap.reason);
        assert_eq!(trap.backtrace.len(), 1, "{body}");
    }
    Ok(())
}

#[test]
fn endless_recursion_is_a_trap_with_its_backtrace() -> Result<(), Error> {
    let proxy = Wat::new()
        .with("(func $again (param i64) (result i64) (i64.add (i64.const 1) (call $again (local.get 0))))")
        .on("proxy_on_tick", "(drop (call $again (i64.const 0)))")
        .load()?;
    let trap = trap(&proxy);
    assert!(trap.reason.contains("stack"), "{}", trap.reason);
    assert!(trap.backtrace.len() > 1000);
    assert_eq!(names(&trap)[0], "again");
    Ok(())
}

#[test]
fn recursion_is_as_deep_as_real_modules_need() -> Result<(), Error> {
    let proxy = Wat::new()
        .with(
            "(func $down (param i32) (result i32)
            (if (result i32) (local.get 0)
              (then (i32.add #1 (call $down (i32.sub (local.get 0) #1))))
              (else #0)))",
        )
        .on("proxy_on_tick", "(call $number (call $down #5000))")
        .load()?;
    proxy.tick()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["5000", "5000"]);
    Ok(())
}

#[test]
fn endless_loop_runs_out_of_fuel() -> Result<(), Error> {
    for body in [
        "(loop $forever (br $forever))",
        "(loop $forever (call $say @\"again\") (br $forever))",
        "(loop $forever (drop (call $proxy_get_property @\"plugin_root_id\" @out)) (br $forever))",
        "(loop $forever (memory.fill #0 #0 #65536) (br $forever))",
    ] {
        let options = Options::new().root_id("root").fuel_limit(10_000_000);
        let proxy = Wat::new().on("proxy_on_tick", body).load_with(options)?;
        let trap = trap(&proxy);
        assert!(trap.reason.contains("fuel"), "{body}: {}", trap.reason);
    }
    Ok(())
}

#[test]
fn endless_start_runs_out_of_fuel() {
    let options = || Options::new().fuel_limit(1_000_000);
    let endless = "(loop $forever (br $forever))";
    let section = format!("(func $begin {endless}) (start $begin)");
    for (wat, callback) in [
        (Wat::new().on("_start", endless), "_start"),
        (Wat::new().with(&section), "start section"),
    ] {
        let Err(Error::Trap(trap)) = wat.load_with(options()) else {
            panic!("{callback} did not trap");
        };
        assert_eq!(trap.callback, callback);
        assert_eq!(trap.limit, Some(Limit::Fuel));
        assert!(trap.to_string().contains("Options::fuel_limit"), "{trap}");
    }
}

#[test]
fn callbacks_that_cause_each_other_forever_run_out_of_fuel() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_configure",
            "(drop (call $proxy_register_shared_queue @\"q\" #8))",
        )
        .on(
            "proxy_on_queue_ready",
            "(drop (call $proxy_enqueue_shared_queue (local.get $queue_id) @\"item\"))",
        );
    let proxy = wat
        .load_with(Options::new().fuel_limit(10_000_000))?
        .configure("")?;
    let Err(Error::Trap(trap)) = proxy.enqueue("q", "first") else {
        panic!("it did not trap");
    };
    assert_eq!(trap.callback, "proxy_on_queue_ready");
    assert!(trap.reason.contains("fuel"), "{trap}");
    Ok(())
}

#[test]
fn each_step_of_a_test_has_its_own_fuel() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(local $count i32)
         (loop $work (local.set $count (i32.add (local.get $count) #1)) (br_if $work (i32.lt_u (local.get $count) #10000)))",
    );
    let proxy = wat.load_with(Options::new().fuel_limit(100_000))?;
    for _ in 0..20 {
        proxy.tick()?;
    }
    Ok(())
}

#[test]
fn vm_is_terminated_after_a_trap() -> Result<(), Error> {
    let proxy = Wat::new().on("proxy_on_tick", "(unreachable)").load()?;
    let open = proxy.request("GET", "/").send()?;
    trap(&proxy);
    assert!(matches!(proxy.tick(), Err(Error::VmTerminated)));
    assert!(matches!(proxy.reconfigure(""), Err(Error::VmTerminated)));
    assert!(matches!(proxy.add_plugin(""), Err(Error::VmTerminated)));
    assert!(matches!(
        proxy.request("GET", "/").send(),
        Err(Error::VmTerminated)
    ));
    assert!(matches!(open.respond(200), Err(Error::VmTerminated)));
    assert!(matches!(proxy.shut_down(), Err(Error::VmTerminated)));
    drop(open);
    Ok(())
}

#[test]
fn a_trap_in_any_callback_names_it() -> Result<(), Error> {
    for callback in [
        "proxy_on_context_create",
        "proxy_on_request_headers",
        "proxy_on_request_body",
        "proxy_on_request_trailers",
        "proxy_on_response_headers",
        "proxy_on_response_body",
        "proxy_on_response_trailers",
        "proxy_on_log",
        "proxy_on_done",
        "proxy_on_delete",
    ] {
        let traps = if callback == "proxy_on_context_create" {
            "(if (local.get $parent_context_id) (then (unreachable)))"
        } else {
            "(unreachable)"
        };
        let proxy = Wat::new().on(callback, traps).load()?;
        let Err(Error::Trap(trap)) = crate::wat::whole_request(&proxy) else {
            panic!("{callback} did not trap");
        };
        assert_eq!(trap.callback, callback);
    }
    Ok(())
}

#[test]
fn a_limit_of_the_embedded_proxy_is_named() -> Result<(), Error> {
    let grow = "(if (i32.eq (memory.grow #1) #-1) (then (unreachable)))";
    let options = || {
        Options::new()
            .memory_limit(2 * 65536)
            .fuel_limit(100_000_000)
    };
    for (body, limit) in [
        ("(unreachable)", None),
        ("(loop $forever (br $forever))", Some(Limit::Fuel)),
        (grow, Some(Limit::Memory)),
        ("(call $again)", Some(Limit::CallDepth)),
    ] {
        let proxy = Wat::new()
            .with("(func $again (call $again))")
            .on("proxy_on_tick", body)
            .load_with(options())?;
        assert_eq!(trap(&proxy).limit, limit, "{body}");
    }
    // The module's own limit is Envoy's, too.
    let bounded = Wat::new()
        .with("(memory $bounded 1 1)")
        .on(
            "proxy_on_tick",
            "(if (i32.eq (memory.grow $bounded #1) #-1) (then (unreachable)))",
        )
        .load_with(options())?;
    assert_eq!(trap(&bounded).limit, None);
    Ok(())
}
