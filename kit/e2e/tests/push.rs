//! The image in a real registry: pushed with and without an engine, and pulled by other tools.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use proxy_wasm_e2e::registry::Registry;
use proxy_wasm_e2e::{copy, image_root, run, template, toolkit};
use proxy_wasm_image::credentials::{self, Credentials};
use proxy_wasm_image::manifest::Manifest;
use proxy_wasm_image::read;
use proxy_wasm_image::{Error, ImageReference, Package, WasmConfig};
use serde_json::Value;

const WITH_PASSWORD: &str = "auth: {htpasswd: {realm: test, path: DIRECTORY/htpasswd}}";

fn manifest() -> Result<Manifest> {
    Ok(Manifest::read(&template().join("manifest.yaml"))?)
}

fn package() -> Result<Package> {
    Ok(Package::compat(image_root(), &manifest()?.annotations())?)
}

/// Pushes without an engine, and does not show progress.
fn push(
    package: &Package,
    image: &ImageReference,
    credentials: Option<&Credentials>,
) -> Result<String, Error> {
    proxy_wasm_image::push(package, image, credentials, |_| ())
}

/// Pushes with the command, and returns the digest that it prints.
fn push_by_command(engine: &str, image: &ImageReference) -> Result<String> {
    let _ = image_root();
    let arguments = ["push", "--engine", engine, "--image", image.as_str()];
    let printed = copy::command(template(), &toolkit().to_string_lossy(), &arguments)?;
    let mut lines = printed.lines();
    let pushed = lines
        .find_map(|line| line.strip_prefix("Pushed: "))
        .with_context(|| printed.clone())?;
    let digest = digest_of(pushed)?;
    assert_eq!(pushed, image.with_digest(digest));
    Ok(digest.to_owned())
}

/// Asserts that skopeo finds the digest by the tag, and that podman pulls the image by the digest.
fn assert_pulls(image: &ImageReference, digest: &str) -> Result<()> {
    let source = format!("docker://{image}");
    let inspect = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}"];
    assert_eq!(run("skopeo", &[&inspect[..], &[&source]].concat())?, digest);
    // Pull by digest, because podman compares it with the content. For an image that it already
    // had, podman may report another digest.
    let by_digest = image.with_digest(digest);
    run("podman", &["pull", "--tls-verify=false", &by_digest])?;
    run("podman", &["rmi", &by_digest])?;
    Ok(())
}

fn raw_manifest(image: &ImageReference) -> Result<String> {
    let source = format!("docker://{image}");
    run(
        "skopeo",
        &["inspect", "--tls-verify=false", "--raw", &source],
    )
}

/// Asserts that the registry has a single image manifest, not an index, and that its only layer is
/// compressed with gzip and has exactly the image's files.
fn assert_is_what_consumers_read(image: &ImageReference) -> Result<()> {
    let manifest: Value = serde_json::from_str(&raw_manifest(image)?)?;
    let layer_type = match manifest["mediaType"].as_str() {
        Some("application/vnd.oci.image.manifest.v1+json") => {
            "application/vnd.oci.image.layer.v1.tar+gzip"
        }
        Some("application/vnd.docker.distribution.manifest.v2+json") => {
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
        }
        _ => panic!("not an image manifest: {manifest}"),
    };
    let layers = manifest["layers"].as_array().context("no layers")?;
    assert_eq!(layers.len(), 1, "{manifest}");
    assert_eq!(layers[0]["mediaType"], layer_type, "{manifest}");

    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("image.tar");
    let source = format!("docker://{image}");
    let destination = format!("oci-archive:{}", archive.display());
    run(
        "skopeo",
        &["copy", "--src-tls-verify=false", &source, &destination],
    )?;
    let pushed = read::archive(&archive)?.root()?;
    let staged: Vec<_> = read::directory(image_root())?;
    assert!(
        pushed.into_iter().eq(staged),
        "the image has other files than the staging directory"
    );
    let report = proxy_wasm_check::check(&archive, None);
    assert_eq!(report.errors(), 0, "{report}");
    assert!(report.consumers.iter().all(|consumer| consumer.accepts));
    Ok(())
}

fn digest_of(by_digest: &str) -> Result<&str> {
    let (_, digest) = by_digest.split_once('@').context("no digest")?;
    Ok(digest)
}

