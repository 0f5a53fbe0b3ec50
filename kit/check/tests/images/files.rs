//! The files of a layer: names, order, and the formats of tar.

use std::io::Read;

use crate::layout::*;

const ISTIO: &str = "accepts plugin.wasm";
const MAISTRA: &str = "accepts a.wasm";

#[test]
fn image_of_istios_guide_is_accepted_by_all_but_maistra() {
    let report = check_files(&[("plugin.wasm", &module())]);
    assert_eq!(accepting(&report), ["envoy", "istio", "envoy-gateway"]);
    assert!(report.is_accepted());
    assert_eq!(
        lines(&report),
        [
            "error: manifest.yaml: it is missing; add it: Maistra reads it first (rejected by \
             maistra)"
        ]
    );
    let maistra = &report.consumers[3];
    assert_eq!(maistra.reads, None);
    assert_eq!(
        maistra.reasons,
        ["manifest.yaml: it is missing; add it: Maistra reads it first"]
    );
    assert_eq!(report.consumers[0].reads.as_deref(), Some("plugin.wasm"));
}

#[test]
fn istio_reads_the_first_plugin_wasm_in_any_directory() {
    let module = module();
    for (files, istio) in [
        (
            &[("lib/plugin.wasm", &module[..])][..],
            "accepts lib/plugin.wasm",
        ),
        (&[("./plugin.wasm", &module)], ISTIO),
        (&[("/plugin.wasm", &module)], ISTIO),
        (&[("../plugin.wasm", &module)], ISTIO),
        (
            &[("a/plugin.wasm", ERROR_PAGE), ("plugin.wasm", &module)],
            "rejects",
        ),
        (
            &[("plugin.wasm", &module), ("z/plugin.wasm", ERROR_PAGE)],
            ISTIO,
        ),
        (
            &[("plugin.wasm", b""), ("a/plugin.wasm", &module)],
            "rejects",
        ),
        (
            &[("plugin.wasm", ERROR_PAGE), ("plugin.wasm", &module)],
            "rejects",
        ),
        (
            &[("plugin.wasm", &module), ("plugin.wasm", ERROR_PAGE)],
            ISTIO,
        ),
        (
            &[("plugin.wasm/", b""), ("b/plugin.wasm", &module)],
            "rejects",
        ),
        (
            &[("plugin.wasm|", b""), ("b/plugin.wasm", &module)],
            "rejects",
        ),
        (&[("plugin.wasm.bak", &module)], "rejects"),
        (&[("Plugin.wasm", &module)], "rejects"),
        (&[], "rejects"),
    ] {
        let report = check_files(files);
        let names: Vec<_> = files.iter().map(|file| file.0).collect();
        assert_verdicts(&format!("{names:?}"), &report, istio, "rejects");
    }
    let report = check_files(&[("a/plugin.wasm", ERROR_PAGE), ("plugin.wasm", &module)]);
    assert!(
        reasons(&report, "istio")[0].starts_with("a/plugin.wasm: it does not begin with"),
        "{report}"
    );
    let report = check_files(&[("lib/plugin.wasm", &module)]);
    assert!(
        lines(&report).contains(
            &"warning: layer 1: Istio and Envoy Gateway read \"lib/plugin.wasm\", the first file \
             of this name; put plugin.wasm at the root, and no other file of this name before it"
                .to_owned()
        ),
        "{report}"
    );
}

#[test]
fn paths_are_relative_to_the_root() {
    let module = module();
    for prefix in ["", "./", "/", "../", "b/../", "//./"] {
        let [first, second, third] =
            ["a.wasm", "manifest.yaml", "plugin.wasm"].map(|name| format!("{prefix}{name}"));
        let report = check_files(&[(&first, &module), (&second, MANIFEST), (&third, &module)]);
        assert_verdicts(prefix, &report, ISTIO, MAISTRA);
        assert_eq!(lines(&report), Vec::<String>::new(), "{prefix}");
    }
}

#[test]
fn podman_does_not_unpack_a_path_twice() {
    let module = module();
    let rest: [(&str, &[u8]); 2] = [("manifest.yaml", MANIFEST), ("plugin.wasm", &module)];
    for twice in [
        [("a.wasm", &module[..]), ("a.wasm", ERROR_PAGE)],
        [("a.wasm", ERROR_PAGE), ("a.wasm", &module)],
        [("a.wasm", &module), ("./a.wasm", &module)],
        [("lib/", b""), ("lib/", b"")],
    ] {
        let files = [&twice[..], &rest].concat();
        let report = check_files(&files);
        assert_verdicts(twice[1].0, &report, ISTIO, "rejects");
        assert!(
            reasons(&report, "maistra")[0].contains("twice, which podman does not unpack"),
            "{report}"
        );
    }
}

