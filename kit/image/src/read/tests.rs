use std::fs;
use std::io::{self, Cursor, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::budget::Budget;
use super::*;
use crate::{Annotations, Package, WasmConfig};

/// The entries of an uncompressed tar.
fn tarball(reader: impl Read) -> Tar {
    Tar::read(reader, &Budget::default())
}

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header
}

/// Appends an entry without checking its name: the tar crate would reject some names.
fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, mut header: tar::Header, bytes: &[u8]) {
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    builder.append(&header, bytes).expect("write to memory");
}

fn tar_with(name: &str, header: tar::Header, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    append(&mut builder, name, header, bytes);
    builder.into_inner().expect("write to memory")
}

/// The entries of a tar that has no errors.
fn entries(tar: &[u8]) -> Vec<(String, Entry)> {
    let tar = tarball(tar);
    assert!(tar.problem.is_none(), "{:?}", tar.problem);
    let entries = tar.entries.into_iter();
    entries.map(|item| (item.path, item.entry)).collect()
}

fn problem(tar: Tar) -> String {
    tar.problem.expect("a problem").to_string()
}

fn file(bytes: &[u8]) -> Entry {
    Entry::File(bytes.into())
}

/// An OCI archive with one module.
fn archive_of(module: &[u8]) -> Vec<u8> {
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("plugin.wasm"), module).expect("a file");
    Package::compat(root.path(), &Annotations::new())
        .and_then(|package| package.to_archive("localhost/a:1"))
        .expect("an archive")
}

#[test]
fn paths_are_relative_to_the_root() {
    let regular = header(tar::EntryType::Regular, 1);
    for name in [
        "a", "./a", "/a", "//./a", "../a", "/..//a", "b/../a", "a/b/..",
    ] {
        let tar = tar_with(name, regular.clone(), b"x");
        assert_eq!(entries(&tar), [("a".to_owned(), file(b"x"))], "{name}");
    }
    let tar = tar_with("caf\u{e9}", regular.clone(), b"x");
    assert_eq!(entries(&tar)[0].0, "caf\u{e9}");
    let mut latin = regular;
    latin.as_old_mut().name[..4].copy_from_slice(b"caf\xe9");
    assert_eq!(entries(&tar_with("", latin, b"x"))[0].0, "caf\\xe9");
}

#[test]
fn links_are_listed_and_not_followed() {
    for (kind, expected) in [
        (
            tar::EntryType::Symlink,
            Entry::SymbolicLink {
                target: "/etc/passwd".to_owned(),
            },
        ),
        (
            tar::EntryType::Link,
            Entry::HardLink {
                target: "etc/passwd".to_owned(),
            },
        ),
    ] {
        let mut link = header(kind, 0);
        link.set_link_name("/etc/passwd").expect("a short target");
        let tar = tar_with("plugin.wasm", link, b"");
        assert_eq!(entries(&tar), [("plugin.wasm".to_owned(), expected)]);
    }
}

#[test]
fn end_of_an_entry_is_the_end_of_its_content() {
    let mut builder = tar::Builder::new(Vec::new());
    for bytes in [&b"x"[..], &[b'y'; 600], b""] {
        let header = header(tar::EntryType::Regular, bytes.len() as u64);
        append(&mut builder, "a", header, bytes);
    }
    let tar = tarball(builder.into_inner().expect("write to memory").as_slice());
    let ends: Vec<_> = tar.entries.iter().map(|item| item.end).collect();
    assert_eq!(ends, [513, 1024 + 512 + 600, 1024 + 512 + 1024 + 512]);
}

#[test]
fn content_of_modules_and_short_files_is_kept() {
    let module = [&b"\0asm"[..], &vec![1; 1 << 20]].concat();
    for (bytes, is_kept) in [
        (module, true),
        (vec![b'x'; 65_536], true),
        (vec![b'x'; 65_536 + 65], false),
    ] {
        let length = bytes.len() as u64;
        let tar = tar_with("a", header(tar::EntryType::Regular, length), &bytes);
        let entries = entries(&tar);
        let Entry::File(content) = &entries[0].1 else {
            panic!("{entries:?}");
        };
        assert_eq!(content.length(), length);
        assert_eq!(content.bytes(), is_kept.then_some(bytes.as_slice()));
        assert!(bytes.starts_with(content.start()));
        assert!(!content.start().is_empty());
    }
}

