use std::fs;
use std::io::{self, Cursor, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::budget::MAX_ENTRIES;
use super::*;
use crate::media_types::GZIP_LAYER;
use crate::{Annotations, Package, WasmConfig};

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header
}

/// Appends an entry whose name is written as it is: the tar crate would reject some of them.
fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, mut header: tar::Header, bytes: &[u8]) {
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    builder.append(&header, bytes).expect("memory");
}

fn tar_with(name: &str, header: tar::Header, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    append(&mut builder, name, header, bytes);
    builder.into_inner().expect("memory")
}

fn error(tar: &[u8]) -> String {
    tarball(tar).expect_err("an error").to_string()
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
    let file = header(tar::EntryType::Regular, 1);
    for name in ["a", "./a", "/a", "//./a"] {
        let entries = tarball(tar_with(name, file.clone(), b"x").as_slice()).expect(name);
        assert_eq!(entries, [("a".to_owned(), Entry::File(b"x".to_vec()))]);
    }
}

#[test]
fn path_out_of_the_root_is_an_error() {
    let file = header(tar::EntryType::Regular, 1);
    for name in ["../a", "a/../../b", "/.."] {
        assert!(error(&tar_with(name, file.clone(), b"x")).contains("leads out of the root"));
    }
}

#[test]
fn links_are_reported_and_not_followed() {
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link] {
        let mut link = header(kind, 0);
        link.set_link_name("/etc/passwd").expect("short");
        let entries = tarball(tar_with("plugin.wasm", link, b"").as_slice()).expect("readable");
        let target = "/etc/passwd".to_owned();
        assert_eq!(
            entries,
            [("plugin.wasm".to_owned(), Entry::Link { target })]
        );
    }
}

#[test]
fn endless_entry_is_an_error_in_bounded_memory() {
    // The header says eight exabytes, and the stream does not end.
    let file = tar_with("a", header(tar::EntryType::Regular, 0), b"");
    let mut start = file[..512].to_vec();
    let mut header = header(tar::EntryType::Regular, u64::MAX / 2);
    header.as_old_mut().name[0] = b'a';
    header.set_cksum();
    start.copy_from_slice(header.as_bytes());
    let endless = Cursor::new(start).chain(io::repeat(0));
    let error = tarball(endless).expect_err("an error");
    assert!(error.to_string().contains("unpacks to more"), "{error}");
}

#[test]
fn gzip_bomb_is_an_error_in_bounded_memory() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let header = tar_with("a", header(tar::EntryType::Regular, 4 << 30), b"");
    gzip.write_all(&header[..512]).expect("memory");
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        gzip.write_all(&zeros).expect("memory");
    }
    let bomb = gzip.finish().expect("memory");
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let error = tarball(MultiGzDecoder::new(bomb.as_slice())).expect_err("an error");
    assert!(error.to_string().contains("unpacks to more"), "{error}");
}

#[test]
fn sparse_entry_is_not_unpacked() {
    let mut sparse = header(tar::EntryType::GNUSparse, 0);
    if let Some(gnu) = sparse.as_gnu_mut() {
        gnu.realsize = *b"77777777777\0";
    }
    match tarball(tar_with("a", sparse, b"").as_slice()) {
        Ok(entries) => assert_eq!(entries, [("a".to_owned(), Entry::Special)]),
        Err(error) => assert!(error.to_string().contains("tar"), "{error}"),
    }
}

#[test]
fn too_many_entries_are_an_error() {
    let mut builder = tar::Builder::new(Vec::new());
    for _ in 0..=MAX_ENTRIES {
        append(&mut builder, "a", header(tar::EntryType::Regular, 0), b"");
    }
    let tar = builder.into_inner().expect("memory");
    assert!(error(&tar).contains("more than 10000 entries"));
}

#[test]
fn damaged_headers_are_errors() {
    let whole = tar_with("a", header(tar::EntryType::Regular, 600), &[b'x'; 600]);
    assert_eq!(error(&whole[..700]), "a is cut off");
    assert!(error(&whole[..300]).contains("not a complete tar archive"));
    let mut flipped = whole.clone();
    flipped[150] ^= 1;
    assert!(error(&flipped).contains("checksum"));
}

#[test]
fn every_truncation_of_an_archive_is_an_error() -> Result<()> {
    let whole = archive_of(b"\0asm\x01\0\0\0");
    let image = archive_from(Cursor::new(whole.clone()))?;
    assert_eq!(image.root().len(), 1);

    // After the last blob there are only the zeros that end a tar.
    let end = whole.len() - whole.iter().rev().take_while(|byte| **byte == 0).count();
    for length in (0..end).step_by(7) {
        let truncated = whole[..length].to_vec();
        assert!(archive_from(Cursor::new(truncated)).is_err(), "{length}");
        let mut flipped = whole.clone();
        flipped[length] ^= 0x10;
        // A flipped bit that nobody reads (an owner, a time) may leave the image valid.
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
    assert!(problem().contains("other content than its digest says"));
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
    let digest = layout(directory.path())?.digest;
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
    // A few kilobytes of documents, and 127 layers that name the same 20 MiB.
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

    let error = layout(directory.path()).expect_err("an error").to_string();
    assert!(error.starts_with("layer 5: "), "{error}");
    assert!(error.contains("longer than"), "{error}");
}

fn image_of(layers: &[&[(&str, Entry)]]) -> Image {
    Image {
        digest: String::new(),
        layers: layers
            .iter()
            .map(|entries| Layer {
                media_type: GZIP_LAYER.to_owned(),
                content: Content::Tar(
                    entries
                        .iter()
                        .map(|(path, entry)| ((*path).to_owned(), entry.clone()))
                        .collect(),
                ),
            })
            .collect(),
        other_images: 0,
        attestations: 0,
        media_type: None,
    }
}

const FILE: Entry = Entry::File(Vec::new());

#[test]
fn whiteouts_remove_files_of_lower_layers() {
    let image = image_of(&[
        &[("a", FILE), ("b/c", FILE), ("d/e", FILE), ("f", FILE)],
        &[
            (".wh.a", FILE),
            (".wh.b", FILE),
            ("d/g", FILE),
            ("d/.wh..wh..opq", FILE),
        ],
    ]);
    assert_eq!(image.root().into_keys().collect::<Vec<_>>(), ["d/g", "f"]);
}

#[test]
fn file_replaces_a_directory_of_a_lower_layer() {
    let image = image_of(&[
        &[("a", Entry::Directory), ("a/b", FILE), ("a.b", FILE)],
        &[("a", FILE)],
    ]);
    assert_eq!(
        image.root().into_iter().collect::<Vec<_>>(),
        [("a".to_owned(), FILE), ("a.b".to_owned(), FILE)]
    );
}

#[test]
fn directory_lists_files_and_links() -> Result<()> {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("lib")).expect("a directory");
    fs::write(directory.path().join("lib/a.wasm"), b"x").expect("a file");
    let mut expected = vec![
        ("lib".to_owned(), Entry::Directory),
        ("lib/a.wasm".to_owned(), Entry::File(b"x".to_vec())),
    ];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("lib/a.wasm", directory.path().join("z")).expect("a link");
        let target = "lib/a.wasm".to_owned();
        expected.push(("z".to_owned(), Entry::Link { target }));
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
