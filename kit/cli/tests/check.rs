//! `cargo proxy-wasm check` with modules and images of every kind.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use proxy_wasm_check::{self as check, Report};
use proxy_wasm_image::{Annotations, Package};

const MANIFEST: &str = "schemaVersion: 1\nname: a\nphase: PreStats\npriority: 1\nmodule: a.wasm\n";

/// Small modules with the imports and exports of the SDKs for C++, Go and AssemblyScript.
const CPP: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
    (memory (export "memory") 4)
    (func (export "_initialize"))
    (func (export "malloc") (param i32) (result i32) i32.const 0)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) i32.const 0)
    (func (export "proxy_on_delete") (param i32)))"#;
const GO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "_start"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)
    (func (export "proxy_abi_version_0_2_0"))
    (func (export "proxy_on_tick") (param i32)))"#;
const ASSEMBLY_SCRIPT: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start"))
    (func (export "malloc") (param i32) (result i32) i32.const 0)
    (func (export "proxy_abi_version_0_2_0"))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1))"#;

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect(text)
}

/// The findings for a module, without their place.
fn of_module(text: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let module = directory.path().join("a.wasm");
    fs::write(&module, wasm(text)).expect("a file");
    let place = format!("{}: ", module.display());
    lines(&check::check(&module, None))
        .iter()
        .map(|line| line.replace(&place, ""))
        .collect()
}

fn lines(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_module(from: &str, to: &str, findings: &[&str]) {
    assert!(CPP.contains(from), "{from}");
    assert_eq!(of_module(&CPP.replacen(from, to, 1)), findings);
}

/// A directory with the files of an image's root.
fn root(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (path, bytes) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
    directory
}

fn command(arguments: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"))
        .arg("check")
        .args(arguments)
        .arg(path)
        .output()
        .expect("the command")
}

#[test]
fn modules_of_every_sdk_pass() {
    for text in [CPP, GO, ASSEMBLY_SCRIPT] {
        assert_eq!(of_module(text), Vec::<String>::new());
    }
}

#[test]
fn abi_version_is_checked() {
    const REMEDY: &str = "build it with a Proxy-Wasm SDK for ABI 0.2.1";
    assert_module(
        r#"(func (export "proxy_abi_version_0_2_1"))"#,
        "",
        &[&format!(
            "error: it exports no proxy_abi_version_…, so no proxy loads it; {REMEDY}"
        )],
    );
    assert_eq!(
        of_module(&ASSEMBLY_SCRIPT.replacen("version_0_2_0", "version_0_1_0", 1)),
        [format!(
            "warning: it uses ABI 0.1.0, which 0.2.0 replaced in 2020; proxies still load it; \
             {REMEDY}"
        )],
    );
    assert_module(
        "version_0_2_1",
        "version_0_3_0",
        &[&format!(
            "error: it uses ABI \"0.3.0\", which no proxy supports; {REMEDY}"
        )],
    );
    assert_module(
        r#"(func (export "proxy_abi_version_0_2_1"))"#,
        r#"(func (export "proxy_abi_version_0_2_1") (export "proxy_abi_version_0_2_0"))"#,
        &[
            "warning: it exports the markers of 2 ABI versions; export only one \
             proxy_abi_version_…: each proxy selects one by its own rule",
        ],
    );
}

#[test]
fn missing_or_wrong_export_is_reported() {
    assert_module(
        r#"(memory (export "memory") 4)"#,
        "(memory 4)",
        &[
            "error: it exports no memory; export its memory as \"memory\": the proxy passes all data \
             through it",
        ],
    );
    assert_module(
        r#"(func (export "malloc") (param i32) (result i32) i32.const 0)"#,
        "",
        &[
            "error: it exports neither malloc nor proxy_on_memory_allocate; export one of them: \
             the proxy passes headers and configuration through it",
        ],
    );
    assert_module(
        r#"(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) i32.const 0)"#,
        r#"(func (export "proxy_on_response_headers") (param i32 i32) (result i32) i32.const 0)"#,
        &[
            "error: its export proxy_on_response_headers is (i32, i32) -> i32, but proxies call \
             it as (i32, i32, i32) -> i32; build it with an SDK for ABI 0.2.1",
        ],
    );
    assert_module(
        r#"(func (export "proxy_on_delete") (param i32))"#,
        "",
        &[
            "warning: it exports proxy_on_context_create without proxy_on_delete; export both: \
             proxy_on_delete frees what proxy_on_context_create allocates",
        ],
    );
    assert_eq!(
        of_module(
            r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
                (func (export "malloc") (param i32) (result i32) i32.const 0))"#
        ),
        [
            "warning: it exports no callback, so a proxy never calls it; export a proxy_on_… \
             function for each event that it handles"
        ]
    );
}

