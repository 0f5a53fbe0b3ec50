//! Malicious input is an error or is not checked, in bounded time and memory.

use std::fs;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use proxy_wasm_check::check;
use serde_json::json;

use crate::layout::*;

const ISTIO: &str = "accepts plugin.wasm";

/// Enough for an unoptimized build on a slow machine.
const MAX_TIME: Duration = Duration::from_secs(60);

fn header(name: &str, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

/// A compressed tar of some entries, a header, and many zeros.
fn bomb(first: &[u8], header: &tar::Header, length: usize) -> Vec<u8> {
    const CHUNK: usize = 32 << 20;
    // gzip may have several members.
    let zeros = gzip(&vec![0; CHUNK]).repeat(length / CHUNK);
    [gzip(&[first, header.as_bytes()].concat()), zeros].concat()
}

#[test]
fn layer_that_unpacks_to_gigabytes_is_not_checked() {
    let started = Instant::now();
    let files = three_files();
    let files = &files[..3 * 1024];
    let file = header("data", 8 << 30, tar::EntryType::Regular);
    let layer = bomb(files, &file, 2 << 30);
    assert!(layer.len() < 16 << 20, "{}", layer.len());
    // Istio stops after the module; podman unpacks everything.
    let report = check_layers(OCI_MANIFEST, &[(OCI_GZIP, layer.clone())]);
    assert_verdicts("last", &report, ISTIO, "not checked");
    // The last layer is read first.
    let last = (OCI_GZIP, gzip(&three_files()));
    let report = check_layers(OCI_MANIFEST, &[(OCI_GZIP, layer), last]);
    assert_verdicts("lower", &report, ISTIO, "not checked");
    assert!(started.elapsed() < 2 * MAX_TIME, "{:?}", started.elapsed());
}

#[test]
fn huge_headers_are_errors() {
    for kind in [
        tar::EntryType::GNULongName,
        tar::EntryType::GNULongLink,
        tar::EntryType::XHeader,
    ] {
        let name = header("name", 1 << 30, kind);
        let layer = bomb(&[], &name, 64 << 20);
        let report = check_layers(OCI_MANIFEST, &[(OCI_GZIP, layer)]);
        assert_verdicts(&format!("{kind:?}"), &report, "rejects", "rejects");
        let line = &lines(&report)[0];
        assert!(line.contains("a header of more than"), "{line}");
    }
}

#[test]
fn sparse_file_of_gigabytes_is_not_read() {
    let mut sparse = tar::Header::new_gnu();
    sparse.set_entry_type(tar::EntryType::GNUSparse);
    sparse.set_size(0);
    let gnu = sparse.as_gnu_mut().expect("GNU");
    gnu.name[..11].copy_from_slice(b"plugin.wasm");
    gnu.realsize = *b"77777777777\0";
    gnu.sparse[0].offset = *b"77777777777\0";
    gnu.sparse[0].numbytes = *b"00000000000\0";
    sparse.set_cksum();
    let report = check_tar(sparse.as_bytes());
    assert_verdicts("sparse", &report, "not checked", "not checked");
}

#[test]
fn too_many_entries_are_not_checked() {
    let started = Instant::now();
    let mut tar = three_files();
    tar.truncate(3 * 1024);
    let empty = header("x", 0, tar::EntryType::Regular);
    for number in 0..100_000u32 {
        let mut empty = empty.clone();
        empty.as_old_mut().name[..8].copy_from_slice(format!("{number:08}").as_bytes());
        empty.set_cksum();
        tar.extend(empty.as_bytes());
    }
    let report = check_tar(&tar);
    assert_verdicts("entries", &report, ISTIO, "not checked");
    assert!(started.elapsed() < MAX_TIME, "{:?}", started.elapsed());
}

#[test]
fn long_paths_with_many_directories_are_checked_in_bounded_time() {
    let started = Instant::now();
    let mut builder = tar::Builder::new(Vec::new());
    for number in 0..10_000 {
        let path = format!("{}{number}", "a/".repeat(100));
        builder
            .append_pax_extensions([("path", path.as_bytes())])
            .expect("write to memory");
        builder
            .append(&header("x", 0, tar::EntryType::Regular), &b""[..])
            .expect("write to memory");
    }
    let report = check_tar(&builder.into_inner().expect("write to memory"));
    assert_verdicts("paths", &report, "rejects", "rejects");
    for (path, maistra) in [
        ("a/".repeat(200), "not checked"),
        ("a".repeat(5000), "rejects"),
    ] {
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_pax_extensions([("path", path.as_bytes())])
            .expect("write to memory");
        builder
            .append(&header("x", 0, tar::EntryType::Regular), &b""[..])
            .expect("write to memory");
        let report = check_tar(&builder.into_inner().expect("write to memory"));
        assert_verdicts(&path[..9], &report, maistra, maistra);
    }
    assert!(started.elapsed() < MAX_TIME, "{:?}", started.elapsed());
}

#[test]
fn many_links_are_followed_in_bounded_time() {
    let started = Instant::now();
    // The target of each link is the link before it.
    let links: Vec<_> = (1..5000)
        .map(|number| format!("l{number} -> l{}", number - 1))
        .collect();
    let mut files: Vec<(&str, &[u8])> = links.iter().map(|link| (&link[..], &b""[..])).collect();
    files.push(("manifest.yaml -> l4999", b""));
    let report = check_files(&files);
    assert_verdicts("links", &report, "rejects", "rejects");
    assert!(started.elapsed() < MAX_TIME, "{:?}", started.elapsed());
}

#[test]
fn indexes_that_are_nested_too_deeply_are_not_checked() {
    let layout = Layout::new();
    let mut deep = layout.image(OCI_MANIFEST, &[(OCI_GZIP, gzip(&three_files()))]);
    for _ in 0..20 {
        deep = layout.index(OCI_INDEX, &[deep]);
    }
    let report = layout.check(&[deep]);
    assert_verdicts("deep", &report, "not checked", "not checked");
    assert!(
        lines(&report)[0].contains("nested more than 8 deep"),
        "{report}"
    );
}

#[test]
fn blobs_that_are_missing_or_do_not_match_are_errors() {
    type Change = fn(&mut serde_json::Value);
    let changes: [(&str, Change, &str); 4] = [
        (
            "missing",
            |layer| layer["digest"] = json!(format!("sha256:{}", "0".repeat(64))),
            "is missing",
        ),
        (
            "size",
            |layer| layer["size"] = json!(1),
            "its descriptor says 1",
        ),
        (
            "path",
            |layer| layer["digest"] = json!("sha256:../../../etc/passwd"),
            "not a sha256 digest",
        ),
        (
            "algorithm",
            |layer| layer["digest"] = json!("sha512:00"),
            "not a sha256 digest",
        ),
    ];
    for (case, change, part) in changes {
        let layout = Layout::new();
        let mut layer = layout.blob(OCI_GZIP, &gzip(&three_files()));
        change(&mut layer);
        let config = layout.blob(OCI_CONFIG, b"{}");
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        let image = layout.blob(OCI_MANIFEST, manifest.to_string().as_bytes());
        let report = layout.check(&[image]);
        assert_verdicts(case, &report, "rejects", "rejects");
        assert!(lines(&report)[0].contains(part), "{case}: {report}");
    }
    let layout = Layout::new();
    let bytes = gzip(&three_files());
    let image = layout.image(OCI_MANIFEST, &[(OCI_GZIP, bytes.clone())]);
    let blob = layout
        .directory
        .path()
        .join("blobs/sha256")
        .join(hex(&bytes));
    let mut other = bytes;
    other[10] ^= 1;
    fs::write(blob, other).expect("a file");
    let report = layout.check(&[image]);
    assert_verdicts("content", &report, "rejects", "rejects");
    assert!(
        lines(&report)[0].contains("does not match its digest"),
        "{report}"
    );
}

#[test]
fn thousands_of_layers_are_checked_in_bounded_time() {
    let started = Instant::now();
    let layer = (OCI_GZIP, gzip(&three_files()));
    let report = check_layers(OCI_MANIFEST, &vec![layer; 2000]);
    assert_verdicts("layers", &report, ISTIO, "accepts a.wasm");
    assert!(started.elapsed() < MAX_TIME, "{:?}", started.elapsed());
}

#[test]
fn tiny_frames_are_read_in_bounded_time() {
    let started = Instant::now();
    let frame = zstd(b"x");
    let layer = frame.repeat(200_000);
    let report = check_layers(OCI_MANIFEST, &[(OCI_ZSTD, layer)]);
    assert_verdicts("frames", &report, "rejects", "rejects");
    assert!(started.elapsed() < MAX_TIME, "{:?}", started.elapsed());
}

#[test]
fn large_module_is_not_checked() {
    // The first is larger than what is kept in memory, but smaller than Istio's limit. The second
    // is larger than Istio's limit.
    for (length, istio) in [(200u64 << 20, "not checked"), (300 << 20, "rejects")] {
        let file = header("plugin.wasm", length, tar::EntryType::Regular);
        let mut layer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        layer.write_all(file.as_bytes()).expect("write to memory");
        layer
            .write_all(b"\0asm\x01\0\0\0")
            .expect("write to memory");
        std::io::copy(&mut std::io::repeat(0).take(length - 8), &mut layer)
            .expect("write to memory");
        let layer = layer.finish().expect("write to memory");
        let report = check_layers(OCI_MANIFEST, &[(OCI_GZIP, layer)]);
        assert_verdicts(&format!("{length}"), &report, istio, "rejects");
    }
}

#[test]
fn path_that_does_not_exist_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let report = check(&directory.path().join("missing"), None);
    assert_verdicts("missing", &report, "rejects", "rejects");
}