#[test]
fn verdict_of_each_consumer_is_about_the_module_that_it_reads() {
    let module = module();
    let files: [(&str, &[u8]); 3] = [
        ("a.wasm", ERROR_PAGE),
        ("manifest.yaml", MANIFEST),
        ("plugin.wasm", &module),
    ];
    let report = check_files(&files);
    assert_eq!(accepting(&report), ["istio", "envoy-gateway"]);
    let files = [
        ("a.wasm", &module[..]),
        files[1],
        ("plugin.wasm", ERROR_PAGE),
    ];
    assert_eq!(accepting(&check_files(&files)), ["envoy", "maistra"]);
}

#[test]
fn manifest_that_maistra_reads_leniently_is_accepted() {
    let module = module();
    for (manifest, warnings) in [
        (
            "schemaVersion: '1'\nauthor: me\nphase: PreStats\npriority: 1\nmodule: ./a.wasm\n",
            3,
        ),
        ("module: a.wasm\n", 3),
        ("module: b.wasm\nmodule: a.wasm\n", 4),
        ("{module: ../a.wasm/}", 4),
    ] {
        let report = check_files(&[
            ("a.wasm", &module),
            ("manifest.yaml", manifest.as_bytes()),
            ("plugin.wasm", &module),
        ]);
        assert_verdicts(manifest, &report, ISTIO, MAISTRA);
        assert_eq!(report.warnings(), warnings, "{report}");
    }
}

#[test]
fn manifest_and_module_must_be_files() {
    let module = module();
    let good: [(&str, &[u8]); 3] = [
        ("a.wasm", &module),
        ("manifest.yaml", MANIFEST),
        ("plugin.wasm", &module),
    ];
    for (left_out, in_its_place) in [
        ("a.wasm", None),
        ("a.wasm", Some("a.wasm/")),
        ("a.wasm", Some("a.wasm|")),
        ("manifest.yaml", None),
        ("manifest.yaml", Some("manifest.yaml/")),
    ] {
        let files: Vec<_> = good
            .into_iter()
            .filter(|(name, _)| *name != left_out)
            .chain(in_its_place.map(|name| (name, &b""[..])))
            .collect();
        let report = check_files(&files);
        assert_verdicts(&format!("{in_its_place:?}"), &report, ISTIO, "rejects");
        assert!(
            reasons(&report, "maistra")[0].starts_with(left_out),
            "{report}"
        );
    }
}

#[test]
fn file_below_a_file_is_not_unpacked() {
    let module = module();
    let rest: [(&str, &[u8]); 2] = [("manifest.yaml", MANIFEST), ("plugin.wasm", &module)];
    for (order, maistra) in [
        ([("a.wasm", &module[..]), ("a.wasm/b", b"b")], "rejects"),
        // A file replaces a directory.
        ([("a.wasm/b", b"b"), ("a.wasm", &module)], MAISTRA),
    ] {
        let report = check_files(&[&order[..], &rest].concat());
        assert_verdicts(order[0].0, &report, ISTIO, maistra);
    }
}

fn header(size: usize, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size as u64);
    header
}

fn append(builder: &mut tar::Builder<Vec<u8>>, mut header: tar::Header, name: &str, bytes: &[u8]) {
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    builder.append(&header, bytes).expect("write to memory");
}

/// A file with a path that does not fit into a header.
fn append_long(builder: &mut tar::Builder<Vec<u8>>, format: &str, path: &str, bytes: &[u8]) {
    let file = header(bytes.len(), tar::EntryType::Regular);
    match format {
        "gnu" => {
            let name = [path.as_bytes(), b"\0"].concat();
            let long = header(name.len(), tar::EntryType::GNULongName);
            append(builder, long, "././@LongLink", &name);
            append(builder, file, &path[..99], bytes);
        }
        "pax" => {
            builder
                .append_pax_extensions([("path", path.as_bytes())])
                .expect("write to memory");
            append(builder, file, "short", bytes);
        }
        _ => {
            let mut file = file;
            file.set_path(path).expect(path);
            file.set_cksum();
            builder.append(&file, bytes).expect("write to memory");
        }
    }
}

