//! Metrics (ABI: "Metrics").

use proxy_wasm_test::{Error, Metric, Proxy};

use crate::wat::{BAD, Wat, results, said};

/// Defines a metric, and logs what each call returns and the metric's value after it.
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
            "0", "0", "0", "5", "2", "0", "5", "2", "0", "5", "0", "0", "75"
        ]
    );
    assert_eq!(proxy.metric("name"), Some(Metric::Counter(75)));
    Ok(())
}

#[test]
fn a_gauge_goes_up_and_down() -> Result<(), Error> {
    let (proxy, said) = metric(1, &[ADD, SUBTRACT, NOTHING, RECORD])?;
    assert_eq!(
        said,
        [
            "0", "0", "0", "5", "0", "0", "3", "0", "0", "3", "0", "0", "70"
        ]
    );
    assert_eq!(proxy.metric("name"), Some(Metric::Gauge(70)));
    Ok(())
}

#[test]
fn counters_and_gauges_wrap() -> Result<(), Error> {
    const MAX: &str = "$proxy_record_metric (i32.load #8) (i64.const -1)";
    assert_eq!(
        metric(0, &[MAX, ADD])?.0.metric("name"),
        Some(Metric::Counter(4))
    );
    assert_eq!(
        metric(1, &[MAX, ADD])?.0.metric("name"),
        Some(Metric::Gauge(4))
    );
    let below = metric(1, &[SUBTRACT])?.0.metric("name");
    assert_eq!(below, Some(Metric::Gauge(u64::MAX - 1)));
    Ok(())
}

#[test]
fn histogram_keeps_all_recorded_values() -> Result<(), Error> {
    let (proxy, said) = metric(2, &[RECORD, ADD, RECORD])?;
    assert_eq!(said, ["0", "0", "2", "0", "2", "2", "0", "0", "2", "0"]);
    assert_eq!(proxy.metric("name"), Some(Metric::Histogram(vec![70, 70])));
    Ok(())
}

#[test]
fn unknown_type_is_rejected() -> Result<(), Error> {
    assert_eq!(metric(3, &[])?.1, ["2"]);
    assert_eq!(metric(0xffff_ffff, &[])?.1, ["2"]);
    assert_eq!(Wat::new().load()?.metric("name"), None);
    Ok(())
}

#[test]
fn status_for_an_unknown_identifier_depends_on_its_type() -> Result<(), Error> {
    // Counters, gauges, histograms, and the type that does not exist.
    for (id, read, recorded) in [
        ("#0", "1", "1"),
        ("#400", "1", "1"),
        ("#401", "1", "1"),
        ("#1", "1", "1"),
        ("#402", "2", "1"),
        ("#2", "2", "1"),
        ("#403", "2", "1"),
        ("#3", "2", "1"),
        ("#-1", "2", "1"),
    ] {
        let calls = [
            format!("$proxy_get_metric {id} #16"),
            format!("$proxy_increment_metric {id} (i64.const 1)"),
            format!("$proxy_record_metric {id} (i64.const 1)"),
        ];
        let results = results("proxy_on_configure", &calls.each_ref().map(String::as_str))?;
        assert_eq!(results, [read, read, recorded], "{id}");
    }
    Ok(())
}

#[test]
fn identifier_is_a_count_and_the_type() -> Result<(), Error> {
    let define = |kind: u32, name: &str| {
        format!(
            "(call $number (call $proxy_define_metric #{kind} @\"{name}\" #8))
             (call $number (i32.load #8))"
        )
    };
    let definitions: String = [(0, "a"), (0, "a"), (1, "b"), (2, "c"), (1, "a"), (0, "")]
        .map(|(kind, name)| define(kind, name))
        .concat();
    let proxy = Wat::new().on("proxy_on_tick", &definitions).load()?;
    proxy.tick()?;
    assert_eq!(
        said(&proxy),
        ["0", "4", "0", "8", "0", "5", "0", "6", "0", "9", "0", "12"]
    );
    Ok(())
}

#[test]
fn addresses_outside_the_memory_are_rejected() -> Result<(), Error> {
    let calls = [
        &format!("$proxy_define_metric #9 {BAD} #1 #8"),
        &format!("$proxy_define_metric #0 @\"a\" {BAD}"),
        &format!("$proxy_get_metric #4 {BAD}"),
        // As in Envoy, the second call has defined the metric.
        "$proxy_get_metric #4 #16",
    ];
    assert_eq!(results("proxy_on_configure", &calls)?, ["6", "6", "6", "0"]);
    Ok(())
}

#[test]
fn defining_a_metric_again_keeps_its_value() -> Result<(), Error> {
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
