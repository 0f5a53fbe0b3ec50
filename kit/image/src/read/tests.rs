use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header
}

/// An entry whose name is written as it is: the tar crate would refuse some of them.
fn raw(builder: &mut tar::Builder<Vec<u8>>, name: &str, mut header: tar::Header, bytes: &[u8]) {
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    builder.append(&header, bytes).expect("memory");
}

fn one(name: &str, header: tar::Header, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    raw(&mut builder, name, header, bytes);
    builder.into_inner().expect("memory")
}

fn read(tar: &[u8]) -> Result<Entries> {
    tarball(tar, &mut Budget::default())
}

fn error(tar: &[u8]) -> String {
    format!("{:#}", read(tar).expect_err("an error"))
}

#[test]
fn paths_are_seen_from_the_root() {
    let file = header(tar::EntryType::Regular, 1);
    for name in ["a", "./a", "/a", "//./a"] {
        let entries = read(&one(name, file.clone(), b"x")).expect(name);
        assert_eq!(entries, [("a".to_owned(), Entry::File(b"x".to_vec()))]);
    }
}

#[test]
fn a_path_that_climbs_out_is_an_error() {
    let file = header(tar::EntryType::Regular, 1);
    for name in ["../a", "a/../../b", "/.."] {
        assert!(error(&one(name, file.clone(), b"x")).contains("climbs out"));
    }
}

#[test]
fn links_are_told_and_not_followed() {
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link] {
        let mut link = header(kind, 0);
        link.set_link_name("/etc/passwd").expect("short");
        let entries = read(&one("plugin.wasm", link, b"")).expect("readable");
        let target = "/etc/passwd".to_owned();
        assert_eq!(
            entries,
            [("plugin.wasm".to_owned(), Entry::Link { target })]
        );
    }
}

#[test]
fn an_endless_entry_is_an_error_in_bounded_memory() {
    // The header says eight exabytes, and the stream does not end.
    let file = one("a", header(tar::EntryType::Regular, 0), b"");
    let mut start = file[..512].to_vec();
    let mut header = header(tar::EntryType::Regular, u64::MAX / 2);
    header.as_old_mut().name[0] = b'a';
    header.set_cksum();
    start.copy_from_slice(header.as_bytes());
    let endless = Cursor::new(start).chain(io::repeat(0));
    let error = tarball(endless, &mut Budget::default()).expect_err("an error");
    assert!(error.to_string().contains("unpacks to more"), "{error}");
}

#[test]
fn a_gzip_bomb_is_an_error_in_bounded_memory() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let header = one("a", header(tar::EntryType::Regular, 4 << 30), b"");
    gzip.write_all(&header[..512]).expect("memory");
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        gzip.write_all(&zeros).expect("memory");
    }
    let bomb = gzip.finish().expect("memory");
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let error = tarball(MultiGzDecoder::new(bomb.as_slice()), &mut Budget::default())
        .expect_err("an error");
    assert!(error.to_string().contains("unpacks to more"), "{error}");
}

#[test]
fn a_sparse_entry_is_not_unpacked() {
    let mut sparse = header(tar::EntryType::GNUSparse, 0);
    if let Some(gnu) = sparse.as_gnu_mut() {
        gnu.realsize = *b"77777777777\0";
    }
    let entries = read(&one("a", sparse, b"")).map_err(|error| error.to_string());
    match entries {
        Ok(entries) => assert_eq!(entries, [("a".to_owned(), Entry::Special)]),
        Err(error) => assert!(error.contains("tar"), "{error}"),
    }
}

#[test]
fn too_many_entries_are_an_error() {
    let mut builder = tar::Builder::new(Vec::new());
    for _ in 0..=MOST_ENTRIES {
        raw(&mut builder, "a", header(tar::EntryType::Regular, 0), b"");
    }
    let tar = builder.into_inner().expect("memory");
    assert!(error(&tar).contains("more than 10000 entries"));
}

#[test]
fn headers_that_lie_are_errors() {
    let whole = one("a", header(tar::EntryType::Regular, 600), &[b'x'; 600]);
    assert!(error(&whole[..700]).contains('a'));
    assert!(error(&whole[..300]).contains("whole tar"));
    let mut flipped = whole.clone();
    flipped[150] ^= 1;
    assert!(error(&flipped).contains("checksum"));
}