#[test]
fn memory_for_content_is_limited() {
    let module = [&b"\0asm"[..], &vec![1; 40 << 20]].concat();
    let mut builder = tar::Builder::new(Vec::new());
    for _ in 0..3 {
        let header = header(tar::EntryType::Regular, module.len() as u64);
        append(&mut builder, "a", header, &module);
    }
    let entries = entries(&builder.into_inner().expect("write to memory"));
    let kept: Vec<_> = entries
        .iter()
        .map(|(_, entry)| match entry {
            Entry::File(content) => content.bytes().is_some(),
            _ => false,
        })
        .collect();
    assert_eq!(kept, [true, true, false]);
}

#[test]
fn endless_entry_is_an_error_in_bounded_memory() {
    // The header says eight exabytes, and the reader never ends.
    let file = tar_with("a", header(tar::EntryType::Regular, 0), b"");
    let mut start = file[..512].to_vec();
    let mut header = header(tar::EntryType::Regular, u64::MAX / 2);
    header.as_old_mut().name[0] = b'a';
    header.set_cksum();
    start.copy_from_slice(header.as_bytes());
    let endless = Cursor::new(start).chain(io::repeat(0));
    let tar = Tar::read(endless, &Budget::new(64 << 20, 10));
    assert!(matches!(tar.problem, Some(Error::Limit(_))), "{tar:?}");
}

#[test]
fn gzip_bomb_is_an_error_in_bounded_memory() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let header = tar_with("a", header(tar::EntryType::Regular, 4 << 30), b"");
    gzip.write_all(&header[..512]).expect("write to memory");
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        gzip.write_all(&zeros).expect("write to memory");
    }
    let bomb = gzip.finish().expect("write to memory");
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let budget = Budget::new(100 << 20, 10);
    let tar = Tar::read(MultiGzDecoder::new(bomb.as_slice()), &budget);
    assert!(problem(tar).contains("unpacks to more"));
}

#[test]
fn too_many_entries_are_a_limit_error() {
    let mut builder = tar::Builder::new(Vec::new());
    for _ in 0..=10 {
        append(&mut builder, "a", header(tar::EntryType::Regular, 0), b"");
    }
    let bytes = builder.into_inner().expect("write to memory");
    let tar = Tar::read(bytes.as_slice(), &Budget::new(1 << 20, 10));
    assert_eq!(tar.entries.len(), 10);
    assert!(matches!(tar.problem, Some(Error::Limit(_))), "{tar:?}");
}

#[test]
fn entries_before_a_damaged_one_are_read() {
    let whole = tar_with("a", header(tar::EntryType::Regular, 600), &[b'x'; 600]);
    let mut flipped = whole.clone();
    flipped[150] ^= 1;
    let whole_first = |rest: &[u8]| [&whole[..1536], rest].concat();
    for (damaged, part) in [
        (whole[..700].to_vec(), "a is cut off"),
        (whole[..300].to_vec(), "not a complete tar archive"),
        (flipped, "checksum"),
    ] {
        let tar = tarball(whole_first(&damaged).as_slice());
        assert_eq!(tar.entries.len(), 1);
        assert!(problem(tar).contains(part), "{part}");
    }
    let lone = whole_first(&[&[0; 512], &whole[..]].concat());
    assert!(problem(tarball(lone.as_slice())).contains("after one block of zeros"));
}

#[test]
fn every_truncation_of_an_archive_is_an_error() -> Result<()> {
    let whole = archive_of(b"\0asm\x01\0\0\0");
    let image = archive_from(Cursor::new(whole.clone()))?;
    assert_eq!(image.root()?.len(), 1);

    // Only the zeros at the end of the tar follow the last blob.
    let end = whole.len() - whole.iter().rev().take_while(|byte| **byte == 0).count();
    for length in (0..end).step_by(7) {
        let truncated = whole[..length].to_vec();
        assert!(archive_from(Cursor::new(truncated)).is_err(), "{length}");
        let mut flipped = whole.clone();
        flipped[length] ^= 0x10;
        // An image stays valid if the flipped bit is in a field that is not read, such as an owner
        // or a time.
        drop(archive_from(Cursor::new(flipped)));
    }
    Ok(())
}

/// An image layout with one module, and the path of its only layer.
fn unpacked_layout() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let archive = archive_of(b"module");
    tar::Archive::new(archive.as_slice())
        .unpack(directory.path())
        .expect("an archive");
    let read = |path: &Path| -> serde_json::Value {
        let text = fs::read(path).expect("a document");
        serde_json::from_slice(&text).expect("JSON")
    };
    let blob = |descriptor: &serde_json::Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        directory
            .path()
            .join("blobs")
            .join(digest.replace(':', "/"))
    };
    let index = read(&directory.path().join("index.json"));
    let manifest = read(&blob(&index["manifests"][0]));
    let layer = blob(&manifest["layers"][0]);
    (directory, layer)
}

