//! The functions of WASI (ABI: "Randomness", "Environment variables", "Unimplemented WASI functions").

use proxy_wasm_test::{Error, LogLevel, Options};

use crate::wat::{Wat, said};

#[test]
fn environment_is_that_of_the_test() -> Result<(), Error> {
    let wat = Wat::new().on(
        "_initialize",
        "(call $number (call $wasi_environ_sizes_get #0 #4))
         (call $number (i32.load #0)) (call $number (i32.load #4))
         (call $number (call $wasi_environ_get #8 #100))
         (call $say #100 (i32.load #4))
         (call $number (i32.load #8)) (call $number (i32.load #12))",
    );
    let options = Options::new()
        .environment("NAME", "value")
        .environment("A", "");
    let proxy = wat.load_with(options)?;
    assert_eq!(
        said(&proxy),
        ["0", "2", "14", "0", "A=\0NAME=value\0", "100", "103"]
    );
    assert_eq!(said(&wat.load()?), ["0", "0", "0", "0", "", "0", "0"]);
    Ok(())
}

#[test]
fn random_numbers_depend_only_on_the_seed() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(call $number (call $wasi_random_get #100 #13)) (call $say #100 #16)",
    );
    let run = |seed| -> Result<Vec<String>, Error> {
        let proxy = wat.load_with(Options::new().random_seed(seed))?;
        proxy.tick()?;
        proxy.tick()?;
        Ok(said(&proxy))
    };
    let (first, other) = (run(1)?, run(2)?);
    assert_eq!(first, run(1)?);
    assert_ne!(first[1], other[1]);
    assert_ne!(first[1], first[3]);
    assert!(first[1].ends_with("\0\0\0"));
    Ok(())
}

#[test]
fn stdout_is_logged_as_info_and_stderr_as_error() -> Result<(), Error> {
    let wat = Wat::new()
        .with("(func $piece (param i32 i32) (i32.store #64 (local.get 0)) (i32.store #68 (local.get 1)))")
        .on(
            "proxy_on_vm_start",
            r#"(call $piece @"text")
               (drop (call $wasi_fd_write #1 #64 #1 #0)) (drop (call $wasi_fd_write #2 #64 #1 #0))"#,
        );
    let log = wat.load()?.log();
    let lines: Vec<_> = log
        .iter()
        .map(|line| (line.level, &line.message[..]))
        .collect();
    assert_eq!(lines, [(LogLevel::Info, "text"), (LogLevel::Error, "text")]);
    Ok(())
}

#[test]
fn output_costs_fuel() -> Result<(), Error> {
    // A page that is written 8,192 times.
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(local $piece i32)
         (loop $pieces
           (i32.store (i32.add #65536 (local.get $piece)) #0)
           (i32.store (i32.add #65540 (local.get $piece)) #65536)
           (local.set $piece (i32.add (local.get $piece) #8))
           (br_if $pieces (i32.lt_u (local.get $piece) #65536)))
         (drop (call $wasi_fd_write #1 #65536 #8192 #0))",
    );
    let proxy = wat.load_with(Options::new().fuel_limit(10_000_000))?;
    let Err(Error::Trap(trap)) = proxy.tick() else {
        panic!("half a gibibyte was written");
    };
    assert!(trap.reason.contains("fuel"), "{trap}");
    assert!(proxy.log().is_empty());
    Ok(())
}

#[test]
fn trap_after_an_exit_says_so() -> Result<(), Error> {
    let proxy = Wat::new()
        .on("proxy_on_tick", "(call $wasi_proc_exit #3) (unreachable)")
        .on("proxy_on_request_headers", "(unreachable)")
        .load()?;
    let Err(Error::Trap(trap)) = proxy.tick() else {
        panic!("it did not trap");
    };
    assert!(
        trap.reason
            .ends_with("after proc_exit(3), which does not end the module in Envoy, but returns"),
        "{trap}"
    );
    Ok(())
}

#[test]
fn exit_code_of_an_earlier_callback_is_forgotten() -> Result<(), Error> {
    let proxy = Wat::new()
        .on("proxy_on_tick", "(call $wasi_proc_exit #3)")
        .on("proxy_on_request_headers", "(unreachable)")
        .load()?;
    proxy.tick()?;
    let Err(Error::Trap(trap)) = proxy.request("GET", "/").send() else {
        panic!("it did not trap");
    };
    assert!(!trap.reason.contains("proc_exit"), "{trap}");
    Ok(())
}