#[test]
fn import_that_no_proxy_offers_is_an_error_with_its_cause() {
    for (module, name, advice) in [
        (
            "env",
            "abort",
            "compile AssemblyScript with --use abort=abort_proc_exit",
        ),
        (
            "env",
            "getrandom",
            "remove the call, or link the library that defines it",
        ),
        (
            "wasi_snapshot_preview1",
            "proc_raise",
            "remove the code that calls it: a proxy offers only a part of WASI preview 1",
        ),
        (
            "wasi:cli/stdout@0.2.0",
            "get-stdout",
            "compile for WASI preview 1 or without WASI: proxies do not support later versions",
        ),
        (
            "__wbindgen_placeholder__",
            "__wbindgen_throw",
            "remove the crate for browsers (wasm-bindgen); cargo tree -i wasm-bindgen shows what \
             depends on it",
        ),
    ] {
        let import = format!("(module (import \"{module}\" \"{name}\" (func))");
        assert_module(
            "(module",
            &import,
            &[&format!(
                "error: it imports \"{module}.{name}\", which no proxy offers; {advice}"
            )],
        );
    }
    assert_module(
        r#""proxy_log" (func (param i32 i32 i32) (result i32))"#,
        r#""proxy_log" (func (param i32 i32 i32))"#,
        &[
            "error: it imports env.proxy_log as (i32, i32, i32), but proxies offer it as (i32, \
             i32, i32) -> i32; build it with an SDK for ABI 0.2.1",
        ],
    );
    assert_module(
        r#"(memory (export "memory") 4)"#,
        r#"(import "env" "memory" (memory 4)) (export "memory" (memory 0))"#,
        &[
            "warning: it imports \"env.memory\" as a memory, which only V8 offers; let the module \
             define it and export it (no --import-memory, no --import-table)",
        ],
    );
}

#[test]
fn only_the_first_of_many_wrong_imports_are_listed() {
    let imports: String = (0..5_000)
        .map(|number| format!("(import \"env\" \"f{number}\" (func))"))
        .collect();
    let findings = of_module(&CPP.replacen("(module", &format!("(module {imports}"), 1));
    assert_eq!(findings.len(), 21);
    assert_eq!(
        findings[20],
        "error: 4980 more imports have such errors; fix the ones above first"
    );
}

#[test]
fn proposal_that_some_proxies_lack_and_large_memory_are_reported() {
    assert_module(
        r#"(memory (export "memory") 4)"#,
        r#"(memory (export "memory") 4) (func (param externref))"#,
        &[
            "error: it needs the proposal reference-types (V8 9.6), so these releases reject \
             it: Envoy 1.20 and older, Istio 1.12 and older, and every release of Maistra with \
             ServiceMeshExtension; to run it there, encode it again with the short form of \
             call_indirect, as cargo proxy-wasm shrink and wasm-opt do (rejected by maistra)",
        ],
    );
    assert_module(
        r#"(memory (export "memory") 4)"#,
        r#"(memory (export "memory") 4) (func v128.const i32x4 0 0 0 0 drop)"#,
        &[
            "warning: it needs the proposal simd (V8 9.1), so these releases reject it: Envoy 1.18 \
             and older, and Maistra 2.1 and older; to run it there, compile without this feature",
        ],
    );
    assert_module(
        r#"(memory (export "memory") 4)"#,
        r#"(memory (export "memory") 4) (func $f return_call $f)"#,
        &[
            "error: it needs the proposal tail-calls (V8 11.2), so these releases reject it: Envoy 1.34 \
             and older, Istio 1.26 and older, Envoy Gateway 1.4 and older, and every release of \
             Maistra with ServiceMeshExtension; to run it there, compile without this feature \
             (rejected by maistra)",
        ],
    );
    assert_module(
        r#""memory") 4"#,
        r#""memory") 257"#,
        &[
            "warning: it starts with 16842752 bytes of memory; reduce it (a smaller stack, less \
             static data): each worker thread of a proxy has its own VM",
        ],
    );
}

