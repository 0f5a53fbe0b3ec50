//! The files under deploy/, held against the manifest, the contract, and a real Envoy.
#![cfg(not(target_family = "wasm"))]

#[path = "support/deployed.rs"]
mod deployed;
#[path = "support/upstream.rs"]
mod upstream;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use extension_kit::envoy::{self, Envoy};
use extension_kit::http;
use extension_kit::manifest::Phase;
use extension_kit::testing::{module, project};
use serde_json::Value;

fn read(mesh: &str) -> Result<Value> {
    deployed::read(Path::new("."), mesh)
}

/// The image that the files name: the manifest's, in a registry that stands for one's own.
fn image() -> String {
    let manifest = &project().manifest;
    format!(
        "registry.example/team/{}:{}",
        manifest.name.as_deref().unwrap_or_default(),
        manifest.version.as_deref().unwrap_or_default()
    )
}

/// The phase's name in Istio, which has fewer.
fn istio_phase(phase: Phase) -> &'static str {
    match phase {
        Phase::PreAuthN => "AUTHN",
        Phase::PostAuthN | Phase::PreAuthZ => "AUTHZ",
        Phase::PostAuthZ | Phase::PreStats => "STATS",
        Phase::PostStats => "UNSPECIFIED_PHASE",
    }
}

/// The module takes the configuration, as the mesh hands it over, and does what it says.
fn assert_accepted(configuration: &Value) -> Result<()> {
    let configuration = deployed::as_handed_over(configuration);
    let binary = envoy::find_or_fetch(&project().target())?;
    let envoy = Envoy::start(&binary, &module(), &configuration, upstream::start()?)?;
    deployed::assert_in_force(&http::get(&envoy.url("/"))?);
    Ok(())
}

#[test]
fn maistra() -> Result<()> {
    for (mesh, version) in [
        ("maistra", "maistra.io/v1"),
        ("maistra-2.0", "maistra.io/v1alpha1"),
    ] {
        let file = read(mesh)?;
        let manifest = &project().manifest;
        assert_eq!(file["apiVersion"], version);
        assert_eq!(file["kind"], "ServiceMeshExtension");
        assert_eq!(file["metadata"]["name"], env!("CARGO_PKG_NAME"));
        let spec = &file["spec"];
        assert_eq!(spec["image"], image());
        assert_eq!(spec["phase"], format!("{:?}", manifest.phase));
        assert_eq!(spec["priority"], manifest.priority);
        // Version 2.0 takes a string alone.
        assert_eq!(spec["config"].is_string(), version.ends_with("alpha1"));
        assert_accepted(&spec["config"])?;
    }
    Ok(())
}

#[test]
fn istio() -> Result<()> {
    let file = read("istio")?;
    let manifest = &project().manifest;
    assert_eq!(file["apiVersion"], "extensions.istio.io/v1alpha1");
    assert_eq!(file["kind"], "WasmPlugin");
    assert_eq!(file["metadata"]["name"], env!("CARGO_PKG_NAME"));
    let spec = &file["spec"];
    assert_eq!(spec["url"], format!("oci://{}", image()));
    assert_eq!(spec["phase"], istio_phase(manifest.phase));
    assert_eq!(spec["priority"], manifest.priority);
    assert_accepted(&spec["pluginConfig"])
}

#[test]
fn envoy_gateway() -> Result<()> {
    let file = read("envoy-gateway")?;
    assert_eq!(file["apiVersion"], "gateway.envoyproxy.io/v1alpha1");
    assert_eq!(file["kind"], "EnvoyExtensionPolicy");
    assert_eq!(file["metadata"]["name"], env!("CARGO_PKG_NAME"));
    let wasm = &file["spec"]["wasm"][0];
    assert_eq!(wasm["code"]["type"], "Image");
    assert_eq!(wasm["code"]["image"]["url"], image());
    assert_accepted(&wasm["config"])
}

/// An Envoy with the file as it is.
struct AsItIs(Child);

impl AsItIs {
    fn start() -> Result<Self> {
        let binary = envoy::find_or_fetch(&project().target())?;
        let mut process = Self(
            Command::new(binary)
                .args(["--config-path", "deploy/envoy.yaml"])
                .args(["--concurrency", "1", "--disable-hot-restart"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?,
        );
        let log = process
            .0
            .stderr
            .take()
            .context("Envoy's log is not piped")?;
        let mut said = String::new();
        for line in BufReader::new(log).lines() {
            let line = line?;
            if line.contains("starting main dispatch loop") {
                return Ok(process);
            }
            said = said + "\n" + &line;
        }
        ensure!(false, "Envoy does not start:{said}");
        Ok(process)
    }
}

impl Drop for AsItIs {
    fn drop(&mut self) {
        // One that has ended already needs no more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn envoy_without_a_mesh() -> Result<()> {
    let _envoy = AsItIs::start()?;
    // Whoever answers behind the proxy, or nobody.
    deployed::assert_in_force(&http::get("http://127.0.0.1:18000/")?);
    Ok(())
}
