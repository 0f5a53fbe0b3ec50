//! Hostile modules: each host call returns a status or traps.

use proxy_wasm_abi::{AbiVersion, Function, ValueType, callback};
use proxy_wasm_test::{Error, Options, Proxy, Reply};

use crate::wat::{Wat, host_functions};

/// A generator of numbers, so that each run is the same (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number as an argument: small, an address, at a limit, or any.
    fn argument(&mut self) -> u64 {
        match self.below(8) {
            0..=2 => self.below(12),
            3 | 4 => self.below(131_100),
            5 => 131_072 - self.below(16),
            6 => u64::MAX - self.below(4),
            _ => self.next(),
        }
    }
}

/// The callbacks that the host calls for an HTTP extension.
const CALLBACKS: [&str; 15] = [
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_http_call_response",
    "proxy_on_queue_ready",
    "proxy_on_done",
    "proxy_on_log",
    "proxy_on_delete",
];

/// The functions that the embedded proxy has.
fn available_functions() -> Vec<(String, &'static Function)> {
    host_functions()
        .filter(|(name, _)| Wat::new().importing(name).load().is_ok())
        .collect()
}

/// Some host calls with arguments from the generator. Sometimes the callback also returns a number
/// from it.
fn body(
    numbers: &mut Numbers,
    callback: &Function,
    functions: &[(String, &'static Function)],
) -> String {
    let mut body = String::new();
    for _ in 0..=numbers.below(16) {
        let (name, function) = &functions[numbers.below(functions.len() as u64) as usize];
        let parameters = function.signature.parameters.iter();
        let arguments: Vec<_> = parameters
            .map(|parameter| match parameter.value_type {
                ValueType::I64 => format!("(i64.const {})", numbers.argument().cast_signed()),
                ValueType::I32 => {
                    format!("(i32.const {})", (numbers.argument() as u32).cast_signed())
                }
            })
            .collect();
        let call = format!("(call ${name} {})", arguments.join(" "));
        if name == "wasi_proc_exit" {
            if numbers.below(20) == 0 {
                body.push_str(&call);
            }
        } else if function.signature.result.is_some() {
            body.push_str(&format!("(drop {call})"));
        } else {
            body.push_str(&call);
        }
    }
    if callback.signature.result.is_some() && numbers.below(3) == 0 {
        body.push_str(&format!("(return (i32.const {}))", numbers.below(4)));
    }
    body
}

/// Runs a module from its start to its end, and adds the number of its host calls to `made`.
fn run(wat: &Wat, made: &mut u64) -> Result<(), Error> {
    let options = Options::new()
        .fuel_limit(50_000_000)
        .memory_limit(1 << 22)
        .root_id("root")
        .environment("A", "b");
    let proxy = wat.load_with(options)?;
    let ended = run_lifecycle(&proxy);
    *made += proxy.host_calls().values().sum::<u64>();
    ended
}

fn run_lifecycle(proxy: &Proxy) -> Result<(), Error> {
    let configured = proxy.reconfigure("configuration");
    if matches!(configured, Err(Error::Trap(_))) {
        return configured;
    }
    for _ in 0..2 {
        let request = proxy
            .request("POST", "/")
            .body("one")
            .body("two")
            .trailer("a", "b");
        let stream = request.send()?;
        proxy.tick()?;
        for call in proxy.http_calls() {
            proxy.respond_to_call(call.id, Reply::new(200).body("x").trailer("a", "b"))?;
        }
        let reply = Reply::new(200).body("one").body("two").trailer("a", "b");
        match stream.respond(reply) {
            Ok(response) => assert!(response.fuel() < 50_000_000),
            Err(error @ (Error::Trap(_) | Error::VmTerminated)) => return Err(error),
            Err(Error::StreamReset) => {}
            Err(_) => stream.reset()?,
        }
        proxy.advance(std::time::Duration::from_millis(20))?;
    }
    other_plugin(proxy)?;
    proxy.shut_down()
}

fn other_plugin(proxy: &Proxy) -> Result<(), Error> {
    match proxy.add_plugin("another") {
        Ok(second) => second.shut_down(),
        Err(Error::Rejected { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A panic of the host fails the test.
#[test]
fn host_calls_with_any_arguments_return_a_status_or_trap() {
    const MODULES: u64 = 600;
    let functions = available_functions();
    assert!(functions.len() > 50, "{}", functions.len());
    let (mut traps, mut ended_well, mut made) = (0, 0, 0);
    for seed in 1..=MODULES {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let wat = CALLBACKS.into_iter().fold(Wat::new(), |wat, name| {
            let callback = callback(name, AbiVersion::V0_2_1).expect("a callback");
            // The module has only a third of the callbacks, because a rejection at the start prevents
            // all later ones.
            if numbers.below(3) == 0 {
                wat.on(name, &body(&mut numbers, callback, &functions))
            } else {
                wat
            }
        });
        match run(&wat, &mut made) {
            Ok(()) => ended_well += 1,
            Err(Error::Trap(_)) => traps += 1,
            Err(Error::Load(message)) => panic!("seed {seed}: {message}\n{}", wat.text()),
            Err(_) => {}
        }
    }
    println!("{MODULES} modules, {made} host calls: {ended_well} ended well, {traps} trapped");
    assert!(made > 10_000, "{made}");
    assert!(
        ended_well > MODULES / 4,
        "{ended_well} of {MODULES} ended well"
    );
}

#[test]
fn invalid_results_of_callbacks_do_not_cause_a_panic() -> Result<(), Error> {
    let wat = CALLBACKS.into_iter().fold(Wat::new(), |wat, callback| {
        let returns = callback.contains("_on_re") || callback == "proxy_on_done";
        wat.on(callback, if returns { "(return #-1)" } else { "" })
    });
    let proxy = wat.load()?.configure("")?;
    let stream = proxy.request("POST", "/").body("body").send()?;
    assert!(stream.is_request_paused());
    assert!(matches!(stream.respond(200), Err(Error::Paused("request"))));
    stream.reset()?;
    // Any number but 0 says that the plugin is done.
    proxy.shut_down()?;
    assert!(!proxy.is_alive());
    Ok(())
}