#[test]
fn invalid_module_is_an_error() {
    let directory = root(&[
        ("a.wasm", b"\0asm\x01\0\0\0\xff"),
        ("manifest.yaml", MANIFEST.as_bytes()),
    ]);
    let findings = lines(&check::check(&directory.path().join("a.wasm"), None));
    assert!(
        findings[0].contains("a.wasm: it is not valid WebAssembly: ")
            && findings[0].ends_with("; compile it again for wasm32, as a core module"),
        "{findings:?}"
    );
}

#[test]
fn module_is_checked_without_its_manifest() {
    let directory = root(&[("b.wasm", &wasm(CPP)), ("manifest.yaml", b"no manifest")]);
    let module = directory.path().join("b.wasm");
    let report = check::check(&module, None);
    assert_eq!(lines(&report), Vec::<String>::new());
    assert!(report.consumers.iter().all(|verdict| verdict.accepts));

    let findings = lines(&check::check(&module, Some(Path::new("/no/manifest"))));
    assert_eq!(
        findings,
        [
            "error: /no/manifest: cannot be read: No such file or directory (os error 2); pass a \
             manifest.yaml with --manifest, or leave the option out (rejected by maistra)"
        ]
    );
    let manifest = directory.path().join("m.yaml");
    fs::write(&manifest, MANIFEST).expect("a file");
    let findings = lines(&check::check(&module, Some(&manifest)));
    assert_eq!(
        findings,
        [format!(
            "warning: {}: module is \"a.wasm\", but the checked module is \"b.wasm\"; make sure \
             that the image has the module under the name in the manifest",
            manifest.display()
        )]
    );
}

#[test]
fn image_root_must_have_three_files_and_no_others() -> Result<()> {
    let module = wasm(CPP);
    let good: [(&str, &[u8]); 3] = [
        ("a.wasm", &module),
        ("manifest.yaml", MANIFEST.as_bytes()),
        ("plugin.wasm", &module),
    ];
    let report = check::check(root(&good).path(), None);
    assert_eq!(lines(&report), Vec::<String>::new());
    let reads: Vec<_> = report
        .consumers
        .iter()
        .map(|verdict| (verdict.name, verdict.since, verdict.reads.as_deref()))
        .collect();
    assert_eq!(
        reads,
        [
            ("envoy", Some("1.17"), Some("a.wasm")),
            ("istio", Some("1.12"), Some("plugin.wasm")),
            ("envoy-gateway", Some("1.1"), Some("plugin.wasm")),
            ("maistra", Some("2.1"), Some("a.wasm")),
        ]
    );
    assert_eq!(report.module.context("no module")?.bytes, module.len());

    let without = |name: &str| {
        let rest: Vec<_> = good.iter().copied().filter(|file| file.0 != name).collect();
        let report = check::check(root(&rest).path(), None);
        assert!(report.is_accepted(), "{report}");
        lines(&report)
    };
    assert_eq!(
        without("a.wasm"),
        [
            "error: a.wasm: it is missing; add it: Maistra reads the module there (rejected by \
             maistra)"
        ]
    );
    assert_eq!(
        without("manifest.yaml"),
        [
            "error: manifest.yaml: it is missing; add it: Maistra reads it first (rejected by \
             maistra)"
        ]
    );
    assert_eq!(
        without("plugin.wasm"),
        [
            "error: plugin.wasm: it is missing; add it: Istio and Envoy Gateway read the module \
             there (rejected by istio, envoy-gateway)"
        ]
    );

    let directory = root(&good);
    fs::write(directory.path().join("plugin.wasm"), wasm(GO))?;
    fs::write(directory.path().join("notes.txt"), "")?;
    assert_eq!(
        lines(&check::check(directory.path(), None)),
        [
            "warning: plugin.wasm: it is not the same module as a.wasm; make both the same: \
             Maistra runs a.wasm, and Istio and Envoy Gateway run plugin.wasm",
            "warning: \"notes.txt\": no proxy or mesh reads it; leave it out of the image",
        ]
    );
    Ok(())
}

