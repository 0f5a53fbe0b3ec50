//! The fuel of a callback: the module's instructions, and a fixed amount for each call.

use proxy_wasm_test::{Error, Proxy};

use crate::wat::Wat;

/// Functions of many signatures, and a callback that calls them.
const FUNCTIONS: &str = r#"
  (type $pair (func (param i32 i64) (result i64 i32)))
  (table 3 funcref) (elem (i32.const 0) $swap $float $nothing)
  (func $nothing)
  (func $one (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $long (param i64 i64) (result i64) (i64.mul (local.get 0) (local.get 1)))
  (func $float (param f32 f64) (result f64) (f64.add (f64.promote_f32 (local.get 0)) (local.get 1)))
  (func $many (param i32 i64 f32 f64 i32 i64 f32 f64 i32) (result f32) (local.get 6))
  (func $swap (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
  (func $three (result i32 f64 i64) (i32.const 1) (f64.const 2) (i64.const 3))
  (func $recursive (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add
        (call $recursive (i32.sub (local.get 0) (i32.const 1)))
        (call $recursive (i32.sub (local.get 0) (i32.const 2)))))))
  (func $early (param i32) (result i32)
    (if (local.get 0) (then (return (i32.const 5))))
    (i32.const 6))
  (func $loops (param $count i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (call $one (i32.add (local.get $sum) (local.get $count))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $again (local.get $count)))
    (local.get $sum))
"#;

/// Each is a body that calls some of them.
const BODIES: [&str; 13] = [
    "",
    "(call $nothing)",
    "(call $nothing) (call $nothing) (call $nothing)",
    "(drop (call $one #41))",
    "(drop (call $one (call $one (call $one #41))))",
    "(drop (call $long (i64.const 3) (i64.const -1)))",
    "(drop (call $float (f32.const 1) (f64.const 2)))",
    "(drop (call $many #1 (i64.const 2) (f32.const 3) (f64.const 4) #5 (i64.const 6) (f32.const 7) (f64.const 8) #9))",
    "(call $swap #1 (i64.const 2)) drop drop",
    "(call $three) drop drop drop",
    "(drop (call $recursive #12))",
    "(drop (call $early #1)) (drop (call $early #0)) (drop (call $loops #100))",
    "(call_indirect (type $pair) #1 (i64.const 2) #0) drop drop
     (drop (call_indirect (param f32 f64) (result f64) (f32.const 1) (f64.const 2) #1))
     (call_indirect #2)",
];

fn module(body: &str) -> Wat {
    Wat::new().with(FUNCTIONS).on("proxy_on_log", body)
}

/// The fuel of the callback in the embedded proxy.
fn embedded(module: impl Into<proxy_wasm_test::Module>) -> Result<u64, Error> {
    let proxy = Proxy::load(module)?;
    Ok(proxy.request("GET", "/").respond(200)?.fuel())
}

#[test]
fn each_call_adds_the_same_fuel() -> Result<(), Error> {
    let calls = |count| embedded(module(&"(call $nothing)".repeat(count)).text());
    let (one, two, three) = (calls(1)?, calls(2)?, calls(3)?);
    assert!(two > one);
    assert_eq!(three - two, two - one);
    Ok(())
}

#[test]
fn fuel_is_the_same_in_each_run_and_without_names() -> Result<(), Error> {
    for body in BODIES {
        let bytes = ::wat::parse_str(module(body).text()).expect("a module");
        let stripped = proxy_wasm_module::strip(&bytes).expect("a module");
        let proxy = Proxy::load(&bytes)?;
        let first = proxy.request("GET", "/").respond(200)?.fuel();
        let second = proxy.request("GET", "/").respond(200)?.fuel();
        assert_eq!(first, second, "{body}");
        assert_eq!(first, embedded(&bytes)?, "{body}");
        assert_eq!(first, embedded(&stripped)?, "{body}");
    }
    Ok(())
}

#[test]
fn a_host_call_costs_the_module_only_its_instructions() -> Result<(), Error> {
    let fuel = |text: &str| {
        let body = format!("(drop (call $proxy_log #2 @\"{text}\"))");
        embedded(Wat::new().on("proxy_on_log", &body).text())
    };
    let short = fuel("short")?;
    assert_eq!(short, fuel("a much longer line than that")?);
    assert!(short < 100, "{short}");
    Ok(())
}

#[test]
fn more_work_is_more_fuel() -> Result<(), Error> {
    let loops = |count| embedded(module(&format!("(drop (call $loops #{count}))")).text());
    let (ten, eleven, twelve) = (loops(10)?, loops(11)?, loops(12)?);
    assert!(eleven > ten);
    assert_eq!(twelve - eleven, eleven - ten);
    Ok(())
}
