//! The files under `deploy/` agree with `manifest.yaml` and `Cargo.toml`, and the extension accepts
//! the configurations that they show.
#![cfg(not(target_family = "wasm"))]

use std::error::Error;
use std::fs;

use proxy_wasm_test::{Proxy, extension};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn read(path: &str) -> Result<Value> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(serde_saphyr::from_str(&text).map_err(|error| format!("{path}: {error}"))?)
}

fn manifest() -> Result<Value> {
    read("manifest.yaml")
}

/// The image that the files name. `cargo make deploy` replaces it by the one in `IMAGE`.
fn image() -> String {
    format!("registry.example/team/{NAME}:{VERSION}")
}

/// The name of manifest.yaml's phase in Istio, which has fewer phases.
fn istio_phase(phase: &Value) -> &'static str {
    match phase.as_str() {
        Some("PreAuthN") => "AUTHN",
        Some("PostAuthN" | "PreAuthZ") => "AUTHZ",
        Some("PostAuthZ" | "PreStats") => "STATS",
        _ => "UNSPECIFIED_PHASE",
    }
}

/// The extension accepts the configuration as the mesh passes it, a string unchanged and an object as
/// JSON, and does what it says.
fn assert_in_force(configuration: &Value) -> Result<()> {
    let configuration = match configuration {
        Value::String(text) => text.clone(),
        object => object.to_string(),
    };
    let proxy = Proxy::load(extension())?.configure(configuration)?;
    let response = proxy.request("GET", "/").respond(200)?;
    assert_eq!(response.header("custom-header"), ["test"]);
    Ok(())
}

#[test]
fn manifest_has_name_and_version_of_the_package() -> Result<()> {
    let manifest = manifest()?;
    assert_eq!(manifest["name"], NAME);
    assert_eq!(manifest["version"], VERSION);
    Ok(())
}

#[test]
fn every_file_is_yaml() -> Result<()> {
    for entry in fs::read_dir("deploy")? {
        let path = entry?.path();
        read(&path.to_string_lossy())?;
    }
    Ok(())
}

#[test]
fn maistra() -> Result<()> {
    let manifest = manifest()?;
    for (path, api_version) in [
        ("deploy/maistra.yaml", "maistra.io/v1"),
        ("deploy/maistra-2.0.yaml", "maistra.io/v1alpha1"),
    ] {
        let file = read(path)?;
        assert_eq!(file["apiVersion"], api_version);
        assert_eq!(file["kind"], "ServiceMeshExtension");
        assert_eq!(file["metadata"]["name"], NAME);
        let spec = &file["spec"];
        assert_eq!(spec["image"], image());
        assert_eq!(spec["phase"], manifest["phase"]);
        assert_eq!(spec["priority"], manifest["priority"]);
        // The configuration of version 2.0 is a string.
        assert_eq!(
            spec["config"].is_string(),
            api_version == "maistra.io/v1alpha1"
        );
        assert_in_force(&spec["config"])?;
    }
    Ok(())
}

#[test]
fn istio() -> Result<()> {
    let manifest = manifest()?;
    let file = read("deploy/istio.yaml")?;
    assert_eq!(file["apiVersion"], "extensions.istio.io/v1alpha1");
    assert_eq!(file["kind"], "WasmPlugin");
    assert_eq!(file["metadata"]["name"], NAME);
    let spec = &file["spec"];
    assert_eq!(spec["url"], format!("oci://{}", image()));
    assert_eq!(spec["phase"], istio_phase(&manifest["phase"]));
    assert_eq!(spec["priority"], manifest["priority"]);
    assert_in_force(&spec["pluginConfig"])
}

#[test]
fn envoy_gateway() -> Result<()> {
    let file = read("deploy/envoy-gateway.yaml")?;
    assert_eq!(file["apiVersion"], "gateway.envoyproxy.io/v1alpha1");
    assert_eq!(file["kind"], "EnvoyExtensionPolicy");
    assert_eq!(file["metadata"]["name"], NAME);
    let wasm = &file["spec"]["wasm"][0];
    assert_eq!(wasm["name"], NAME);
    assert_eq!(wasm["code"]["type"], "Image");
    assert_eq!(wasm["code"]["image"]["url"], image());
    assert_in_force(&wasm["config"])
}

#[test]
fn envoy() -> Result<()> {
    let module = manifest()?["module"].clone();
    let file = read("deploy/envoy.yaml")?;
    let filter = file
        .pointer(
            "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0",
        )
        .ok_or("deploy/envoy.yaml has no HTTP filter")?;
    assert_eq!(filter["name"], NAME);
    let plugin = &filter["typed_config"]["config"];
    assert_eq!(plugin["name"], NAME);
    let path = format!("target/image/{}", module.as_str().unwrap_or_default());
    assert_eq!(plugin["vm_config"]["code"]["local"]["filename"], path);
    let configuration = &plugin["configuration"];
    let text = "type.googleapis.com/google.protobuf.StringValue";
    assert_eq!(configuration["@type"], text);
    assert_in_force(&configuration["value"])
}
