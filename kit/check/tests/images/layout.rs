//! Builds images and archives for the tests.

use std::fs;
use std::io::{Cursor, Write};

use proxy_wasm_check::{Report, check};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub const OCI_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const OCI_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const OCI_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
pub const DOCKER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
pub const DOCKER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar";
pub const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
pub const WASM_CONTENT: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// A valid manifest. Its module is `a.wasm`.
pub const MANIFEST: &[u8] = b"schemaVersion: 1\nphase: PreStats\npriority: 1\nmodule: a.wasm\n";

/// The content of a file that is not a module.
pub const ERROR_PAGE: &[u8] = b"<!doctype html><title>404</title>";

/// A valid module.
pub fn module() -> Vec<u8> {
    wat::parse_str(
        r#"(module
            (memory (export "memory") 1)
            (func (export "malloc") (param i32) (result i32) i32.const 0)
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_tick") (param i32)))"#,
    )
    .expect("a module")
}

pub type Layer<'a> = (&'a str, Vec<u8>);

/// An image layout that is being built.
pub struct Layout {
    pub directory: tempfile::TempDir,
}

impl Layout {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(directory.path().join("blobs/sha256")).expect("a directory");
        fs::write(
            directory.path().join("oci-layout"),
            r#"{"imageLayoutVersion": "1.0.0"}"#,
        )
        .expect("a file");
        Self { directory }
    }

    /// Adds a blob, and returns its descriptor.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let hex = hex(bytes);
        let path = self.directory.path().join("blobs/sha256").join(&hex);
        fs::write(path, bytes).expect("a file");
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    }

    /// Adds an image with the configuration media type that matches its manifest.
    pub fn image(&self, media_type: &str, layers: &[Layer]) -> Value {
        let config = if media_type == DOCKER_MANIFEST {
            DOCKER_CONFIG
        } else {
            OCI_CONFIG
        };
        self.image_with(Some(media_type), config, layers)
    }

    pub fn image_with(&self, stated: Option<&str>, config: &str, layers: &[Layer]) -> Value {
        let layers: Vec<_> = layers
            .iter()
            .map(|(media_type, bytes)| self.blob(media_type, bytes))
            .collect();
        let config = self.blob(
            config,
            br#"{"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers"}}"#,
        );
        let mut manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        if let Some(media_type) = stated {
            manifest["mediaType"] = json!(media_type);
        }
        self.blob(
            stated.unwrap_or(OCI_MANIFEST),
            manifest.to_string().as_bytes(),
        )
    }

    pub fn index(&self, media_type: &str, children: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": children});
        self.blob(media_type, index.to_string().as_bytes())
    }

    /// Writes `index.json`.
    pub fn finish(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        let path = self.directory.path().join("index.json");
        fs::write(path, index.to_string()).expect("a file");
    }

    pub fn check(&self, manifests: &[Value]) -> Report {
        self.finish(manifests);
        check(self.directory.path(), None)
    }
}

pub fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A descriptor for a platform: `os/architecture`, or `os/architecture/variant`.
pub fn with_platform(mut descriptor: Value, platform: &str) -> Value {
    let parts: Vec<_> = platform.split('/').collect();
    descriptor["platform"] = json!({"os": parts[0], "architecture": parts[1]});
    if let Some(variant) = parts.get(2) {
        descriptor["platform"]["variant"] = json!(variant);
    }
    descriptor
}

pub fn check_layers(media_type: &str, layers: &[Layer]) -> Report {
    let layout = Layout::new();
    let image = layout.image(media_type, layers);
    layout.check(&[image])
}

/// An image with one layer, a tar.
pub fn check_tar(tar: &[u8]) -> Report {
    check_layers(OCI_MANIFEST, &[(OCI_GZIP, gzip(tar))])
}

/// An image with one layer of these files.
pub fn check_files(files: &[(&str, &[u8])]) -> Report {
    check_tar(&tar(files))
}

/// A tar of files, in this order. `name -> target` is a symbolic link, `name => target` a hard
/// link,
/// `name/` a directory, and `name|` a pipe.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        let mut name = *path;
        for (arrow, kind) in [
            (" -> ", tar::EntryType::Symlink),
            (" => ", tar::EntryType::Link),
        ] {
            if let Some((link, target)) = path.split_once(arrow) {
                header.set_entry_type(kind);
                header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
                name = link;
            }
        }
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
        } else if let Some(pipe) = name.strip_suffix('|') {
            header.set_entry_type(tar::EntryType::Fifo);
            name = pipe;
        }
        header.set_size(bytes.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).expect("write to memory");
    }
    builder.into_inner().expect("write to memory")
}

/// The three files of a valid image.
pub fn three_files() -> Vec<u8> {
    let module = module();
    tar(&[
        ("a.wasm", &module),
        ("manifest.yaml", MANIFEST),
        ("plugin.wasm", &module),
    ])
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("write to memory");
    gzip.finish().expect("write to memory")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    ruzstd::encoding::compress_to_vec(Cursor::new(bytes), level)
}

/// The verdict for a consumer: `accepts PATH`, `rejects`, or `not checked`.
pub fn verdict(report: &Report, name: &str) -> String {
    let verdict = report
        .consumers
        .iter()
        .find(|verdict| verdict.name == name)
        .expect(name);
    let is_rejected = report
        .findings
        .iter()
        .any(|finding| finding.rejected_by.contains(&verdict.name));
    assert_eq!(
        verdict.accepts,
        verdict.reasons.is_empty() && verdict.since.is_some(),
        "{report}"
    );
    match (&verdict.reads, verdict.accepts) {
        (Some(path), true) => format!("accepts {path}"),
        (None, true) => panic!("accepts without a path: {report}"),
        _ if is_rejected => "rejects".to_owned(),
        _ => "not checked".to_owned(),
    }
}

/// Asserts the verdicts for Istio and for Maistra. Envoy Gateway must have the same one as Istio.
#[track_caller]
pub fn assert_verdicts(case: &str, report: &Report, istio: &str, maistra: &str) {
    for (name, expected) in [
        ("istio", istio),
        ("envoy-gateway", istio),
        ("maistra", maistra),
    ] {
        assert_eq!(verdict(report, name), expected, "{case}: {name}\n{report}");
    }
}

pub fn accepting(report: &Report) -> Vec<&'static str> {
    let verdicts = report.consumers.iter();
    verdicts
        .filter(|verdict| verdict.accepts)
        .map(|verdict| verdict.name)
        .collect()
}

pub fn lines(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

pub fn reasons<'a>(report: &'a Report, name: &str) -> &'a [String] {
    report
        .consumers
        .iter()
        .find(|verdict| verdict.name == name)
        .map_or(&[], |verdict| &verdict.reasons)
}
