use std::fs;

use tempfile::TempDir;

use super::*;

const MANIFEST: &str = "\
schemaVersion: 1
name: my-filter
description: Does something
version: 1.2.3
phase: PostAuthN
priority: 10
module: extension.wasm
";

const MAISTRA: &str = "\
apiVersion: maistra.io/v1
kind: ServiceMeshExtension
metadata:
  name: my-filter
spec:
  image: registry.example/team/my-filter:1.2.3
  phase: PostAuthN
  priority: 10
  config:
    a: b
";

const ISTIO: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: my-filter
spec:
  url: oci://registry.example/team/my-filter:1.2.3
  phase: AUTHZ
  priority: 10
  pluginConfig:
    a: b
";

const TRAFFIC_EXTENSION: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata:
  name: my-filter
spec:
  phase: AUTHZ
  priority: 10
  wasm:
    url: oci://registry.example/team/my-filter:1.2.3
    pluginConfig:
      a: b
";

const ENVOY_GATEWAY: &str = "\
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
metadata:
  name: my-filter
spec:
  wasm:
    - name: my-filter
      code:
        type: Image
        image:
          url: registry.example/team/my-filter:1.2.3
      config:
        a: b
";

const ENVOY: &str = "\
static_resources:
  listeners:
    - filter_chains:
        - filters:
            - typed_config:
                http_filters:
                  - name: any name
                    typed_config:
                      '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        name: my-filter
                        vm_config:
                          code:
                            local: { filename: target/image/extension.wasm }
                          capability_restriction_config:
                            allowed_capabilities:
                              proxy_log: {}
                              proxy_get_buffer_bytes: {}
                              proxy_on_configure: {}
                        configuration:
                          '@type': type.googleapis.com/google.protobuf.StringValue
                          value: text
";

/// Logs its configuration, and accepts it if `$accepts` says so.
const MODULE: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_buffer_bytes"
      (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $buffer
        (i32.const 7) (i32.const 0) (local.get 1) (i32.const 16) (i32.const 20)))
      (drop (call $log
        (i32.const 4) (i32.load (i32.const 16)) (i32.load (i32.const 20))))
      $accepts))"#;

/// A project with these files and the files of its image.
fn project(accepts: bool, files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let image = directory.path().join("target/image");
    for path in ["deploy", "target/image"] {
        fs::create_dir_all(directory.path().join(path)).expect("a directory");
    }
    let text = MODULE.replace("$accepts", &format!("i32.const {}", u8::from(accepts)));
    let module = wat::parse_str(text).expect("a module");
    for name in ["extension.wasm", "plugin.wasm"] {
        fs::write(image.join(name), &module).expect("a file");
    }
    fs::write(image.join("manifest.yaml"), MANIFEST).expect("a file");
    fs::write(directory.path().join("manifest.yaml"), MANIFEST).expect("a file");
    for (path, text) in files {
        fs::write(directory.path().join(path), text).expect("a file");
    }
    directory
}

fn report(directory: &TempDir) -> Report {
    let project = ProjectDescription {
        root: directory.path(),
        image_root: &directory.path().join("target/image"),
        name: "my-filter",
        version: "1.2.3",
        description: Some("Does something"),
    };
    check_project(&project, &CheckOptions::default())
}

