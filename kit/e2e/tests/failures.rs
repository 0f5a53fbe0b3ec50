//! A module that traps under load, with each failure policy: the table in kit/docs/rolling-out.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use proxy_wasm_e2e::print_line;
use proxy_wasm_test::envoy::find_or_fetch;
use proxy_wasm_test::envoy::process::{Launch, Process};
use proxy_wasm_test::envoy::resources::{
    Configuration, bootstrap, discovery_response, http_listener, replace, wasm_filter,
};
use proxy_wasm_test::envoy::updates::{UpdateOutcome, Updates};
use proxy_wasm_test::http;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Traps at a request for a path of six bytes, and appends `x-filter: on` to responses.
const MODULE: &str = r#"(module
    (import "env" "proxy_get_header_map_value"
      (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_add_header_map_value"
      (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) ":path")
    (data (i32.const 8) "x-filter")
    (data (i32.const 16) "on")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 4096)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $get
        (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 32) (i32.const 36)))
      (if (i32.eq (i32.load (i32.const 36)) (i32.const 6)) (then unreachable))
      i32.const 0)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
      (drop (call $add
        (i32.const 2) (i32.const 8) (i32.const 8) (i32.const 16) (i32.const 2)))
      i32.const 0))"#;

const TRAP_PATH: &str = "/panic";

/// How many clients send requests at the same time.
const CLIENTS: usize = 4;

/// How many responses in a row have to be the same to show that a state lasts.
const RESPONSES: usize = 500;

const TIMEOUT: Duration = Duration::from_secs(30);

/// What a client sees of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// 200, with the header of the extension.
    Served,
    /// 200, without it.
    Bypassed,
    /// 503.
    Unavailable,
    Other(u16),
}

/// An Envoy with one worker thread, and with the module.
struct EnvoyUnderTest {
    process: Process,
    directory: TempDir,
    module: PathBuf,
    policy: Value,
    url: String,
}

impl EnvoyUnderTest {
    /// Starts Envoy with these fields of the plugin.
    fn start(policy: Value) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let module = directory.path().join("module.wasm");
        fs::write(&module, wat::parse_str(MODULE)?)?;
        let path = directory.path().join("envoy.json");
        let listeners = directory.path().join("listeners.json");
        fs::write(
            &path,
            bootstrap(&listeners, 0, ("127.0.0.1", 9)).to_string(),
        )?;
        fs::write(&listeners, resources(&module, &policy, "first").to_string())?;
        let launch = Launch {
            binary: &find_or_fetch()?,
            bootstrap: &path,
            directory: directory.path(),
            workers: 1,
            drain_seconds: 1,
            arguments: Vec::new(),
        };
        let process = Process::start(launch.command(), directory.path(), TIMEOUT)?;
        Updates::new(process.admin().clone(), 1).wait(&Default::default())?;
        let addresses = process.admin().listener_addresses()?;
        let address = addresses.get("http").context("no listener")?;
        Ok(Self {
            url: format!("http://{address}"),
            process,
            directory,
            module,
            policy,
        })
    }

    fn send(&self, path: &str) -> Result<Seen> {
        let response = http::get(&format!("{}{path}", self.url))?;
        Ok(match response.status {
            200 if response.header("x-filter") == ["on"] => Seen::Served,
            200 => Seen::Bypassed,
            503 if response.body.is_empty() => Seen::Unavailable,
            status => Seen::Other(status),
        })
    }

    /// Gives the plugin another configuration.
    fn update(&self) -> Result<()> {
        let updates = Updates::new(self.process.admin().clone(), 1);
        let before = updates.counts()?;
        let listeners = self.directory.path().join("listeners.json");
        replace(&listeners, &resources(&self.module, &self.policy, "second"))?;
        ensure!(
            updates.wait(&before)? == UpdateOutcome::Accepted,
            "rejected"
        );
        Ok(())
    }

    fn stats(&self) -> Result<BTreeMap<String, u64>> {
        Ok(self
            .process
            .admin()
            .stats("wasm|http.http.downstream_rq_5xx")?)
    }
}

