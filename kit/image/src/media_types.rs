//! Media types and file names of the image formats.

/// The file name that Istio and Envoy Gateway look for.
pub const ISTIO_MODULE: &str = "plugin.wasm";

/// The *oci* variant's configuration layer (Wasm image specification).
pub const WASM_CONFIG_LAYER: &str = "application/vnd.module.wasm.config.v1+json";

/// The *oci* variant's module layer (Wasm image specification).
pub const WASM_CONTENT_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// The module layer of the CNCF's artifact format, which no known mesh reads.
pub const CNCF_WASM_LAYER: &str = "application/wasm";

/// An image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Docker's media type of an image index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// An image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A layer that is a gzip-compressed tar.
pub const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Docker's media type of a layer that is a gzip-compressed tar.
pub const DOCKER_GZIP_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A layer that is an uncompressed tar.
pub const TAR_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Docker's media type of a layer that is an uncompressed tar.
pub const DOCKER_TAR_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// Docker's media type of an image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
