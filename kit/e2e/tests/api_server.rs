//! The files under `deploy/` in a real API server, with the CustomResourceDefinitions of Istio and
//! Envoy Gateway.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use proxy_wasm_check::{Finding, check_deployment};
use proxy_wasm_e2e::{copy, deployed, go, module_path, name, toolkit};
use proxy_wasm_test::envoy::process::KillOnDrop;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const ISTIO: &str = "istio.io/istio@v0.0.0-20260827124520-eed52ebb66ad";
const ENVOY_GATEWAY: &str = "github.com/envoyproxy/gateway@v1.9.1";

/// The files whose resource has a definition, and the name of its kind for kubectl.
const MESHES: [(&str, &str); 4] = [
    ("envoy-gateway", "envoyextensionpolicy"),
    ("istio", "wasmplugin"),
    ("istio-1.30", "trafficextension"),
    ("istio-envoyfilter", "envoyfilter"),
];

const IMAGE: &str = "registry.example/team/a@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// The files with the definitions.
fn definitions() -> Result<[PathBuf; 2]> {
    Ok([
        go::module(ISTIO)?.join("manifests/charts/base/files/crd-all.gen.yaml"),
        go::module(ENVOY_GATEWAY)?.join(
            "charts/gateway-crds-helm/templates/generated/gateway.envoyproxy.io_envoyextensionpolicies.yaml",
        ),
    ])
}

/// A definition's YAML. A Helm chart may have placed it in a condition.
fn read_definition(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().filter(|line| !line.starts_with("{{"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// An API server with the definitions.
struct ApiServer {
    _process: KillOnDrop,
    directory: TempDir,
}

impl ApiServer {
    fn start() -> Result<Self> {
        let program = go::build("apiserver")?;
        let directory = tempfile::tempdir()?;
        let log = directory.path().join("log");
        let process = Command::new(program)
            .arg(directory.path())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let mut server = Self {
            _process: KillOnDrop(process),
            directory,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.kubeconfig().exists() {
            ensure!(
                server._process.0.try_wait()?.is_none() && Instant::now() < deadline,
                "the API server does not start:\n{}",
                fs::read_to_string(&log)?
            );
            thread::sleep(Duration::from_millis(10));
        }
        for path in definitions()? {
            server.apply(&["--server-side"], &read_definition(&path)?)?;
        }
        // `kubectl wait` fails if a definition does not have any condition yet.
        let wait = ["wait", "--for=condition=Established", "crd", "--all"];
        loop {
            let output = server.kubectl(&wait).output()?;
            if output.status.success() {
                return Ok(server);
            }
            let is_new = String::from_utf8_lossy(&output.stderr).contains("accessor error");
            ensure!(is_new && Instant::now() < deadline, "{output:?}");
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments).env("KUBECONFIG", self.kubeconfig());
        command
    }

    fn apply(&self, arguments: &[&str], text: &str) -> Result<()> {
        let mut process = self
            .kubectl(&[&["apply", "--filename", "-"], arguments].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run kubectl")?;
        let mut input = process.stdin.take().context("no standard input")?;
        input.write_all(text.as_bytes())?;
        drop(input);
        let output = process.wait_with_output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// The resource that was applied.
    fn get(&self, kind: &str) -> Result<Value> {
        let output = self
            .kubectl(&["get", kind, name(), "--output", "json"])
            .output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn deploy(&self, project: &Path, mesh: &str) -> Result<Output> {
        let arguments = ["deploy", "--yes", "--image", IMAGE, "--mesh", mesh];
        Ok(copy::clean(&toolkit().to_string_lossy())
            .current_dir(project)
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .stdin(Stdio::null())
            .output()?)
    }
}

fn replace(project: &Path, mesh: &str, from: &str, to: &str) -> Result<()> {
    let file = project.join(format!("deploy/{mesh}.yaml"));
    let text = fs::read_to_string(&file)?;
    ensure!(text.contains(from), "{} has no {from}", file.display());
    Ok(fs::write(file, text.replace(from, to))?)
}

#[test]
#[cfg_attr(
    any(missing_go, missing_kubectl),
    ignore = "needs go and kubectl: install them"
)]
fn files_are_applied_changed_and_rejected() -> Result<()> {
    let server = ApiServer::start()?;
    let project = copy::without_git()?;
    let project = project.path();
    copy::stage(project)?;
    for (mesh, kind) in MESHES {
        let created = server.deploy(project, mesh)?;
        ensure!(created.status.success(), "{mesh}: {created:?}");
        let first = server.get(kind)?;
        assert_eq!(first["metadata"]["generation"], 1);
        assert!(first.to_string().contains(IMAGE), "{first}");

        let unchanged = server.deploy(project, mesh)?;
        ensure!(unchanged.status.success(), "{mesh}: {unchanged:?}");
        let printed = String::from_utf8_lossy(&unchanged.stdout).into_owned();
        assert!(printed.contains("nothing is changed"), "{printed}");

        replace(project, mesh, "custom-header", "x-other")?;
        let changed = server.deploy(project, mesh)?;
        ensure!(changed.status.success(), "{mesh}: {changed:?}");
        let second = server.get(kind)?;
        assert_eq!(second["metadata"]["generation"], 2);
        assert!(second.to_string().contains("x-other"), "{second}");

        replace(project, mesh, "spec:", "spec:\n  unknown: true")?;
        let rejected = server.deploy(project, mesh)?;
        assert!(!rejected.status.success(), "{mesh}: {rejected:?}");
        let printed = String::from_utf8_lossy(&rejected.stderr).into_owned();
        for part in [
            "has no field spec.unknown",
            "unknown field \"spec.unknown\"",
            "nothing is changed",
        ] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        assert_eq!(server.get(kind)?["metadata"]["generation"], 2);
    }
    Ok(())
}

#[test]
#[cfg_attr(
    any(missing_go, missing_kubectl),
    ignore = "needs go and kubectl: install them"
)]
fn options_in_comments_are_accepted() -> Result<()> {
    let server = ApiServer::start()?;
    let project = copy::without_git()?;
    for (mesh, kind) in MESHES {
        let file = deployed::with_options(project.path(), mesh)?;
        server.apply(&["--validate=strict"], &file.to_string())?;
        let applied = server.get(kind)?;
        // Nothing is dropped; defaults are added.
        assert!(
            contains(&applied["spec"], &file["spec"]),
            "{mesh}: {applied}"
        );
    }
    Ok(())
}

/// Whether a value has all that another one has.
fn contains(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::Object(value), Value::Object(other)) => other
            .iter()
            .all(|(name, other)| value.get(name).is_some_and(|value| contains(value, other))),
        (Value::Array(value), Value::Array(other)) => {
            value.len() == other.len()
                && value
                    .iter()
                    .zip(other)
                    .all(|(value, other)| contains(value, other))
        }
        _ => value == other,
    }
}

/// A value with each field of a schema. Each object has one that the schema lacks, if `unknown` is
/// set.
fn sample(schema: &Value, unknown: bool) -> Value {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return json!({});
    }
    let values = schema["allOf"].get(0).unwrap_or(schema).get("enum");
    if let Some(value) = values.and_then(|values| values.get(1).or_else(|| values.get(0))) {
        return value.clone();
    }
    match schema["type"].as_str() {
        Some("string") => json!("a"),
        Some("boolean") => json!(true),
        Some("integer") => json!(1),
        Some("array") => json!([sample(&schema["items"], unknown)]),
        _ => {
            let mut object = Map::new();
            if let Some(properties) = schema["properties"].as_object() {
                for (name, schema) in properties {
                    object.insert(name.clone(), sample(schema, unknown));
                }
                if unknown {
                    object.insert("zzz".to_owned(), json!(1));
                }
            } else if schema["additionalProperties"].is_object() {
                let value = sample(&schema["additionalProperties"], unknown);
                object.insert("a".to_owned(), value);
            }
            Value::Object(object)
        }
    }
}