#[test]
fn long_paths_are_read_in_every_format() {
    let module = module();
    // A ustar header has space for 255 bytes, if there is a slash at the right position.
    let directory = format!("{}/{}", "d".repeat(80), "e".repeat(60));
    let (path, plugin) = (
        format!("{directory}/a.wasm"),
        format!("{directory}/plugin.wasm"),
    );
    let manifest = format!("module: {path}\n");
    for format in ["ustar", "gnu", "pax"] {
        let mut builder = tar::Builder::new(Vec::new());
        append_long(&mut builder, format, &path, &module);
        let file = header(manifest.len(), tar::EntryType::Regular);
        append(&mut builder, file, "manifest.yaml", manifest.as_bytes());
        append_long(&mut builder, format, &plugin, &module);
        let report = check_tar(&builder.into_inner().expect("write to memory"));
        let (istio, maistra) = (format!("accepts {plugin}"), format!("accepts {path}"));
        assert_verdicts(format, &report, &istio, &maistra);
    }
}

#[test]
fn headers_of_every_format_are_read() {
    let module = module();
    for (format, magic) in [
        ("v7", &b"\0\0\0\0\0\0\0\0"[..]),
        ("ustar", b"ustar\x0000"),
        ("gnu", b"ustar  \0"),
    ] {
        let mut tar = three_files();
        for start in [0, 1024, 2048] {
            tar[start + 257..start + 265].copy_from_slice(magic);
            tar[start + 156] = if format == "v7" { 0 } else { b'0' };
            tar[start + 148..start + 156].fill(b' ');
            let sum: u32 = tar[start..start + 512]
                .iter()
                .map(|byte| u32::from(*byte))
                .sum();
            tar[start + 148..start + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        assert_verdicts(format, &check_tar(&tar), ISTIO, MAISTRA);
    }
    // A global pax header is not a file.
    let mut builder = tar::Builder::new(Vec::new());
    let comment = b"18 comment=a text\n";
    let global = header(comment.len(), tar::EntryType::XGlobalHeader);
    append(&mut builder, global, "pax_global_header", comment);
    for (name, bytes) in [
        ("a.wasm", &module[..]),
        ("manifest.yaml", MANIFEST),
        ("plugin.wasm", &module),
    ] {
        let file = header(bytes.len(), tar::EntryType::Regular);
        append(&mut builder, file, name, bytes);
    }
    let tar = builder.into_inner().expect("write to memory");
    assert_verdicts("pax", &check_tar(&tar), ISTIO, MAISTRA);
}

/// GNU tar with `--sparse` writes entries that Go's reader supports, but podman does not unpack.
#[test]
fn sparse_files_of_gnu_tar_are_read_by_istio_only() {
    let module = module();
    for last in [&b""[..], &[0; 1024]] {
        let mut sparse = tar::Header::new_gnu();
        sparse.set_entry_type(tar::EntryType::GNUSparse);
        sparse.set_mode(0o644);
        sparse.set_size(module.len() as u64);
        let gnu = sparse.as_gnu_mut().expect("GNU");
        let octal = |field: &mut [u8], value: usize| {
            field.copy_from_slice(format!("{value:011o}\0").as_bytes());
        };
        let end = module.len() + last.len();
        octal(&mut gnu.realsize, end);
        octal(&mut gnu.sparse[0].offset, 0);
        octal(&mut gnu.sparse[0].numbytes, module.len());
        octal(&mut gnu.sparse[1].offset, end);
        octal(&mut gnu.sparse[1].numbytes, 0);
        let mut builder = tar::Builder::new(Vec::new());
        append(&mut builder, sparse, "plugin.wasm", &module);
        let mut tar = builder.into_inner().expect("write to memory");
        tar.truncate(1024);
        tar.extend(three_files());
        let report = check_tar(&tar);
        // A module with trailing zeros is invalid.
        let istio = if last.is_empty() { ISTIO } else { "rejects" };
        assert_verdicts("sparse", &report, istio, "rejects");
        assert!(
            reasons(&report, "maistra")[0].contains("is a sparse file"),
            "{report}"
        );
    }
}

#[test]
fn sparse_files_of_pax_archives_are_not_checked() {
    let module = module();
    let mut builder = tar::Builder::new(Vec::new());
    let length = module.len().to_string();
    let map = format!("0,{length}");
    builder
        .append_pax_extensions([
            ("GNU.sparse.name", &b"plugin.wasm"[..]),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.map", map.as_bytes()),
            ("GNU.sparse.size", length.as_bytes()),
        ])
        .expect("write to memory");
    let file = header(module.len(), tar::EntryType::Regular);
    append(&mut builder, file, "GNUSparseFile.1/plugin.wasm", &module);
    for (name, bytes) in [("a.wasm", &module[..]), ("manifest.yaml", MANIFEST)] {
        let file = header(bytes.len(), tar::EntryType::Regular);
        append(&mut builder, file, name, bytes);
    }
    let report = check_tar(&builder.into_inner().expect("write to memory"));
    assert_verdicts("pax", &report, "not checked", MAISTRA);
}

#[test]
fn entry_of_an_unknown_type_is_read_by_istio_only() {
    let module = module();
    for kind in [b'7', b'Z'] {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in [("a.wasm", &module[..]), ("manifest.yaml", MANIFEST)] {
            let file = header(bytes.len(), tar::EntryType::Regular);
            append(&mut builder, file, name, bytes);
        }
        let other = header(module.len(), tar::EntryType::new(kind));
        append(&mut builder, other, "plugin.wasm", &module);
        let report = check_tar(&builder.into_inner().expect("write to memory"));
        assert_verdicts(
            &format!("type {}", char::from(kind)),
            &report,
            ISTIO,
            "rejects",
        );
    }
}

#[test]
fn istio_stops_reading_after_the_module() {
    let module = module();
    let plugin_first = tar(&[
        ("plugin.wasm", &module),
        ("a.wasm", &module),
        ("manifest.yaml", MANIFEST),
    ]);
    let plugin_last = three_files();
    let cut = |tar: &[u8], length: usize| tar[..length].to_vec();
    let damaged = |tar: &[u8]| {
        let mut tar = tar.to_vec();
        tar[1024 + 150] ^= 1;
        tar
    };
    let lone_zeros = |tar: &[u8]| [&tar[..1024], &[0; 512], &tar[1024..]].concat();
    for (case, tar, istio, maistra) in [
        ("no end", cut(&plugin_first, 3 * 1024), ISTIO, MAISTRA),
        ("no end", cut(&plugin_last, 3 * 1024), ISTIO, MAISTRA),
        (
            "cut in the last file",
            cut(&plugin_first, 2 * 1024 + 520),
            ISTIO,
            "rejects",
        ),
        (
            "cut in the last file",
            cut(&plugin_last, 2 * 1024 + 520),
            "rejects",
            "rejects",
        ),
        ("damaged header", damaged(&plugin_first), ISTIO, "rejects"),
        (
            "damaged header",
            damaged(&plugin_last),
            "rejects",
            "rejects",
        ),
        (
            "one block of zeros",
            lone_zeros(&plugin_first),
            ISTIO,
            "rejects",
        ),
        (
            "one block of zeros",
            lone_zeros(&plugin_last),
            "rejects",
            "rejects",
        ),
        (
            "more after the end",
            [&plugin_first[..], ERROR_PAGE].concat(),
            ISTIO,
            MAISTRA,
        ),
    ] {
        assert_verdicts(case, &check_tar(&tar), istio, maistra);
    }
    for (case, bytes) in [
        (
            "cut gzip",
            cut(&gzip(&plugin_first), gzip(&plugin_first).len() - 9),
        ),
        (
            "garbage after gzip",
            [gzip(&plugin_first), b"garbage".to_vec()].concat(),
        ),
        (
            "zeros after gzip",
            [gzip(&plugin_first), vec![0; 100]].concat(),
        ),
    ] {
        let report = check_layers(OCI_MANIFEST, &[(OCI_GZIP, bytes)]);
        assert_verdicts(case, &report, ISTIO, "rejects");
    }
}

/// Istio and Envoy Gateway read at most 256 MiB of the unpacked layer.
#[test]
fn module_beyond_256_mib_is_not_read_by_istio() {
    const LIMIT: u64 = 256 * 1024 * 1024;
    let module = module();
    let length = module.len() as u64;
    for (padding, istio) in [(0, ISTIO), (1, "rejects")] {
        // The module ends at the limit, or after it. Its header and the other file come before it.
        let before = (LIMIT - length - 1024) / 512 * 512 + padding * 512;
        let mut layer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(&mut layer);
        for (name, size, bytes) in [
            ("data", before, &[][..]),
            ("plugin.wasm", length, &module),
            ("a.wasm", length, &module),
            ("manifest.yaml", MANIFEST.len() as u64, MANIFEST),
        ] {
            let mut file = header(0, tar::EntryType::Regular);
            file.set_size(size);
            file.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            file.set_cksum();
            let zeros = std::io::repeat(0).take(size - bytes.len() as u64);
            builder
                .append(&file, bytes.chain(zeros))
                .expect("write to memory");
        }
        builder.into_inner().expect("write to memory");
        let layer = layer.finish().expect("write to memory");
        let report = check_layers(OCI_MANIFEST, &[(OCI_GZIP, layer)]);
        assert_verdicts(&format!("{padding}"), &report, istio, MAISTRA);
    }
}