fn lines(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

/// The findings for a file under `deploy/` in which `from` is replaced by `to`.
#[track_caller]
fn findings(text: &str, from: &str, to: &str) -> Vec<String> {
    assert!(text.contains(from), "{from}");
    let changed = text.replacen(from, to, 1);
    let directory = project(true, &[("deploy/a.yaml", &changed)]);
    lines(&report(&directory))
}

#[test]
fn files_that_agree_are_listed() {
    let old = MAISTRA
        .replace("/v1\n", "/v1alpha1\n")
        .replace("config:\n    a: b", "config: text");
    let directory = project(
        true,
        &[
            ("deploy/envoy.yaml", ENVOY),
            ("deploy/envoy-gateway.yaml", ENVOY_GATEWAY),
            ("deploy/istio.yml", ISTIO),
            ("deploy/maistra.yaml", MAISTRA),
            ("deploy/maistra-2.0.yaml", &old),
            ("deploy/traffic.yaml", TRAFFIC_EXTENSION),
        ],
    );
    let report = report(&directory);
    assert_eq!(lines(&report), [""; 0]);
    assert_eq!(
        report
            .project
            .map(|project| project.files)
            .unwrap_or_default(),
        [
            "deploy/envoy-gateway.yaml",
            "deploy/envoy.yaml",
            "deploy/istio.yml",
            "deploy/maistra-2.0.yaml",
            "deploy/maistra.yaml",
            "deploy/traffic.yaml",
        ]
    );
}

#[test]
fn other_files_and_missing_files_are_ignored() {
    let directory = project(
        true,
        &[
            ("deploy/service.yaml", "apiVersion: v1\nkind: Service\n"),
            (
                "deploy/values.yaml",
                "image: any\n---\n- a list\n---\ntext\n",
            ),
            ("deploy/empty.yaml", ""),
            ("deploy/notes.md", "{{ no YAML"),
        ],
    );
    fs::create_dir(directory.path().join("deploy/a.yaml")).expect("a directory");
    let with_others = report(&directory);
    assert_eq!(lines(&with_others), [""; 0]);
    assert_eq!(with_others.project, Some(ProjectFacts::default()));
    fs::remove_dir_all(directory.path().join("deploy")).expect("a directory");
    assert_eq!(lines(&report(&directory)), [""; 0]);
}

#[test]
fn manifest_is_compared_with_the_package() {
    for (from, to, finding) in [
        (
            "name: my-filter",
            "name: other",
            "error: manifest.yaml:2:7: name is \"other\", but \"my-filter\" in Cargo.toml; write \
             name: my-filter",
        ),
        (
            "version: 1.2.3",
            "version: 1.2.4",
            "error: manifest.yaml:4:10: version is \"1.2.4\", but \"1.2.3\" in Cargo.toml; write \
             version: 1.2.3",
        ),
        (
            "Does something",
            "Does more",
            "warning: manifest.yaml:3:14: description is \"Does more\", but \"Does something\" in \
             Cargo.toml; write the same in both: the image gets the one in manifest.yaml",
        ),
    ] {
        let directory = project(true, &[("manifest.yaml", &MANIFEST.replacen(from, to, 1))]);
        assert_eq!(lines(&report(&directory)), [finding]);
    }
    // The name and the version are optional.
    let short = MANIFEST
        .replace("name: my-filter\n", "")
        .replace("version: 1.2.3\n", "");
    let directory = project(true, &[("manifest.yaml", &short)]);
    assert_eq!(lines(&report(&directory)), [""; 0]);
}

#[test]
fn project_error_is_reported_for_no_consumer() {
    let directory = project(
        true,
        &[(
            "deploy/a.yaml",
            &ISTIO.replace("name: my-filter", "name: other"),
        )],
    );
    let report = report(&directory);
    assert_eq!(report.project_errors(), 1);
    assert!(report.consumers.iter().all(|verdict| verdict.accepts));
    let text = report.to_string();
    assert!(text.contains("\nProject:       1 error above\n"), "{text}");
}

#[test]
fn names_are_compared() {
    for (text, from, place) in [
        (MAISTRA, "name: my-filter", "4:9: metadata.name"),
        (ISTIO, "name: my-filter", "4:9: metadata.name"),
        (TRAFFIC_EXTENSION, "name: my-filter", "4:9: metadata.name"),
        (ENVOY_GATEWAY, "name: my-filter", "4:9: metadata.name"),
        (ENVOY_GATEWAY, "- name: my-filter", "7:13: name"),
        (ENVOY, "name: my-filter", "11:31: name"),
    ] {
        let to = from.replace("my-filter", "other");
        assert_eq!(
            findings(text, from, &to),
            [format!(
                "error: deploy/a.yaml:{place} is \"other\", but Cargo.toml has the name \
                 \"my-filter\"; write name: my-filter"
            )]
        );
    }
}

#[test]
fn images_are_compared() {
    for (text, place) in [
        (MAISTRA, "6:10"),
        (ISTIO, "6:8"),
        (TRAFFIC_EXTENSION, "9:10"),
        (ENVOY_GATEWAY, "11:16"),
    ] {
        for (from, to, problem) in [
            (
                "team/my-filter",
                "team/other",
                "the image's repository ends in \"other\", but Cargo.toml has the name \
                 \"my-filter\"",
            ),
            (
                "my-filter:1.2.3",
                "my-filter:1.2.2",
                "the image's tag is \"1.2.2\", but Cargo.toml has the version \"1.2.3\"",
            ),
            (
                "registry.example/team/my-filter:1.2.3",
                "registry.example:5000/my-filter",
                "the image has neither tag nor digest, but Cargo.toml has the version \"1.2.3\"",
            ),
        ] {
            assert_eq!(
                findings(text, from, to),
                [format!(
                    "error: deploy/a.yaml:{place}: {problem}; write …/my-filter:1.2.3"
                )]
            );
        }
        for reference in [
            "my-filter@sha256:0000",
            "localhost:5000/my-filter:1.2.3",
            "my-filter:1.2.3@sha256:0000",
        ] {
            let found = findings(text, "registry.example/team/my-filter:1.2.3", reference);
            assert_eq!(found, [""; 0], "{reference}");
        }
    }
}

#[test]
fn each_mesh_has_its_own_scheme() {
    assert_eq!(
        findings(ISTIO, "oci://", ""),
        [
            "warning: deploy/a.yaml:6:8: url has no scheme, which Istio 1.26 rejects; write \
             oci://registry.example/team/my-filter:1.2.3"
        ]
    );
    for url in ["https://files.example/a.wasm", "file:///a.wasm"] {
        let image = "oci://registry.example/team/my-filter:1.2.3";
        assert_eq!(findings(ISTIO, image, url), [""; 0]);
    }
    assert_eq!(
        findings(MAISTRA, "image: ", "image: oci://"),
        [
            "error: deploy/a.yaml:6:10: image is \"oci://registry.example/team/my-filter:1.2.3\", \
             which podman cannot pull; write it without a scheme"
        ]
    );
    assert_eq!(findings(ENVOY_GATEWAY, "url: ", "url: oci://"), [""; 0]);
}

#[test]
fn order_of_extensions_is_compared() {
    let phase = "but manifest.yaml has PostAuthN";
    let priority = "but manifest.yaml has 10; write priority: 10";
    for (text, from, to, finding) in [
        (
            MAISTRA,
            "phase: PostAuthN",
            "phase: PreAuthN",
            format!("7:10: phase is \"PreAuthN\", {phase}; write phase: PostAuthN"),
        ),
        (
            MAISTRA,
            "priority: 10",
            "priority: 1",
            format!("8:13: priority is 1, {priority}"),
        ),
        (
            ISTIO,
            "phase: AUTHZ",
            "phase: AUTHN",
            format!("7:10: phase is \"AUTHN\", {phase}, which is AUTHZ here; write phase: AUTHZ"),
        ),
        (
            ISTIO,
            "  phase: AUTHZ\n",
            "",
            format!("6:3: phase is missing, {phase}, which is AUTHZ here; write phase: AUTHZ"),
        ),
        (
            ISTIO,
            "  priority: 10\n",
            "",
            format!("6:3: priority is missing, {priority}"),
        ),
        (
            TRAFFIC_EXTENSION,
            "priority: 10",
            "priority: -1",
            format!("7:13: priority is -1, {priority}"),
        ),
    ] {
        assert_eq!(
            findings(text, from, to),
            [format!("error: deploy/a.yaml:{finding}")]
        );
    }
    // Maistra takes a missing priority from the manifest.
    assert_eq!(
        findings(
            MAISTRA,
            "  priority: 10
",
            ""
        ),
        [""; 0]
    );
}

#[test]
fn default_phase_is_optional() {
    let manifest = MANIFEST.replace("PostAuthN", "PostStats");
    let text = ISTIO.replace("  phase: AUTHZ\n", "");
    let directory = project(
        true,
        &[("manifest.yaml", &manifest), ("deploy/a.yaml", &text)],
    );
    assert_eq!(lines(&report(&directory)), [""; 0]);
}

#[test]
fn priority_is_required_also_if_it_is_zero() {
    let manifest = MANIFEST.replace("priority: 10", "priority: 0");
    let text = ISTIO.replace("  priority: 10\n", "");
    let directory = project(
        true,
        &[("manifest.yaml", &manifest), ("deploy/a.yaml", &text)],
    );
    assert_eq!(
        lines(&report(&directory)),
        [
            "error: deploy/a.yaml:6:3: priority is missing, but manifest.yaml has 0; write priority: 0"
        ]
    );
}

#[test]
fn filename_for_envoy_must_be_the_module() {
    assert_eq!(
        findings(ENVOY, "image/extension.wasm", "image/other.wasm"),
        [
            "error: deploy/a.yaml:14:48: filename is \"target/image/other.wasm\", but \
             manifest.yaml has the module \"extension.wasm\"; write a path that ends in \
             extension.wasm"
        ]
    );
    assert_eq!(findings(ENVOY, "target/image/", "/etc/envoy/"), [""; 0]);
    assert_eq!(findings(ENVOY, "target/image/", "target/my").len(), 1);
}

#[test]
fn file_that_envoy_would_not_find_is_a_warning() {
    let directory = project(true, &[("deploy/a.yaml", ENVOY)]);
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(directory.path().join("target"), &elsewhere).expect("renamed");
    let project = ProjectDescription {
        root: directory.path(),
        image_root: &elsewhere.join("image"),
        name: "my-filter",
        version: "1.2.3",
        description: None,
    };
    let report = check_project(&project, &CheckOptions::default());
    let module = elsewhere.join("image/extension.wasm");
    assert_eq!(
        lines(&report),
        [format!(
            "warning: deploy/a.yaml:14:48: filename is \"target/image/extension.wasm\", which is not a \
             file in this project; write {}",
            module.display()
        )]
    );
    let absolute = ENVOY.replace("target/image", "/etc/envoy");
    fs::write(directory.path().join("deploy/a.yaml"), absolute).expect("a file");
    assert_eq!(
        lines(&check_project(&project, &CheckOptions::default())),
        [""; 0]
    );
}

#[test]
fn capabilities_that_the_module_needs_must_be_allowed() {
    let lacks = "allowed_capabilities lacks proxy_log";
    let found = findings(ENVOY, "proxy_log: {}", "proxy_done: {}");
    assert!(
        found.len() == 1 && found[0].starts_with("error: deploy/a.yaml:17:31: "),
        "{found:?}"
    );
    assert!(found[0].contains(lacks), "{found:?}");
    // Before Envoy 1.40, beside vm_config.
    let restriction = "                          capability_restriction_config:
                            allowed_capabilities:
                              proxy_log: {}
                              proxy_get_buffer_bytes: {}
                              proxy_on_configure: {}
";
    let older = "                        capability_restriction_config:
                          allowed_capabilities: { proxy_on_configure: {}, proxy_get_buffer_bytes: {} }
";
    let found = findings(ENVOY, restriction, older);
    assert!(found.len() == 1 && found[0].contains(lacks), "{found:?}");
    for empty in [
        "",
        &older.replace("proxy_on_configure: {}, proxy_get_buffer_bytes: {}", ""),
    ] {
        assert_eq!(findings(ENVOY, restriction, empty), [""; 0]);
    }
}

#[test]
fn extension_is_found_by_name_among_others() {
    let two = ENVOY_GATEWAY.replace(
        "  wasm:\n",
        "  wasm:\n    - name: another\n      code: { type: Image, image: { url: a.example/another:9 } }\n",
    );
    assert_eq!(
        findings(
            &two,
            "metadata:\n  name: my-filter",
            "metadata:\n  name: both"
        ),
        [""; 0]
    );
    let finding = "none of its 2 Wasm extensions has the name \"my-filter\" of Cargo.toml";
    let found = findings(&two, "    - name: my-filter", "    - name: other");
    assert!(found.len() == 1 && found[0].contains(finding), "{found:?}");

    let directory = project(
        true,
        &[(
            "deploy/all.yaml",
            &format!("{ISTIO}---\n{MAISTRA}---\nkind: Other\n"),
        )],
    );
    let both = report(&directory);
    assert_eq!(lines(&both), [""; 0]);
    assert_eq!(both.project.map(|project| project.files.len()), Some(1));
}

#[test]
fn file_that_is_not_yaml_is_an_error() {
    let directory = project(true, &[("deploy/a.yaml", "a: 1\na: 2\n")]);
    let found = lines(&report(&directory));
    assert!(
        found.len() == 1 && found[0].starts_with("error: deploy/a.yaml:2:1: it is not YAML: "),
        "{found:?}"
    );
    fs::write(directory.path().join("deploy/a.yaml"), [0xff]).expect("a file");
    let found = lines(&report(&directory));
    assert!(
        found.len() == 1 && found[0].contains("cannot be read"),
        "{found:?}"
    );
    fs::write(
        directory.path().join("deploy/a.yaml"),
        " ".repeat((1 << 20) + 1),
    )
    .expect("a file");
    let found = lines(&report(&directory));
    assert!(
        found.len() == 1 && found[0].contains("is longer than"),
        "{found:?}"
    );
}

#[test]
fn repeated_aliases_are_an_error() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    let directory = project(true, &[("deploy/a.yaml", &bomb)]);
    let found = lines(&report(&directory));
    assert!(
        found.len() == 1 && found[0].contains("it is not YAML"),
        "{found:?}"
    );
}

