#![cfg(any())]
//! The image in a real registry: pushed by engines and without one, and pulled by others.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use extension_kit::provenance;
use extension_kit::registry::credentials::{self, Credentials};
use extension_kit::registry::{Target, push};
use extension_kit::testing::project;
use proxy_wasm_e2e::run;
use proxy_wasm_e2e::tools::available;
use proxy_wasm_image::Engine;
use proxy_wasm_image::Package;

/// A registry on a free port, with storage of its own.
struct Registry {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Starts one, with more lines of configuration.
    fn start(more: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let configuration = folder.path().join("registry.yaml");
        // user: me, password: open sesame
        fs::write(
            folder.path().join("htpasswd"),
            "me:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n",
        )?;
        fs::write(
            &configuration,
            format!(
                "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: \"{address}\"}}\n\
                 storage:\n  filesystem: {{rootdirectory: {0}/storage}}\n{1}\n",
                folder.path().display(),
                more.replace("FOLDER", &folder.path().display().to_string())
            ),
        )?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run docker-registry")?;
        let mut registry = Self {
            process,
            address,
            _folder: folder,
        };
        // It says nothing when it is ready; it is when it takes a connection.
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            ensure!(
                registry.process.try_wait()?.is_none() && Instant::now() < deadline,
                "docker-registry does not start"
            );
            thread::yield_now();
        }
        Ok(registry)
    }

    fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // One that has ended already needs no more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const WITH_PASSWORD: &str = "auth: {htpasswd: {realm: test, path: FOLDER/htpasswd}}";

fn registry(more: &str) -> Result<Option<Registry>> {
    if !available("docker-registry", "--version") {
        return Ok(None);
    }
    Registry::start(more).map(Some)
}

fn package() -> Result<Package> {
    Package::compat(&image_root(), &provenance::annotations(project()))
}

/// The digest that skopeo and podman see under a tag, which both have to agree on.
fn assert_pulls(reference: &str, digest: &str) -> Result<()> {
    if available("skopeo", "--version") {
        let source = format!("docker://{reference}");
        assert_eq!(
            run(
                "skopeo",
                &[
                    "inspect",
                    "--tls-verify=false",
                    "--format",
                    "{{.Digest}}",
                    &source
                ]
            )?,
            digest
        );
    }
    if available("podman", "info") {
        // By its digest, which podman holds what it gets against. What it says of an image that it
        // had before may be another digest of the same image.
        let by_digest = Target::of(reference)?.by_digest(digest);
        run("podman", &["pull", "--tls-verify=false", &by_digest])?;
        run("podman", &["rmi", &by_digest])?;
    }
    Ok(())
}

fn digest_of(by_digest: &str) -> Result<&str> {
    let (_, digest) = by_digest.split_once('@').context("a digest")?;
    Ok(digest)
}

fn problem(pushed: Result<String>) -> String {
    format!("{:#}", pushed.expect_err("an error"))
}

#[test]
fn without_an_engine_the_digest_is_that_of_the_image() -> Result<()> {
    let Some(registry) = registry("")? else {
        return Ok(());
    };
    let reference = registry.reference("team/extension:1");
    let package = package()?;
    let pushed = push(&package, &reference, None)?;
    assert_eq!(
        pushed,
        format!("{}/team/extension@{}", registry.address, package.digest())
    );
    assert_pulls(&reference, &package.digest())?;
    assert_eq!(push(&package, &reference, None)?, pushed, "pushed again");
    Ok(())
}

#[test]
fn the_oci_variant_is_pushed_as_it_is() -> Result<()> {
    let Some(registry) = registry("")? else {
        return Ok(());
    };
    let reference = registry.reference("team/extension:wasm");
    let module = fs::read(image_root().join("plugin.wasm"))?;
    let package = Package::oci(&module, "a", &provenance::annotations(project()))?;
    push(&package, &reference, None)?;
    if available("skopeo", "--version") {
        let source = format!("docker://{reference}");
        let manifest = run(
            "skopeo",
            &["inspect", "--tls-verify=false", "--raw", &source],
        )?;
        assert_eq!(manifest.as_bytes(), package.manifest.bytes);
    }
    Ok(())
}

#[test]
fn an_engine_pushes_what_it_built() -> Result<()> {
    for engine in [Engine::Podman, Engine::Buildah] {
        if !available(engine.command(), "info") {
            continue;
        }
        let Some(registry) = registry("")? else {
            return Ok(());
        };
        let reference = registry.reference(&format!("{}:1", engine.command()));
        engine.build(
            Path::new("Containerfile"),
            &image_root(),
            &reference,
            &provenance::annotations(project()),
        )?;
        let digest = engine.push(&reference);
        run(engine.command(), &["rmi", &reference])?;
        assert_pulls(&reference, &digest?)?;
    }
    Ok(())
}