fn problem(pushed: Result<String, Error>) -> String {
    pushed.expect_err("an error").to_string()
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_podman, missing_skopeo),
    ignore = "needs docker-registry, podman and skopeo: install them"
)]
fn digest_in_the_registry_is_that_of_the_package() -> Result<()> {
    let registry = Registry::start("")?;
    let image = registry.image("team/extension:1")?;
    let package = package()?;
    let pushed = push(&package, &image, None)?;
    assert_eq!(
        pushed,
        format!("{}/team/extension@{}", registry.address(), package.digest())
    );
    assert_pulls(&image, package.digest())?;
    assert_is_what_consumers_read(&image)?;
    assert_eq!(push(&package, &image, None)?, pushed, "pushed again");
    Ok(())
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_skopeo),
    ignore = "needs docker-registry and skopeo: install them"
)]
fn archive_that_skopeo_copies_keeps_its_digest() -> Result<()> {
    let registry = Registry::start("")?;
    let image = registry.image("team/extension:1")?;
    let package = package()?;
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("image.tar");
    fs::write(&archive, package.to_archive("localhost/a:1")?)?;
    let source = format!("oci-archive:{}", archive.display());
    let destination = format!("docker://{image}");
    run(
        "skopeo",
        &["copy", "--dest-tls-verify=false", &source, &destination],
    )?;
    assert_eq!(raw_manifest(&image)?.as_bytes(), package.manifest().bytes());
    Ok(())
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_podman, missing_skopeo),
    ignore = "needs docker-registry, podman and skopeo: install them"
)]
fn command_pushes_without_an_engine() -> Result<()> {
    let registry = Registry::start("")?;
    let image = registry.image("team/extension:1")?;
    let digest = push_by_command("none", &image)?;
    assert_pulls(&image, &digest)
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_skopeo),
    ignore = "needs docker-registry and skopeo: install them"
)]
fn oci_variant_is_pushed_unchanged() -> Result<()> {
    let registry = Registry::start("")?;
    let image = registry.image("team/extension:wasm")?;
    let module = fs::read(image_root().join("plugin.wasm"))?;
    let config = WasmConfig {
        abi_versions: vec!["v0.2.1".to_owned()],
        root_ids: vec!["a".to_owned()],
    };
    let package = Package::oci(&module, &config, &manifest()?.annotations())?;
    push(&package, &image, None)?;
    assert_eq!(raw_manifest(&image)?.as_bytes(), package.manifest().bytes());
    Ok(())
}

/// Asserts that consumers can read what an engine builds and pushes.
fn assert_pushes(engine: &str) -> Result<()> {
    let registry = Registry::start("")?;
    let image = registry.image(&format!("{engine}:1"))?;
    let digest = push_by_command(engine, &image)?;
    run(engine, &["rmi", image.as_str()])?;
    assert_pulls(&image, &digest)?;
    assert_is_what_consumers_read(&image)
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_podman, missing_skopeo),
    ignore = "needs docker-registry, podman and skopeo: install them"
)]
fn podman_pushes_what_it_builds() -> Result<()> {
    assert_pushes("podman")
}

#[test]
#[cfg_attr(
    any(
        missing_buildah,
        missing_docker_registry,
        missing_podman,
        missing_skopeo
    ),
    ignore = "needs buildah, docker-registry, podman and skopeo: install them"
)]
fn buildah_pushes_what_it_builds() -> Result<()> {
    assert_pushes("buildah")
}

#[test]
#[cfg_attr(
    any(
        missing_docker,
        missing_docker_registry,
        missing_podman,
        missing_skopeo
    ),
    ignore = "needs a Docker engine, docker-registry, podman and skopeo: start and install them"
)]
fn docker_pushes_what_it_builds() -> Result<()> {
    assert_pushes("docker")
}