#[test]
fn blob_must_match_its_descriptor() {
    let (directory, layer) = unpacked_layout();
    let problem = || layout(directory.path()).expect_err("an error").to_string();
    let bytes = fs::read(&layer).expect("a layer");
    let mut other = bytes.clone();
    other[0] ^= 1;
    fs::write(&layer, &other).expect("a file");
    assert!(problem().contains("does not match its digest"));
    fs::write(&layer, &bytes[1..]).expect("a file");
    assert!(problem().contains("its descriptor says"));
    fs::remove_file(&layer).expect("a file");
    assert!(problem().contains("is missing"));
    #[cfg(unix)]
    {
        let outside = directory.path().join("outside");
        fs::write(&outside, &bytes).expect("a file");
        std::os::unix::fs::symlink(&outside, &layer).expect("a link");
        assert!(problem().contains("not a regular file"));
    }
}

#[test]
fn digest_does_not_lead_out_of_the_layout() -> Result<()> {
    let (directory, _) = unpacked_layout();
    let digest = layout(directory.path())?.digest.expect("a digest");
    let path = directory.path().join("index.json");
    let index = fs::read_to_string(&path).expect("an index");
    for bad in ["sha256:../../../../etc/passwd", "sha512:00", "", "\u{e9}"] {
        fs::write(&path, index.replace(&digest, bad)).expect("a file");
        let error = layout(directory.path()).expect_err(bad).to_string();
        assert!(error.contains("not a sha256 digest"), "{error}");
    }
    Ok(())
}

#[test]
fn layers_of_the_same_blob_share_the_budget() {
    // A few kilobytes of documents, and 127 layers that refer to the same 20 MiB.
    let module = vec![0; 20 << 20];
    let config = WasmConfig {
        abi_versions: Vec::new(),
        root_ids: Vec::new(),
    };
    let package = Package::oci(&module, &config, &Annotations::new()).expect("a package");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(package.manifest().bytes()).expect("JSON");
    let layer = manifest["layers"][1].clone();
    manifest["layers"] = std::iter::repeat_n(layer, 127).collect();
    let manifest = manifest.to_string().into_bytes();
    let digest = crate::blob::sha256(&manifest);
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": manifest.len(),
    }]});

    let directory = tempfile::tempdir().expect("a directory");
    let blobs = directory.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a directory");
    let write = |digest: &str, bytes: &[u8]| {
        fs::write(blobs.join(digest.replace("sha256:", "")), bytes).expect("a file");
    };
    write(&digest, &manifest);
    write(package.config().digest(), package.config().bytes());
    write(package.layers()[1].digest(), &module);
    fs::write(directory.path().join("index.json"), index.to_string()).expect("a file");

    let error = layout(directory.path()).expect_err("an error");
    assert!(matches!(error, Error::Limit(_)), "{error}");
    assert!(error.to_string().starts_with("layer "), "{error}");
}

#[test]
fn directory_lists_files_and_links() -> Result<()> {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("lib")).expect("a directory");
    fs::write(directory.path().join("lib/a.wasm"), b"x").expect("a file");
    let mut expected = vec![
        ("lib".to_owned(), Entry::Directory),
        ("lib/a.wasm".to_owned(), file(b"x")),
    ];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("lib/a.wasm", directory.path().join("z")).expect("a link");
        let target = "lib/a.wasm".to_owned();
        expected.push(("z".to_owned(), Entry::SymbolicLink { target }));
    }
    assert_eq!(super::directory(directory.path())?, expected);

    let mut deep = directory.path().to_owned();
    for _ in 0..33 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).expect("a directory");
    let error = super::directory(directory.path()).expect_err("an error");
    assert!(error.to_string().contains("32 directories deep"), "{error}");
    Ok(())
}

#[test]
fn compression_is_detected_by_the_first_bytes() -> Result<()> {
    let tar = tar_with("a", header(tar::EntryType::Regular, 1), b"x");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar).expect("write to memory");
    let gzip = gzip.finish().expect("write to memory");
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(tar.as_slice(), level);
    for (bytes, expected) in [
        (tar, super::Compression::None),
        (gzip, super::Compression::Gzip),
        (zstd, super::Compression::Zstd),
    ] {
        let layer = layer("text/plain", bytes.as_slice())?;
        assert_eq!(layer.compression, expected);
        let tar = layer.tar().expect("a tar");
        assert!(tar.problem.is_none(), "{tar:?}");
        assert_eq!(tar.entries.len(), 1);
    }
    Ok(())
}
