//! What a real Envoy loads, beside what the embedded proxy loads.

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
use proxy_wasm_test::envoy::find_or_fetch;
use serde_json::json;

use modules::{Expected, cases};

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