#[test]
fn a_wrong_password_is_told_and_a_second_try_completes() -> Result<()> {
    let Some(registry) = registry(WITH_PASSWORD)? else {
        return Ok(());
    };
    let reference = registry.reference("team/extension:1");
    let target = Target::of(&reference)?;
    let host = &target.registry;
    let package = package()?;

    let error = problem(push(&package, &reference, None));
    let login = format!("podman login {host}, or docker login {host}");
    assert!(
        error.starts_with(&format!("no credentials are stored for {host}; {login}")),
        "{error}"
    );
    let wrong = Credentials {
        username: "me".to_owned(),
        password: "guess".to_owned(),
    };
    let error = problem(push(&package, &reference, Some(wrong)));
    assert!(
        error.starts_with(&format!(
            "{host} refuses the credentials that are stored for it; {login}"
        )),
        "{error}"
    );
    assert!(!error.contains("guess"), "{error}");

    // As podman login and docker login leave them: in base64, "me:open sesame".
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("auth.json");
    fs::write(
        &file,
        format!(r#"{{"auths": {{"{host}": {{"auth": "bWU6b3BlbiBzZXNhbWU="}}}}}}"#),
    )?;
    let known = credentials::find(&target, &[folder.path().join("none.json"), file])?;
    let pushed = push(&package, &reference, known)?;
    assert_eq!(digest_of(&pushed)?, package.digest());
    Ok(())
}

#[test]
fn a_registry_that_takes_nothing_is_told() -> Result<()> {
    let Some(registry) = registry("  maintenance: {readonly: {enabled: true}}")? else {
        return Ok(());
    };
    let reference = registry.reference("team/extension:1");
    let error = problem(push(&package()?, &reference, None));
    assert!(
        error.starts_with(&format!(
            "{} does not take it as team/extension; see that the repository exists, and that you \
             may write there",
            registry.address
        )),
        "{error}"
    );
    Ok(())
}

/// A registry that knows no repository, as those answer that want them to be created first.
fn without_repositories() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && matches!(client.read(&mut byte), Ok(1)) {
                request.extend(byte);
            }
            let (status, body) = if request.starts_with(b"GET /v2/ ") {
                ("200 OK", "{}")
            } else {
                (
                    "404 Not Found",
                    r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository not known"}]}"#,
                )
            };
            // A client that has gone needs no answer.
            let _ = write!(
                client,
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    Ok(address)
}

#[test]
fn a_missing_repository_is_told() -> Result<()> {
    let address = without_repositories()?;
    let error = problem(push(&package()?, &format!("{address}/team/a:1"), None));
    assert!(
        error.starts_with(&format!("{address} has no repository team/a")),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_registry_that_is_not_there_is_told() -> Result<()> {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let error = problem(push(&package()?, &format!("{nobody}/a:1"), None));
    assert!(
        error.starts_with(&format!(
            "the connection to {nobody} failed; push again, and what is there already is not sent \
             anew"
        )),
        "{error}"
    );
    assert!(error.contains("refused"), "{error}");
    Ok(())
}

/// A line to the registry that breaks once so many bytes went up, as long as it is told to.
fn breaking_line(to: SocketAddr, after: usize, breaks: Arc<AtomicBool>) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let sent = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else {
                return;
            };
            let (sent, breaks) = (Arc::clone(&sent), Arc::clone(&breaks));
            thread::spawn(move || carry(&client, &server, after, &sent, &breaks));
        }
    });
    Ok(address)
}

fn carry(
    client: &TcpStream,
    server: &TcpStream,
    after: usize,
    sent: &AtomicUsize,
    breaks: &AtomicBool,
) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut from, mut to) = (server, client);
            let _ = std::io::copy(&mut from, &mut to);
            let _ = client.shutdown(Shutdown::Both);
        });
        let (mut from, mut to) = (client, server);
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let total = sent.fetch_add(count, Ordering::SeqCst) + count;
            if breaks.load(Ordering::SeqCst) && total > after {
                break;
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // Whichever side ends, both are told.
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_push_that_breaks_half_way_is_told_and_a_second_try_completes() -> Result<()> {
    let Some(registry) = registry("")? else {
        return Ok(());
    };
    let package = package()?;
    let layer = &package.layers[0].bytes;
    ensure!(layer.len() > 32 * 1024, "too small to break off half-way");
    let breaks = Arc::new(AtomicBool::new(true));
    let line = breaking_line(registry.address, layer.len() / 2, Arc::clone(&breaks))?;
    let reference = format!("{line}/team/extension:1");

    let error = problem(push(&package, &reference, None));
    assert!(
        error.starts_with(&format!("the connection to {line} failed; push again")),
        "{error}"
    );
    if available("skopeo", "--version") {
        let source = format!("docker://{}", registry.reference("team/extension:1"));
        run("skopeo", &["inspect", "--tls-verify=false", &source])
            .expect_err("half an image is not seen");
    }
    breaks.store(false, Ordering::SeqCst);
    let pushed = push(&package, &reference, None)?;
    assert_eq!(digest_of(&pushed)?, package.digest());
    assert_pulls(&registry.reference("team/extension:1"), &package.digest())
}