#[test]
fn every_truncation_of_an_archive_is_an_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("root");
    fs::create_dir(&root)?;
    fs::write(root.join("plugin.wasm"), b"\0asm\x01\0\0\0")?;
    let path = folder.path().join("image.tar");
    crate::Package::compat(&root, &crate::Annotations::new())?
        .write_archive("localhost/a:1", &path)?;
    let whole = fs::read(&path)?;
    let image = archive_of(Cursor::new(whole.clone()))?;
    assert_eq!(image.root().len(), 1);

    // Beyond the last blob there are only the zeros that end a tar.
    let end = whole.len() - whole.iter().rev().take_while(|byte| **byte == 0).count();
    for length in (0..end).step_by(7) {
        assert!(
            archive_of(Cursor::new(whole[..length].to_vec())).is_err(),
            "{length}"
        );
        let mut flipped = whole.clone();
        flipped[length] ^= 0x10;
        // A flipped bit where nobody reads (an owner, a time) may leave the image whole.
        drop(archive_of(Cursor::new(flipped)));
    }
    Ok(())
}

#[test]
fn a_blob_has_to_be_what_its_descriptor_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("root");
    fs::create_dir(&root)?;
    fs::write(root.join("plugin.wasm"), b"module")?;
    let path = folder.path().join("image.tar");
    crate::Package::compat(&root, &crate::Annotations::new())?
        .write_archive("localhost/a:1", &path)?;
    let unpacked = folder.path().join("layout");
    tar::Archive::new(File::open(&path)?).unpack(&unpacked)?;
    let image = layout(&unpacked)?;
    let blob = unpacked.join(format!(
        "blobs/{}",
        image.manifest.layers()[0]
            .digest()
            .to_string()
            .replace(':', "/")
    ));

    let problem = |image: Result<Image>| format!("{:#}", image.expect_err("an error"));
    let bytes = fs::read(&blob)?;
    let mut other = bytes.clone();
    other[0] ^= 1;
    fs::write(&blob, &other)?;
    assert!(problem(layout(&unpacked)).contains("other bytes than its digest says"));
    fs::write(&blob, &bytes[1..])?;
    assert!(problem(layout(&unpacked)).contains("its descriptor says"));
    fs::remove_file(&blob)?;
    assert!(problem(layout(&unpacked)).contains("is missing"));
    #[cfg(unix)]
    {
        let outside = folder.path().join("outside");
        fs::write(&outside, &bytes)?;
        std::os::unix::fs::symlink(&outside, &blob)?;
        assert!(problem(layout(&unpacked)).contains("no regular file"));
    }

    let index = fs::read_to_string(unpacked.join("index.json"))?;
    let digest = image.digest.as_str();
    fs::write(
        unpacked.join("index.json"),
        index.replace(digest, "sha256:../../../../etc/passwd"),
    )?;
    assert!(layout(&unpacked).is_err());
    Ok(())
}

#[test]
fn whiteouts_take_away_what_lower_layers_put_there() {
    let layer = |paths: &[&str]| Layer {
        media_type: GZIP_LAYERS[0].to_owned(),
        content: Content::Tar(
            paths
                .iter()
                .map(|path| ((*path).to_owned(), Entry::File(Vec::new())))
                .collect(),
        ),
    };
    let manifest = r#"{"schemaVersion": 2, "config": {"mediaType":
        "application/vnd.oci.image.config.v1+json", "size": 2, "digest":
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}, "layers": []}"#;
    let image = Image {
        digest: String::new(),
        manifest: ImageManifest::from_reader(manifest.as_bytes()).expect("a manifest"),
        layers: vec![
            layer(&["a", "b/c", "d/e", "f"]),
            layer(&[".wh.a", ".wh.b", "d/.wh..wh..opq", "d/g"]),
        ],
        others: 0,
    };
    assert_eq!(image.root().into_keys().collect::<Vec<_>>(), ["d/g", "f"]);
}