#[test]
fn configuration_of_another_kind_is_an_error() {
    for (text, from, to, finding) in [
        (
            MAISTRA,
            "config:\n    a: b",
            "config: text",
            "9:11: config is \"text\", but maistra.io/v1 requires an object; write keys and values",
        ),
        (
            MAISTRA,
            "maistra.io/v1\n",
            "maistra.io/v1alpha1\n",
            "10:5: config is an object, but maistra.io/v1alpha1 requires a string; write a \
             string in quotes: plain text, or the object as JSON",
        ),
        (
            ISTIO,
            "pluginConfig:\n    a: b",
            "pluginConfig: [a]",
            "9:17: pluginConfig is a list, but Istio requires an object; write keys and values",
        ),
    ] {
        assert_eq!(
            findings(text, from, to),
            [format!("error: deploy/a.yaml:{finding}")]
        );
    }
}

#[cfg(feature = "trial")]
mod trials {
    use super::*;

    /// The configuration that a module receives from a file in which `from` is replaced by `to`,
    /// and the place in the finding.
    #[track_caller]
    fn received(text: &str, from: &str, to: &str) -> (String, String) {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        let directory = project(false, &[("deploy/a.yaml", &changed)]);
        let found = lines(&report(&directory));
        let parts = match found.as_slice() {
            [finding] => finding
                .strip_prefix("error: deploy/a.yaml:")
                .and_then(|rest| rest.strip_suffix("; write a configuration that it accepts"))
                .and_then(|rest| {
                    rest.split_once(": the module rejects the configuration; it logs ")
                }),
            _ => None,
        };
        let (place, logged) = parts.unwrap_or_else(|| panic!("{found:?}"));
        // The log is quoted as Rust writes a string.
        let logged: String = serde_json::from_str(logged).unwrap_or_else(|_| logged.to_owned());
        (place.to_owned(), logged)
    }