fn resources(module: &std::path::Path, policy: &Value, configuration: &str) -> Value {
    let configuration = Configuration::Text(configuration.to_owned());
    let mut filter = wasm_filter(module, "", &configuration);
    for (name, value) in policy.as_object().into_iter().flatten() {
        filter["typed_config"]["config"][name] = value.clone();
    }
    let route = json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}});
    discovery_response(&[http_listener("http", 0, &[route], &[filter])])
}

/// What clients see, in the order of the responses, each with the time at which its request was
/// sent.
struct BackgroundLoad<'a> {
    proxy: &'a EnvoyUnderTest,
    seen: &'a Mutex<Vec<(Instant, Seen)>>,
}

impl BackgroundLoad<'_> {
    /// Runs something under load.
    fn run<T>(
        proxy: &EnvoyUnderTest,
        during: impl FnOnce(&BackgroundLoad) -> Result<T>,
    ) -> Result<T> {
        let seen = Mutex::new(Vec::new());
        let stops = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    while !stops.load(Ordering::Relaxed) {
                        let sent = Instant::now();
                        let response = proxy.send("/").unwrap_or(Seen::Other(0));
                        if let Ok(mut seen) = seen.lock() {
                            seen.push((sent, response));
                        }
                    }
                });
            }
            let result = during(&BackgroundLoad { proxy, seen: &seen });
            stops.store(true, Ordering::Relaxed);
            result
        })
    }

    /// What was seen of requests that were sent after a point in time.
    fn since(&self, start: Instant) -> Vec<(Duration, Seen)> {
        let seen = self
            .seen
            .lock()
            .map(|seen| seen.clone())
            .unwrap_or_default();
        let mut seen: Vec<_> = seen
            .into_iter()
            .filter_map(|(sent, response)| Some((sent.checked_duration_since(start)?, response)))
            .collect();
        seen.sort_unstable();
        seen
    }

    /// Waits until `is_enough` accepts what was seen of the requests that were sent after `start`.
    fn wait(
        &self,
        start: Instant,
        is_enough: impl Fn(&[(Duration, Seen)]) -> bool,
    ) -> Result<Vec<(Duration, Seen)>> {
        loop {
            let seen = self.since(start);
            if is_enough(&seen) {
                return Ok(seen);
            }
            ensure!(
                start.elapsed() < TIMEOUT,
                "not seen within the timeout: {:?}",
                seen.last()
            );
            thread::yield_now();
        }
    }

    /// Waits for many responses. All have to be the expected one.
    fn check_lasts(&self, expected: Seen) -> Result<()> {
        let seen = self.wait(Instant::now(), |seen| seen.len() >= RESPONSES)?;
        let other = seen.iter().find(|(_, response)| *response != expected);
        ensure!(other.is_none(), "{expected:?} does not last: {other:?}");
        Ok(())
    }

    /// Makes the module trap. The request that causes the trap gets 503, whatever the policy.
    fn trap(&self) -> Result<Instant> {
        let response = self.proxy.send(TRAP_PATH)?;
        ensure!(response == Seen::Unavailable, "{response:?}");
        Ok(Instant::now())
    }
}

