//! What a real Envoy loads, and how it runs modules of ABI 0.1.0, beside the embedded proxy.

#[path = "proxy/modules.rs"]
#[allow(dead_code)] // what the other tests need of it
mod modules;
#[path = "proxy/wat.rs"]
#[allow(dead_code)] // what the other tests need of it
mod wat;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use proxy_wasm_abi::AbiVersion;
use proxy_wasm_test::envoy::{Configuration, Envoy, find_or_fetch};
use proxy_wasm_test::{Reply, Upstream, http};
use serde_json::json;

use modules::{Expected, cases};
use wat::{Wat, said};

/// What Envoy has done with a module.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Loaded,
    Rejected,
    Crashed,
}

/// Loads a module in an Envoy that only validates its configuration. Returns what the module has
/// logged, and the rest of the log.
fn load(envoy: &Path, directory: &Path, module: &str) -> Result<(Outcome, Vec<String>, String)> {
    let path = directory.join("module.wasm");
    fs::write(&path, ::wat::parse_str(module)?)?;
    let bootstrap = directory.join("envoy.json");
    fs::write(&bootstrap, configuration(&path).to_string())?;
    let output = Command::new(envoy)
        .args(["--mode", "validate", "--log-format", "%v", "--config-path"])
        .arg(&bootstrap)
        .output()
        .context("start Envoy")?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let outcome = match output.status.code() {
        Some(0) => Outcome::Loaded,
        Some(_) => Outcome::Rejected,
        None => Outcome::Crashed,
    };
    let messages = log
        .lines()
        .filter_map(|line| Some(line.strip_prefix("wasm log")?.split_once(": ")?.1))
        .map(str::to_owned)
        .collect();
    Ok((outcome, messages, log))
}

fn configuration(module: &Path) -> serde_json::Value {
    json!({"static_resources": {"listeners": [{
        "name": "listener",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{
            "name": "http",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "http",
                "route_config": {},
                "http_filters": [{
                    "name": "wasm",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                        "config": {"vm_config": {
                            "runtime": "envoy.wasm.runtime.v8",
                            "code": {"local": {"filename": module}},
                        }},
                    },
                }, {
                    "name": "router",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                    },
                }],
            },
        }]}],
    }]}})
}

#[test]
fn envoy_loads_modules_as_expected() -> Result<()> {
    let envoy = find_or_fetch()?;
    let directory = tempfile::tempdir()?;
    for case in cases() {
        let name = case.name;
        let (outcome, messages, log) = load(&envoy, directory.path(), &case.module)?;
        match case.expected {
            Expected::Loads(lines) => {
                assert_eq!(outcome, Outcome::Loaded, "{name}: {log}");
                // Envoy makes several VMs, and the last one starts completely.
                assert!(ends_with(&messages, lines), "{name}: {messages:?}");
            }
            Expected::OnlyInEnvoy(_) => assert_eq!(outcome, Outcome::Loaded, "{name}: {log}"),
            Expected::Rejected(_) => assert_eq!(outcome, Outcome::Rejected, "{name}: {log}"),
            Expected::CrashesEnvoy(_) => assert_eq!(outcome, Outcome::Crashed, "{name}: {log}"),
        }
    }
    Ok(())
}

fn ends_with(messages: &[String], lines: &[&str]) -> bool {
    messages
        .iter()
        .rev()
        .map(String::as_str)
        .take(lines.len())
        .eq(lines.iter().rev().copied())
}

/// Reads what is and what is not there, pauses the request, and continues it when the timer runs.
fn module_of_0_1_0() -> Wat {
    let result = "(call $number (i32.load #0)) (call $number (i32.load #4))
        (i32.store #0 #7) (i32.store #4 #7)";
    let header = |map: u32, name: &str| {
        format!(
            "(call $number (call $proxy_get_header_map_value #{map} @\"{name}\" @out))
            (call $number (i32.load #4)) (i32.store #4 #7)"
        )
    };
    let configuration = "(call $number (call $proxy_get_configuration @out)) (call $say @result)";
    Wat::new()
        .version(AbiVersion::V0_1_0)
        .with("(global $context (mut i32) (i32.const 0))")
        .on(
            "proxy_on_vm_start",
            "(drop (call $proxy_set_tick_period_milliseconds #20))",
        )
        .on("proxy_on_configure", configuration)
        .on(
            "proxy_on_request_headers",
            &format!(
                "(call $say @\"request\") {} {} {} {configuration}
                (call $number (call $proxy_clear_route_cache))
                (call $number (call $proxy_get_status #8 @out)) {result}
                (call $number (call $proxy_get_header_map_pairs #2 @out)) {result}
                (global.set $context (local.get 0))
                (return #1)",
                header(0, ":path"),
                header(0, "none"),
                header(2, "none"),
            ),
        )
        .on(
            "proxy_on_tick",
            "(if (global.get $context) (then
              (call $number (call $proxy_set_effective_context (global.get $context)))
              (call $number (call $proxy_continue_request))
              (global.set $context #0)))",
        )
        .on(
            "proxy_on_response_headers",
            &format!("(call $say @\"response\") {}", header(2, "none")),
        )
        .on("proxy_on_delete", "(call $say @\"deleted\")")
}

#[test]
fn module_of_abi_0_1_0_runs_as_in_envoy() -> Result<()> {
    let module = module_of_0_1_0();
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("module.wasm");
    fs::write(&path, ::wat::parse_str(module.text())?)?;
    let upstream = Upstream::start(|_| Reply::new(200).body("hello"))?;
    let configuration = Configuration::Text("configuration".to_owned());
    let envoy = Envoy::builder(&path, upstream.address())
        .workers(1)
        .listener("http", "", &configuration)
        .start()?;
    assert_eq!(http::get(&envoy.url("/"))?.status, 200);
    let log = envoy.log_until(": deleted\n")?;
    let real: Vec<_> = log
        .lines()
        .filter_map(|line| Some(line.split_once("wasm log")?.1.split_once(": ")?.1))
        .skip_while(|line| *line != "request")
        .collect();

    let proxy = module.load()?.configure("configuration")?;
    let stream = proxy.request("GET", "/").send()?;
    proxy.tick()?;
    assert_eq!(stream.respond(Reply::new(200).body("hello"))?.status(), 200);
    let embedded = said(&proxy);
    let embedded: Vec<_> = embedded
        .iter()
        .map(String::as_str)
        .skip_while(|line| *line != "request")
        .collect();
    assert_eq!(embedded, real);
    Ok(())
}