    #[track_caller]
    fn assert_received(text: &str, from: &str, to: &str, place: &str, expected: &str) {
        let (found, logged) = received(text, from, to);
        assert_eq!((found.as_str(), logged.as_str()), (place, expected), "{to}");
    }

    #[test]
    fn each_mesh_passes_the_configuration_in_its_own_form() {
        const OBJECT: &str = "{ b: [1, 1.0, 0.5, true, yes, null, 'yes'], a: {} }";
        const JSON: &str = r#"{"a":{},"b":[1,1,0.5,true,true,null,"yes"]}"#;
        let maistra = "config:\n    a: b";
        let istio = "pluginConfig:\n    a: b";
        let nested = "pluginConfig:\n      a: b";
        let gateway = "config:\n        a: b";
        for (text, from, key, column) in [
            (MAISTRA, maistra, "config", "9:11"),
            (ISTIO, istio, "pluginConfig", "9:17"),
            (TRAFFIC_EXTENSION, nested, "pluginConfig", "10:19"),
            (ENVOY_GATEWAY, gateway, "config", "12:15"),
        ] {
            let to = format!("{key}: {OBJECT}");
            assert_received(text, from, &to, column, JSON);
        }
        // An empty object.
        assert_received(MAISTRA, maistra, "config: {}", "9:11", "{}");
        assert_received(ISTIO, istio, "pluginConfig: {}", "9:17", "");
        assert_received(TRAFFIC_EXTENSION, nested, "pluginConfig: {}", "10:19", "");
        assert_received(ENVOY_GATEWAY, gateway, "config: {}", "12:15", "{}");
        // Nothing.
        assert_received(MAISTRA, maistra, "", "6:3", "null");
        assert_received(ISTIO, istio, "", "6:3", "");
        assert_received(ENVOY_GATEWAY, gateway, "", "7:7", "");
        // Text.
        assert_received(
            ENVOY_GATEWAY,
            gateway,
            "config: a text",
            "12:15",
            "\"a text\"",
        );
        let old = MAISTRA.replace("maistra.io/v1\n", "maistra.io/v1alpha1\n");
        assert_received(&old, maistra, "config: a text", "9:11", "a text");
        assert_received(&old, maistra, "config: '{\"a\": 1}'", "9:11", "{\"a\": 1}");
        assert_received(&old, maistra, "", "6:3", "");
    }

