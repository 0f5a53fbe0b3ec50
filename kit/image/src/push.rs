//! An image pushed without a container engine (OCI distribution specification).

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use futures_util::stream;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use oci_spec::image::MediaType;

use crate::credentials::Credentials;
use crate::reference::{Target, is_local};
use crate::write::{Blob, Package};

/// How long a registry may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a registry may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// How much is handed to the connection at a time, in bytes; progress is shown as often.
const STEP: usize = 64 * 1024;

/// Pushes an image to the registry that `reference` names, as whoever the credentials are of, and
/// gives its reference by digest.
///
/// What the registry has already is not sent again, so a second try goes on where the first one
/// broke off. The manifest comes last: until then nobody sees the image. Registries on this machine
/// are spoken to over plain HTTP, and all others over TLS.
///
/// # Errors
///
/// When the reference is none, when there is no registry, when it refuses the credentials or the
/// image, or when the connection breaks: what to do about it.
pub fn push(package: &Package, reference: &str, known: Option<Credentials>) -> Result<String> {
    let target = Target::of(reference)?;
    let image: Reference = reference
        .parse()
        .with_context(|| format!("{reference:?} names no image; write REGISTRY/TEAM/NAME:TAG"))?;
    // Another part of the program may have chosen one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = known.is_some();
    runtime
        .block_on(upload(package, &image, known))
        .map_err(|error| explained(&error, &image, found))?;
    Ok(target.by_digest(&package.digest()))
}

async fn upload(
    package: &Package,
    image: &Reference,
    known: Option<Credentials>,
) -> Result<(), OciDistributionError> {
    let registry = image.resolve_registry();
    let client = Client::try_from(ClientConfig {
        protocol: if is_local(registry) {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        },
        use_monolithic_push: true,
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        ..ClientConfig::default()
    })?;
    let auth = match known {
        Some(known) => RegistryAuth::Basic(known.username, known.password),
        None => RegistryAuth::Anonymous,
    };
    for operation in [RegistryOperation::Pull, RegistryOperation::Push] {
        client.auth(image, &auth, operation).await?;
    }
    for (name, blob) in package
        .layers
        .iter()
        .map(|layer| ("layer", layer))
        .chain([("configuration", &package.config)])
    {
        let digest = blob.descriptor.digest().to_string();
        // A registry that does not say gets the blob again.
        if client.blob_exists(image, &digest).await.unwrap_or(false) {
            eprintln!("{name} {digest} is there already");
            continue;
        }
        client
            .push_blob_stream(
                image,
                stream::iter(steps(name, blob)),
                &digest,
                Some(blob.bytes.len() as u64),
            )
            .await?;
    }
    let media_type = MediaType::ImageManifest.to_string();
    let content_type = media_type
        .parse()
        .map_err(|_| OciDistributionError::UnsupportedMediaTypeError(media_type))?;
    let manifest = Bytes::from(package.manifest.bytes.clone());
    client
        .push_manifest_raw(image, manifest, content_type)
        .await?;
    Ok(())
}

/// A blob in steps, each of which shows how far it has come.
fn steps(
    name: &'static str,
    blob: &Blob,
) -> impl Iterator<Item = Result<Bytes, OciDistributionError>> + Send + use<> {
    let digest = blob.descriptor.digest().to_string();
    let mut rest = Bytes::from(blob.bytes.clone());
    let total = rest.len();
    let terminal = std::io::stderr().is_terminal();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let step = rest.split_to(STEP.min(rest.len()));
        let sent = total - rest.len();
        // A terminal shows each step in one line; a log, the last one.
        if terminal || rest.is_empty() {
            let end = if rest.is_empty() { "\n" } else { "\r" };
            let mut out = std::io::stderr();
            // Without a standard error there is nobody to show it to.
            let _ = write!(out, "{name} {digest}: {sent} of {total} bytes{end}");
            let _ = out.flush();
        }
        Some(Ok(step))
    })
}

/// What an error means for whoever pushes.
fn explained(error: &OciDistributionError, image: &Reference, found: bool) -> anyhow::Error {
    let registry = image.registry();
    let login = format!("podman login {registry}, or docker login {registry}");
    let refused = matches!(
        error,
        OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_)
            | OciDistributionError::ServerError { code: 401, .. }
    );
    let advice = match error {
        _ if refused && found => {
            format!("{registry} refuses the credentials that are stored for it; {login}")
        }
        _ if refused => format!("no credentials are stored for {registry}; {login}"),
        OciDistributionError::ServerError {
            code: 403 | 405, ..
        }
        | OciDistributionError::RegistryError { .. } => format!(
            "{registry} does not take it as {}; see that the repository exists, and that you may \
             write there",
            image.repository()
        ),
        OciDistributionError::ServerError { code: 404, .. } => format!(
            "{registry} has no repository {}, or is no registry; create it, or mend the name",
            image.repository()
        ),
        OciDistributionError::RequestError(_) => format!(
            "the connection to {registry} failed; push again, and what is there already is not \
             sent anew"
        ),
        _ => format!("the push to {registry} failed; push again to complete it"),
    };
    // The reason lies below, for example: connection refused.
    let mut reasons = vec![error.to_string().trim().to_owned()];
    let mut source = std::error::Error::source(error);
    while let Some(reason) = source {
        reasons.push(reason.to_string());
        source = reason.source();
    }
    reasons.dedup();
    anyhow!("{advice} ({})", reasons.join(": "))
}
