//! Pushes an image without a container engine (OCI distribution specification).

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};

use crate::blob::Blob;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::package::Package;
use crate::reference::ImageReference;

mod failure;

/// The timeout for connecting to a registry.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The timeout for reading from a registry.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// The number of bytes that are sent at a time. An event reports each chunk.
const CHUNK_LENGTH: usize = 64 * 1024;

/// The progress of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushEvent {
    /// The registry has the blob already, so it is not sent.
    AlreadyPresent {
        /// The blob's digest.
        digest: String,
    },
    /// A chunk of a blob is being sent.
    Sent {
        /// The blob's digest.
        digest: String,
        /// The number of bytes sent so far.
        bytes: usize,
        /// The size of the blob in bytes.
        total: usize,
    },
}

/// Pushes an image to a registry, and returns its reference by digest.
///
/// Blobs that the registry has already are not sent again, so another push continues an interrupted
/// one. The manifest is sent last: until then, the image does not exist in the registry. Registries
/// on this machine are used over plain HTTP, others over TLS.
///
/// This function blocks. Do not call it from asynchronous code.
///
/// # Errors
///
/// [`Error::Unauthorized`], [`Error::Denied`], [`Error::RepositoryNotFound`], [`Error::Connection`]
/// or [`Error::Push`].
pub fn push(
    package: &Package,
    image: &ImageReference,
    credentials: Option<&Credentials>,
    on_event: impl Fn(PushEvent) + Clone + Send + 'static,
) -> Result<String> {
    let failed = |reason: String| Error::Push {
        registry: image.registry().to_owned(),
        reason,
    };
    let reference: Reference = image
        .as_str()
        .parse()
        .map_err(|error: oci_client::ParseError| failed(error.to_string()))?;
    // If the program has already installed a provider, that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?
        .block_on(upload(package, image, &reference, credentials, on_event))
        .map_err(|error| failure::explain(&error, image, credentials.is_some()))?;
    Ok(image.with_digest(package.digest()))
}

async fn upload(
    package: &Package,
    image: &ImageReference,
    reference: &Reference,
    credentials: Option<&Credentials>,
    on_event: impl Fn(PushEvent) + Clone + Send + 'static,
) -> Result<(), OciDistributionError> {
    let client = Client::try_from(ClientConfig {
        protocol: if image.is_local() {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        },
        use_monolithic_push: true,
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        ..ClientConfig::default()
    })?;
    let auth = match credentials {
        Some(known) => RegistryAuth::Basic(known.username.clone(), known.password.clone()),
        None => RegistryAuth::Anonymous,
    };
    for operation in [RegistryOperation::Pull, RegistryOperation::Push] {
        client.auth(reference, &auth, operation).await?;
    }
    for blob in package.layers().iter().chain([package.config()]) {
        // If the registry does not say whether it has the blob, the blob is sent.
        let is_present = client.blob_exists(reference, blob.digest()).await;
        if is_present.unwrap_or(false) {
            on_event(PushEvent::AlreadyPresent {
                digest: blob.digest().to_owned(),
            });
            continue;
        }
        let chunks = chunks(blob, on_event.clone());
        client
            .push_blob_stream(
                reference,
                stream::iter(chunks),
                blob.digest(),
                Some(blob.size()),
            )
            .await?;
    }
    let manifest = package.manifest();
    let media_type = manifest.media_type();
    let content_type = media_type
        .parse()
        .map_err(|_| OciDistributionError::UnsupportedMediaTypeError(media_type.to_owned()))?;
    client
        .push_manifest_raw(
            reference,
            Bytes::copy_from_slice(manifest.bytes()),
            content_type,
        )
        .await?;
    Ok(())
}

/// A blob in chunks. An event reports each chunk when the client takes it.
fn chunks<F: Fn(PushEvent) + Send>(
    blob: &Blob,
    on_event: F,
) -> impl Iterator<Item = Result<Bytes, OciDistributionError>> + Send + use<F> {
    let digest = blob.digest().to_owned();
    let mut rest = Bytes::copy_from_slice(blob.bytes());
    let total = rest.len();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let chunk = rest.split_to(CHUNK_LENGTH.min(rest.len()));
        on_event(PushEvent::Sent {
            digest: digest.clone(),
            bytes: total - rest.len(),
            total,
        });
        Some(Ok(chunk))
    })
}