/// What the check finds in a resource with all fields of its definition.
fn findings(definition: &Value, unknown: bool) -> Result<Vec<Finding>> {
    let spec = &definition["spec"];
    let version = &spec["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut resource = json!({
        "apiVersion": format!(
            "{}/{}",
            spec["group"].as_str().context("no group")?,
            version["name"].as_str().context("no version")?
        ),
        "kind": spec["names"]["kind"],
        "metadata": {"name": "a"},
        "spec": sample(schema, unknown),
    });
    if spec["names"]["kind"] == "EnvoyFilter" {
        // The check looks at filters with a module.
        resource["spec"]["configPatches"][0]["patch"]["value"] = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {"name": "a"},
        });
    }
    let module = fs::read(module_path())?;
    Ok(check_deployment("a.yaml", &resource.to_string(), "a", &module).findings)
}

#[test]
#[cfg_attr(missing_go, ignore = "needs go: install it")]
fn check_knows_the_fields_of_the_definitions() -> Result<()> {
    let mut kinds = Vec::new();
    for path in definitions()? {
        let text = read_definition(&path)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        for definition in documents {
            let kind = definition["spec"]["names"]["kind"]
                .as_str()
                .unwrap_or_default();
            if ![
                "WasmPlugin",
                "TrafficExtension",
                "EnvoyFilter",
                "EnvoyExtensionPolicy",
            ]
            .contains(&kind)
            {
                continue;
            }
            kinds.push(kind.to_owned());
            let wrong: Vec<_> = findings(&definition, false)?
                .into_iter()
                .filter(|finding| {
                    let problem = &finding.problem;
                    problem.contains("has no field") || problem.contains(&format!("and {kind} has"))
                })
                .collect();
            assert!(wrong.is_empty(), "{kind}: {wrong:?}");
            let unknown = findings(&definition, true)?;
            let unknown = unknown.iter().filter(|finding| {
                finding
                    .problem
                    .starts_with(&format!("{kind} has no field spec."))
                    && finding.problem.ends_with("zzz")
            });
            assert!(unknown.count() > 3, "{kind}");
        }
    }
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "EnvoyExtensionPolicy",
            "EnvoyFilter",
            "TrafficExtension",
            "WasmPlugin"
        ]
    );
    Ok(())
}