    #[test]
    fn envoy_passes_the_value_of_a_message() {
        const STRING: &str = "google.protobuf.StringValue
                          value: text";
        let at = "21:27";
        let message = |name: &str, value: &str| {
            format!("google.protobuf.{name}\n                          value: {value}")
        };
        assert_received(ENVOY, STRING, &message("StringValue", "'{}'"), at, "{}");
        assert_received(
            ENVOY,
            STRING,
            &message("BytesValue", "YSB0ZXh0"),
            at,
            "a text",
        );
        assert_received(ENVOY, STRING, &message("Struct", "{}"), at, "");
        // The encoded `Struct`: field 1 is an entry, with the key as field 1 and the value as field
        // 2, in which field 3 is a string. The finding lacks the first byte, the tag of field 1: it
        // is a line break, which is trimmed.
        let (_, encoded) = received(ENVOY, STRING, &message("Struct", "{ a: b }"));
        assert_eq!(encoded, r#""\u{8}\n\u{1}a\u{12}\u{3}\u{1a}\u{1}b""#);
        assert_received(ENVOY, "configuration:", "other:", "11:25", "");
    }

    #[test]
    fn message_that_envoy_cannot_read_is_an_error() {
        const STRING: &str = "StringValue\n                          value: text";
        for (to, problem) in [
            (
                "StringValue\n                          value: { a: b }",
                "error: deploy/a.yaml:21:27: the value of the configuration is not a string; \
                 write it in quotes",
            ),
            (
                "BytesValue\n                          value: '?'",
                "error: deploy/a.yaml:21:27: the value of the configuration is not base64: ",
            ),
            (
                "Duration\n                          value: 1s",
                "warning: deploy/a.yaml:21:27: the configuration is not tried: its type is \
                 \"google.protobuf.Duration\"; ",
            ),
        ] {
            let found = findings(ENVOY, STRING, to);
            assert!(
                found.len() == 1 && found[0].starts_with(problem),
                "{found:?}"
            );
        }
    }

    #[test]
    fn module_that_does_not_start_is_not_configured() {
        let directory = project(false, &[("deploy/a.yaml", ISTIO)]);
        let broken = MODULE.replace(
            "(memory",
            "(func (export \"_initialize\") unreachable) (memory",
        );
        let module = wat::parse_str(broken.replace("$accepts", "i32.const 0")).expect("a module");
        for name in ["extension.wasm", "plugin.wasm"] {
            let path = directory.path().join("target/image").join(name);
            fs::write(path, &module).expect("a file");
        }
        let report = report(&directory);
        let found = lines(&report);
        assert!(
            found.len() == 1 && found[0].contains("_initialize traps"),
            "{found:?}"
        );
        assert!(report.consumers.iter().all(|verdict| !verdict.accepts));
    }
}

mod schema;