#[cfg(unix)]
#[test]
fn link_in_place_of_a_file_is_an_error() -> Result<()> {
    let module = wasm(CPP);
    let directory = root(&[("a.wasm", &module), ("manifest.yaml", MANIFEST.as_bytes())]);
    std::os::unix::fs::symlink("a.wasm", directory.path().join("plugin.wasm"))?;
    assert_eq!(
        lines(&check::check(directory.path(), None)),
        [
            "error: plugin.wasm: is a link to \"a.wasm\"; put a file in its place: Istio and Envoy \
             Gateway read the module there, and do not follow links (rejected by istio, \
             envoy-gateway)"
        ]
    );
    Ok(())
}

#[test]
fn archive_and_layout_are_read_like_the_directory() -> Result<()> {
    let module = wasm(CPP);
    let staged = root(&[
        ("a.wasm", &module),
        ("manifest.yaml", MANIFEST.as_bytes()),
        ("plugin.wasm", &module),
    ]);
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("image.tar");
    let package = Package::compat(staged.path(), &Annotations::new())?;
    fs::write(&archive, package.to_archive("localhost/a:1")?)?;
    let layout = directory.path().join("layout");
    tar::Archive::new(File::open(&archive)?).unpack(&layout)?;
    let expected = check::check(staged.path(), None);
    for path in [&archive, &layout] {
        let report = check::check(path, None);
        assert_eq!(lines(&report), Vec::<String>::new());
        assert_eq!(report.consumers, expected.consumers);
        assert_eq!(report.module, expected.module);
    }
    Ok(())
}

#[test]
fn path_that_is_not_an_image_is_an_error() -> Result<()> {
    const REMEDY: &str = "pass a directory, an OCI layout or archive, or a .wasm file";
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("image.tar");
    let finding = |path: &Path| lines(&check::check(path, None)).join("\n");
    assert_eq!(
        finding(&path),
        format!(
            "error: {}: cannot be read: No such file or directory (os error 2); {REMEDY}",
            path.display()
        )
    );
    fs::write(&path, vec![b'x'; 2048])?;
    assert!(finding(&path).contains("it is not a complete tar archive"));
    fs::write(&path, "")?;
    assert!(finding(&path).contains("index.json is missing"));

    let mut docker = tar::Builder::new(File::create(&path)?);
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    docker.append_data(&mut header, "manifest.json", &b"[]"[..])?;
    docker.into_inner()?;
    assert!(finding(&path).contains("manifest.json has no images"));
    Ok(())
}

#[test]
fn command_fails_unless_the_required_consumers_accept() -> Result<()> {
    let module = wasm(CPP);
    let directory = root(&[
        ("a.wasm", &module),
        ("manifest.yaml", MANIFEST.as_bytes()),
        ("plugin.wasm", &module),
        ("notes.txt", b""),
    ]);
    const ALL: &str = "envoy,istio,envoy-gateway,maistra";
    let output = command(&["--for", ALL], directory.path());
    let text = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{text}");
    assert!(text.contains("warning: \"notes.txt\""), "{text}");
    assert!(text.ends_with("Checked: 0 errors, 1 warning\n"), "{text}");

    // Without --for, one mesh is enough.
    fs::remove_file(directory.path().join("plugin.wasm"))?;
    let output = command(&[], directory.path());
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout)?.contains("error: plugin.wasm: it is missing"));
    for (arguments, message) in [
        (&["--for", "maistra"][..], ""),
        (
            &["--for", ALL],
            "error: check failed: not accepted by istio, envoy-gateway: 1 error\n",
        ),
        (
            &["--for", "maistra", "--for", "istio"],
            "error: check failed: not accepted by istio: 1 error\n",
        ),
    ] {
        let output = command(arguments, directory.path());
        assert_eq!(String::from_utf8(output.stderr)?, message);
        assert_eq!(output.status.code(), Some(i32::from(!message.is_empty())));
    }

    fs::remove_file(directory.path().join("manifest.yaml"))?;
    let output = command(&[], directory.path());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr)?;
    assert!(text.contains("check failed: no mesh accepts it"), "{text}");
    let output = command(&["--for", "linkerd"], directory.path());
    assert_eq!(output.status.code(), Some(2));
    Ok(())
}