/// The Wasm statistics that differ.
fn changed(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<String> {
    let differs = |(name, value): &(&String, &u64)| before.get(*name) != Some(*value);
    let changed = after.iter().filter(differs).map(|(name, _)| name.clone());
    changed.filter(|name| name.contains("wasm")).collect()
}

#[test]
fn fail_closed_rejects_every_request_until_the_configuration_changes() -> Result<()> {
    let proxy = EnvoyUnderTest::start(json!({"failure_policy": "FAIL_CLOSED"}))?;
    BackgroundLoad::run(&proxy, |load| {
        load.check_lasts(Seen::Served)?;
        let before = proxy.stats()?;
        load.trap()?;
        load.check_lasts(Seen::Unavailable)?;
        let after = proxy.stats()?;
        // No Wasm statistic shows the trap.
        assert_eq!(changed(&before, &after), [""; 0]);
        let errors = "http.http.downstream_rq_5xx";
        assert!(after[errors] >= before[errors] + RESPONSES as u64);
        proxy.update()?;
        load.check_lasts(Seen::Served)
    })
}

#[test]
fn no_policy_is_the_same_as_fail_closed() -> Result<()> {
    let proxy = EnvoyUnderTest::start(json!({}))?;
    BackgroundLoad::run(&proxy, |load| {
        load.check_lasts(Seen::Served)?;
        load.trap()?;
        load.check_lasts(Seen::Unavailable)
    })
}

#[test]
fn fail_open_lets_every_later_request_pass_without_the_extension() -> Result<()> {
    let proxy = EnvoyUnderTest::start(json!({"failure_policy": "FAIL_OPEN"}))?;
    BackgroundLoad::run(&proxy, |load| {
        load.check_lasts(Seen::Served)?;
        let before = proxy.stats()?;
        load.trap()?;
        load.check_lasts(Seen::Bypassed)?;
        assert_eq!(changed(&before, &proxy.stats()?), [""; 0]);
        // A request for this path passes now, because the module does not run.
        assert_eq!(proxy.send(TRAP_PATH)?, Seen::Bypassed);
        proxy.update()?;
        load.check_lasts(Seen::Served)
    })
}

#[test]
fn fail_reload_starts_the_module_again_after_the_backoff() -> Result<()> {
    let proxy = EnvoyUnderTest::start(json!({
        "failure_policy": "FAIL_RELOAD",
        "reload_config": {"backoff": {"base_interval": "2s"}},
    }))?;
    BackgroundLoad::run(&proxy, |load| {
        load.check_lasts(Seen::Served)?;
        // The module has just started: the first trap is within the backoff, and so is the second.
        for reloads in 1..=2 {
            let trapped = load.trap()?;
            let served = |seen: &[(Duration, Seen)]| {
                seen.iter().any(|(_, response)| *response == Seen::Served)
            };
            let seen = load.wait(trapped, served)?;
            let first = seen.iter().find(|(_, response)| *response == Seen::Served);
            let (after, _) = first.context("no response")?;
            print_line(&format!(
                "Reload {reloads}: served again after {after:?}; {} requests rejected",
                seen.iter()
                    .filter(|(_, response)| *response == Seen::Unavailable)
                    .count()
            ));
            ensure!(
                seen.iter()
                    .all(|(_, response)| { matches!(response, Seen::Served | Seen::Unavailable) })
            );
            load.check_lasts(Seen::Served)?;
            let stats = proxy.stats()?;
            assert_eq!(stats["wasm.extension.vm_reload_success"], reloads);
            assert!(stats["wasm.extension.vm_reload_backoff"] > 0);
            assert_eq!(stats["wasm.extension.vm_reload_failure"], 0);
        }
        Ok(())
    })
}

#[test]
fn fail_reload_costs_one_request_if_the_module_has_run_longer_than_the_backoff() -> Result<()> {
    let proxy = EnvoyUnderTest::start(json!({
        "failure_policy": "FAIL_RELOAD",
        "reload_config": {"backoff": {"base_interval": "0.1s"}},
    }))?;
    let start = Instant::now();
    BackgroundLoad::run(&proxy, |load| {
        load.wait(start, |seen| {
            seen.last()
                .is_some_and(|(sent, _)| *sent > Duration::from_secs(1))
        })?;
        let trapped = load.trap()?;
        let seen = load.wait(trapped, |seen| seen.len() >= RESPONSES)?;
        let rejected = seen
            .iter()
            .filter(|(_, seen)| *seen != Seen::Served)
            .count();
        // Requests that were in the proxy when the module trapped.
        ensure!(rejected <= CLIENTS, "{rejected} requests are not served");
        assert_eq!(proxy.stats()?["wasm.extension.vm_reload_success"], 1);
        Ok(())
    })
}
