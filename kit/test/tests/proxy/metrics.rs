//! Metrics (ABI: "Metrics").

use proxy_wasm_test::{Error, Metric, Proxy};

use crate::wat::{Wat, said};

/// Defines a metric and logs what the calls answer, and its value after each.
fn metric(kind: u32, calls: &[&str]) -> Result<(Proxy, Vec<String>), Error> {
    let calls: String = calls
        .iter()
        .map(|call| {
            format!("(call $number (call {call})) (call $number (call $proxy_get_metric (i32.load #8) #16))
               (call $number (i32.wrap_i64 (i64.load #16)))")
        })
        .collect();
    let wat = Wat::new().on(
        "proxy_on_tick",
        &format!("(call $number (call $proxy_define_metric #{kind} @\"name\" #8)) {calls}"),
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    let said = said(&proxy);
    Ok((proxy, said))
}

const ADD: &str = "$proxy_increment_metric (i32.load #8) (i64.const 5)";
const NOTHING: &str = "$proxy_increment_metric (i32.load #8) (i64.const 0)";
const SUBTRACT: &str = "$proxy_increment_metric (i32.load #8) (i64.const -2)";
const RECORD: &str = "$proxy_record_metric (i32.load #8) (i64.const 70)";

#[test]
fn a_counter_only_grows() -> Result<(), Error> {
    let (proxy, said) = metric(0, &[ADD, SUBTRACT, NOTHING, RECORD])?;
    assert_eq!(
        said,
        [
            "0", "0", "0", "5", "2", "0", "5", "0", "0", "5", "0", "0", "70"
        ]
    );
    assert_eq!(proxy.metric("name"), Some(Metric::Counter(70)));
    Ok(())
}

#[test]
fn a_gauge_goes_up_and_down() -> Result<(), Error> {
    let (proxy, said) = metric(1, &[ADD, SUBTRACT, RECORD])?;
    assert_eq!(said, ["0", "0", "0", "5", "0", "0", "3", "0", "0", "70"]);
    assert_eq!(proxy.metric("name"), Some(Metric::Gauge(70)));
    Ok(())
}

#[test]
fn a_histogram_keeps_all_that_is_recorded() -> Result<(), Error> {
    let (proxy, said) = metric(2, &[RECORD, ADD, RECORD])?;
    assert_eq!(said, ["0", "0", "2", "0", "2", "2", "0", "0", "2", "0"]);
    assert_eq!(proxy.metric("name"), Some(Metric::Histogram(vec![70, 70])));
    Ok(())
}

#[test]
fn unknown_kinds_and_metrics_are_refused() -> Result<(), Error> {
    assert_eq!(metric(3, &[])?.1, ["2"]);
    let unknown = [
        "$proxy_increment_metric #77 (i64.const 1)",
        "$proxy_record_metric #0 (i64.const 1)",
        "$proxy_get_metric #-1 #16",
    ];
    for call in unknown {
        assert_eq!(metric(0, &[call])?.1[1], "1", "{call}");
    }
    assert_eq!(Wat::new().load()?.metric("name"), None);
    Ok(())
}

#[test]
fn a_name_and_kind_is_one_metric() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        r#"(drop (call $proxy_define_metric #0 @"name" #0))
           (drop (call $proxy_increment_metric (i32.load #0) (i64.const 1)))"#,
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    proxy.tick()?;
    assert_eq!(proxy.metric("name"), Some(Metric::Counter(2)));
    Ok(())
}
