//! The files under `deploy/`, in a real Envoy.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use proxy_wasm_e2e::{deployed, image_root, module_path, start_upstream, template};
use proxy_wasm_test::envoy::process::{KillOnDrop, Launch, Process, spawn};
use proxy_wasm_test::envoy::resources::{
    bootstrap, discovery_response, http_listener, listener_source,
};
use proxy_wasm_test::envoy::{self, Envoy};
use proxy_wasm_test::http;
use serde_json::json;

#[test]
fn configuration_for_each_mesh_applies() -> Result<()> {
    for (mesh, pointer) in [
        ("maistra", "/spec/config"),
        ("maistra-2.0", "/spec/config"),
        ("istio", "/spec/pluginConfig"),
        ("istio-1.30", "/spec/wasm/pluginConfig"),
        ("envoy-gateway", "/spec/wasm/0/config"),
    ] {
        let file = deployed::read(template(), mesh)?;
        let configuration = file
            .pointer(pointer)
            .with_context(|| format!("deploy/{mesh}.yaml has no {pointer}"))?;
        let configuration = deployed::as_passed_by_mesh(configuration);
        let envoy = Envoy::start(&module_path(), &configuration, start_upstream()?)?;
        deployed::assert_configured(&http::get(&envoy.url("/"))?);
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
fn file_for_envoy_works_unchanged() -> Result<()> {
    let _envoy = start()?;
    // If nothing listens at the upstream's address, Envoy responds with 503, which has the header,
    // too.
    deployed::assert_configured(&http::get("http://127.0.0.1:18000/")?);
    Ok(())
}

#[test]
fn options_of_the_file_for_envoy_are_valid() -> Result<()> {
    let mut file = deployed::with_options(template(), "envoy")?;
    let plugin = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/\
                  typed_config/config";
    let plugin = file.pointer_mut(plugin).context("no plugin")?;
    assert_eq!(plugin["allow_on_headers_stop_iteration"], true);
    plugin["vm_config"]["code"]["local"]["filename"] = json!(module_path());
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("envoy.json");
    fs::write(&path, file.to_string())?;
    let output = Command::new(envoy::find_or_fetch()?)
        .args(["--mode", "validate", "--config-path"])
        .arg(&path)
        .output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{log}");
    Ok(())
}

/// What Istio generates from the EnvoyFilter: a filter whose configuration is discovered, and this
/// configuration, in which the agent has replaced the image with a file.
#[test]
fn envoy_filter_of_istio_appends_the_header() -> Result<()> {
    let file = deployed::read(template(), "istio-envoyfilter")?;
    let patch = |index: usize| file["spec"]["configPatches"][index]["patch"]["value"].clone();
    let directory = tempfile::tempdir()?;
    let extensions = directory.path().join("extensions.json");
    let listeners = directory.path().join("listeners.json");
    let path = directory.path().join("envoy.json");

    let mut extension = patch(1);
    let plugin = &mut extension["typed_config"]["config"];
    assert_eq!(plugin["allow_on_headers_stop_iteration"], true);
    plugin["vm_config"]["code"] = json!({"local": {"filename": module_path()}});
    extension["@type"] = json!("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig");
    fs::write(&extensions, discovery_response(&[extension]).to_string())?;
    let mut filter = patch(0);
    filter["config_discovery"]["config_source"] = listener_source(&extensions);
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}});
    let listener = http_listener("http", 0, &[route], &[filter]);
    fs::write(&listeners, discovery_response(&[listener]).to_string())?;
    let upstream = ("127.0.0.1", start_upstream()?.port());
    fs::write(&path, bootstrap(&listeners, 0, upstream).to_string())?;

    let launch = Launch {
        binary: &envoy::find_or_fetch()?,
        bootstrap: &path,
        directory: directory.path(),
        workers: 1,
        drain_seconds: 0,
        arguments: Vec::new(),
    };
    let envoy = Process::start(launch.command(), directory.path(), Duration::from_secs(60))?;
    envoy::updates::Updates::new(envoy.admin().clone(), 1).wait(&Default::default())?;
    let addresses = envoy.admin().listener_addresses()?;
    let address = addresses.get("http").context("no listener")?;
    deployed::assert_configured(&http::get(&format!("http://{address}/"))?);
    Ok(())
}
