//! Logging (ABI: "Logging").

use proxy_wasm_test::{Error, LogLevel, LogLine, Options};

use crate::wat::{Wat, said};

#[test]
fn each_level_is_kept_with_its_line() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_vm_start",
        r#"(call $number (call $proxy_log #0 @"trace"))
           (call $number (call $proxy_log #5 @"critical"))
           (call $number (call $proxy_log #6 @"nothing"))
           (call $number (call $proxy_log #-1 @"nothing"))"#,
    );
    let line = |level, message: &str| LogLine {
        level,
        message: message.to_owned(),
    };
    assert_eq!(
        wat.load()?.log(),
        [
            line(LogLevel::Trace, "trace"),
            line(LogLevel::Info, "0"),
            line(LogLevel::Critical, "critical"),
            line(LogLevel::Info, "0"),
            line(LogLevel::Info, "2"),
            line(LogLevel::Info, "2"),
        ]
    );
    Ok(())
}

#[test]
fn the_level_of_the_host_can_be_set() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_vm_start",
        "(drop (call $proxy_get_log_level #0)) (call $number (i32.load #0))",
    );
    let proxy = wat.load_with(Options::new().log_level(LogLevel::Warn))?;
    assert_eq!(said(&proxy), ["3"]);
    Ok(())
}

#[test]
fn bytes_that_are_not_utf8_are_replaced() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_vm_start",
        "(i32.store8 #0 #0xff) (call $say #0 #1) (call $say #0 #0)",
    );
    assert_eq!(said(&wat.load()?), ["\u{fffd}", ""]);
    Ok(())
}

#[test]
fn the_newest_ten_thousand_lines_are_kept() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(local $line i32)
         (loop $lines
           (call $number (local.get $line))
           (local.set $line (i32.add (local.get $line) #1))
           (br_if $lines (i32.lt_u (local.get $line) #10001)))",
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    let said = said(&proxy);
    assert_eq!(said.len(), 10_000);
    assert_eq!((said[0].as_str(), said[9_999].as_str()), ("1", "10000"));
    Ok(())
}