#[test]
#[cfg_attr(missing_docker_registry, ignore = "needs docker-registry: install it")]
fn wrong_password_is_reported_and_another_push_succeeds() -> Result<()> {
    let registry = Registry::start(WITH_PASSWORD)?;
    let image = registry.image("team/extension:1")?;
    let host = image.registry();
    let package = package()?;

    let error = problem(push(&package, &image, None));
    let login = format!("log in with podman login {host}, or docker login {host}");
    assert!(
        error.starts_with(&format!("no credentials are stored for {host}; {login}")),
        "{error}"
    );
    let wrong = Credentials {
        username: "me".to_owned(),
        password: "guess".to_owned(),
    };
    let error = problem(push(&package, &image, Some(&wrong)));
    assert!(
        error.starts_with(&format!("{host} rejected the stored credentials; {login}")),
        "{error}"
    );
    assert!(!error.contains("guess"), "{error}");

    // The format of podman login and docker login: "me:open sesame" in base64.
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("auth.json");
    fs::write(
        &file,
        format!(r#"{{"auths": {{"{host}": {{"auth": "bWU6b3BlbiBzZXNhbWU="}}}}}}"#),
    )?;
    let files: [PathBuf; 2] = [directory.path().join("none.json"), file];
    let known = credentials::find(&image, &files)?;
    let pushed = push(&package, &image, known.as_ref())?;
    assert_eq!(digest_of(&pushed)?, package.digest());
    Ok(())
}

#[test]
#[cfg_attr(missing_docker_registry, ignore = "needs docker-registry: install it")]
fn rejected_push_is_reported() -> Result<()> {
    let registry = Registry::start("  maintenance: {readonly: {enabled: true}}")?;
    let image = registry.image("team/extension:1")?;
    let error = problem(push(&package()?, &image, None));
    assert!(
        error.starts_with(&format!(
            "{} rejected the push to team/extension; check that the repository exists and that you \
             may write to it",
            registry.address()
        )),
        "{error}"
    );
    Ok(())
}

/// A registry without repositories. It responds like registries in which repositories must be
/// created first.
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
            // Ignore clients that have closed the connection.
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
fn missing_repository_is_reported() -> Result<()> {
    let address = without_repositories()?;
    let image = ImageReference::parse(&format!("{address}/team/a:1"))?;
    let error = problem(push(&package()?, &image, None));
    assert!(
        error.starts_with(&format!("{address} has no repository team/a")),
        "{error}"
    );
    Ok(())
}

#[test]
fn missing_registry_is_reported() -> Result<()> {
    let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let image = ImageReference::parse(&format!("{unused}/a:1"))?;
    let error = problem(push(&package()?, &image, None));
    assert!(
        error.starts_with(&format!(
            "the connection to {unused} failed; push again: blobs that the registry has already are not \
             sent again"
        )),
        "{error}"
    );
    assert!(error.contains("refused"), "{error}");
    Ok(())
}

/// A connection to the registry that fails after some bytes, as long as `breaks` is set.
fn breaking_connection(
    to: SocketAddr,
    after: usize,
    breaks: Arc<AtomicBool>,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let sent = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else {
                return;
            };
            let (sent, breaks) = (Arc::clone(&sent), Arc::clone(&breaks));
            thread::spawn(move || forward(&client, &server, after, &sent, &breaks));
        }
    });
    Ok(address)
}

fn forward(
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
        // If one side ends, both are closed.
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    });
}

#[test]
#[cfg_attr(
    any(missing_docker_registry, missing_podman, missing_skopeo),
    ignore = "needs docker-registry, podman and skopeo: install them"
)]
fn interrupted_push_is_reported_and_another_push_succeeds() -> Result<()> {
    let registry = Registry::start("")?;
    let package = package()?;
    let layer = package.layers()[0].bytes();
    ensure!(layer.len() > 32 * 1024, "too small to be interrupted");
    let breaks = Arc::new(AtomicBool::new(true));
    let connection = breaking_connection(registry.address(), layer.len() / 2, Arc::clone(&breaks))?;
    let image = ImageReference::parse(&format!("{connection}/team/extension:1"))?;

    let error = problem(push(&package, &image, None));
    assert!(
        error.starts_with(&format!(
            "the connection to {connection} failed; push again"
        )),
        "{error}"
    );
    let direct = registry.image("team/extension:1")?;
    raw_manifest(&direct).expect_err("an incomplete image does not exist");

    breaks.store(false, Ordering::SeqCst);
    let pushed = push(&package, &image, None)?;
    assert_eq!(digest_of(&pushed)?, package.digest());
    assert_pulls(&direct, package.digest())
}
