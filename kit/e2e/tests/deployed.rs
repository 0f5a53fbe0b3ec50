//! The files under `deploy/`, in a real Envoy.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use proxy_wasm_e2e::{deployed, image_root, module_path, start_upstream, template};
use proxy_wasm_test::envoy::process::{KillOnDrop, spawn};
use proxy_wasm_test::envoy::{self, Envoy};
use proxy_wasm_test::http;

#[test]
fn configuration_for_each_mesh_is_in_force() -> Result<()> {
    for (mesh, pointer) in [
        ("maistra", "/spec/config"),
        ("maistra-2.0", "/spec/config"),
        ("istio", "/spec/pluginConfig"),
        ("envoy-gateway", "/spec/wasm/0/config"),
    ] {
        let file = deployed::read(template(), mesh)?;
        let configuration = file
            .pointer(pointer)
            .with_context(|| format!("deploy/{mesh}.yaml has no {pointer}"))?;
        let configuration = deployed::as_handed_over(configuration);
        let envoy = Envoy::start(&module_path(), &configuration, start_upstream()?)?;
        deployed::assert_in_force(&http::get(&envoy.url("/"))?);
    }
    Ok(())
}

/// Starts an Envoy with deploy/envoy.yaml, which names a path relative to the template's directory.
fn start() -> Result<KillOnDrop> {
    image_root();
    let mut command = Command::new(envoy::find_or_fetch()?);
    command
        .args(["--config-path", "deploy/envoy.yaml"])
        .args(["--concurrency", "1", "--disable-hot-restart"])
        .current_dir(template());
    let mut process = spawn(&mut command, Stdio::piped())?;
    // The file configures no admin interface, so the log says when Envoy serves.
    let output = process.0.stderr.take().context("no standard error")?;
    let mut log = String::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line.contains("starting main dispatch loop") {
            return Ok(process);
        }
        log = log + "\n" + &line;
    }
    bail!("Envoy does not start:{log}");
}

#[test]
fn file_for_envoy_is_served_unchanged() -> Result<()> {
    let _envoy = start()?;
    // Whether or not a service listens behind it.
    deployed::assert_in_force(&http::get("http://127.0.0.1:18000/")?);
    Ok(())
}