#[test]
fn report_can_be_json() -> Result<()> {
    let directory = root(&[
        ("a.wasm", &wasm(CPP)),
        ("manifest.yaml", MANIFEST.as_bytes()),
    ]);
    let output = command(&["--format", "json", "--for", "istio"], directory.path());
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let finding = &json["findings"][0];
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["where"], "plugin.wasm");
    assert_eq!(finding["what"], "it is missing");
    const HOW: &str = "add it: Istio and Envoy Gateway read the module there";
    assert_eq!(finding["how"], HOW);
    assert_eq!(json["module"]["abi"][0], "0.2.1");
    assert_eq!(json["module"]["memory"], 262_144);
    assert_eq!(json["consumers"].as_array().context("not a list")?.len(), 4);
    assert_eq!(
        json["consumers"][1],
        serde_json::json!({
            "name": "istio", "accepts": false, "since": null, "until": null, "reads": null,
            "reasons": [format!("plugin.wasm: it is missing; {HOW}")],
        })
    );
    assert_eq!(
        json["consumers"][3],
        serde_json::json!({
            "name": "maistra", "accepts": true, "since": "2.1", "until": "2.2", "reads": "a.wasm",
            "reasons": [],
        })
    );
    let callbacks = json["module"]["callbacks"]
        .as_array()
        .context("not a list")?;
    assert_eq!(callbacks.len(), 3);
    Ok(())
}

#[test]
fn modules_of_every_sdk_are_packaged() -> Result<()> {
    for text in [CPP, GO, ASSEMBLY_SCRIPT] {
        let module = wasm(text);
        let staged = root(&[
            ("a.wasm", &module),
            ("manifest.yaml", MANIFEST.as_bytes()),
            ("plugin.wasm", &module),
        ]);
        let directory = tempfile::tempdir()?;
        for (variant, file) in [
            ("compat", "a-latest.oci.tar"),
            ("oci", "a-latest-wasm.oci.tar"),
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"))
                .current_dir(directory.path())
                .args(["image", "--engine", "none", "--variant", variant, "--from"])
                .arg(staged.path())
                .output()?;
            assert!(output.status.success(), "{output:?}");
            let report = check::check(&directory.path().join(file), None);
            assert!(report.accepts("istio"), "{report}");
            assert_eq!(report.accepts("maistra"), variant == "compat");
            assert_eq!(report.module.context("no module")?.bytes, module.len());
        }
    }
    Ok(())
}

#[test]
fn image_with_errors_is_not_packaged() -> Result<()> {
    let staged = root(&[("a.wasm", b"text"), ("manifest.yaml", MANIFEST.as_bytes())]);
    let directory = tempfile::tempdir()?;
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"))
        .current_dir(directory.path())
        .args(["image", "--engine", "none", "--from"])
        .arg(staged.path())
        .output()?;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("error: plugin.wasm: it is missing"), "{text}");
    assert_eq!(fs::read_dir(directory.path())?.count(), 0);
    Ok(())
}

#[test]
fn capabilities_are_printed_as_envoy_configuration() -> Result<()> {
    let directory = root(&[("a.wasm", &wasm(CPP)), ("b.wasm", b"text")]);
    let output = command(&["--capabilities"], &directory.path().join("a.wasm"));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout)?,
        "# Envoy 1.40 and later:
vm_config:
  capability_restriction_config:
    allowed_capabilities:
      fd_write: {}
      proc_exit: {}
      proxy_log: {}
      proxy_on_context_create: {}
      proxy_on_response_headers: {}
      proxy_on_delete: {}

# Envoy 1.39 and older, beside vm_config:
capability_restriction_config:
  allowed_capabilities:
    fd_write: {}
    proc_exit: {}
    proxy_log: {}
    proxy_on_context_create: {}
    proxy_on_response_headers: {}
    proxy_on_delete: {}
"
    );
    let output = command(&["--capabilities"], &directory.path().join("b.wasm"));
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    Ok(())
}
