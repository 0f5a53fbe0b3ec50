//! The fields of resources.

use super::*;

const ENVOY_FILTER: &str = "\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata:
  name: my-filter
spec:
  configPatches:
    - applyTo: EXTENSION_CONFIG
      patch:
        operation: ADD
        value:
          name: my-filter
          typed_config:
            '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
            config:
              name: my-filter
              vm_config:
                code: { remote: { http_uri: { uri: oci://registry.example/my-filter:1.2.3 } } }
              configuration:
                '@type': type.googleapis.com/google.protobuf.StringValue
                value: text
";

#[test]
fn unknown_field_gets_the_most_similar_known_one() {
    for (text, from, to, finding) in [
        (
            ISTIO,
            "  priority: 10",
            "  priority: 10\n  failstrategy: FAIL_OPEN",
            "warning: deploy/a.yaml:9:17: WasmPlugin has no field spec.failstrategy; write failStrategy",
        ),
        (
            TRAFFIC_EXTENSION,
            "  priority: 10",
            "  priority: 10\n  failStrategy: FAIL_OPEN",
            "warning: deploy/a.yaml:8:17: TrafficExtension has no field spec.failStrategy; remove it, \
             unless a newer release of the mesh has it",
        ),
        (
            ENVOY_GATEWAY,
            "          url:",
            "          tag: a\n          url:",
            "warning: deploy/a.yaml:11:16: EnvoyExtensionPolicy has no field \
             spec.wasm[0].code.image.tag; remove it, unless a newer release of the mesh has it",
        ),
        (
            MAISTRA,
            "spec:",
            "labels: {}\nspec:",
            "warning: deploy/a.yaml:5:9: ServiceMeshExtension has no field labels; remove it, unless \
             a newer release of the mesh has it",
        ),
    ] {
        assert_eq!(findings(text, from, to), [finding]);
    }
}

#[test]
fn value_of_another_type_is_an_error() {
    for (text, from, to, finding) in [
        (
            ISTIO,
            "  priority: 10",
            "  priority: 10\n  failStrategy: OPEN",
            "9:17: spec.failStrategy is \"OPEN\", but WasmPlugin requires one of a few values; write \
             FAIL_CLOSE or FAIL_OPEN or FAIL_RELOAD",
        ),
        (
            ISTIO,
            "  priority: 10",
            "  priority: 10\n  match: [{ ports: [{ number: 0 }] }]",
            "9:31: spec.match[0].ports[0].number is 0, but WasmPlugin requires an integer; write one \
             from 1 to 65535",
        ),
        (
            TRAFFIC_EXTENSION,
            "  priority: 10",
            "  priority: 10\n  selector: { matchLabels: { version: 1 } }",
            "8:39: spec.selector.matchLabels.version is 1, but TrafficExtension requires a string; \
             write it in quotes",
        ),
        (
            ENVOY_GATEWAY,
            "    - name: my-filter",
            "    - name: my-filter\n      failOpen: yes please",
            "8:17: spec.wasm[0].failOpen is \"yes please\", but EnvoyExtensionPolicy requires a boolean; write true or false",
        ),
        (
            MAISTRA,
            "  priority: 10",
            "  priority: 10\n  imagePullSecrets: my-registry",
            "9:21: spec.imagePullSecrets is \"my-registry\", but ServiceMeshExtension requires a list; write each item after a dash",
        ),
        (
            ISTIO,
            "  priority: 10",
            "  priority: 10\n  vmConfig: a",
            "9:13: spec.vmConfig is \"a\", but WasmPlugin requires an object; write keys and values",
        ),
    ] {
        let expected = format!("error: deploy/a.yaml:{finding}");
        assert_eq!(findings(text, from, to), [expected]);
    }
}

#[test]
fn required_field_that_is_missing_is_an_error() {
    for (text, from, finding) in [
        (
            MAISTRA,
            "  phase: PostAuthN\n",
            "6:3: spec.phase is missing, which ServiceMeshExtension requires; add it",
        ),
        (
            ISTIO,
            "  url: oci://registry.example/team/my-filter:1.2.3\n",
            "6:3: spec.url is missing, which WasmPlugin requires; add it",
        ),
        (
            ENVOY_GATEWAY,
            "        type: Image\n",
            "9:9: spec.wasm[0].code.type is missing, which EnvoyExtensionPolicy requires; add it",
        ),
    ] {
        let expected = format!("error: deploy/a.yaml:{finding}");
        assert_eq!(findings(text, from, ""), [expected]);
    }
    let expected = "error: deploy/a.yaml:1:1: spec is missing, which WasmPlugin requires; add it";
    let (without, _) = ISTIO.split_once("spec:").expect("a spec");
    let directory = project(true, &[("deploy/a.yaml", without)]);
    assert_eq!(lines(&report(&directory)), [expected]);
}

#[test]
fn fields_that_exclude_each_other_are_an_error() {
    let both = "  priority: 10\n  selector: {}\n  targetRefs: []";
    for (text, line) in [(ISTIO, 6), (TRAFFIC_EXTENSION, 6)] {
        let kind = if text == ISTIO {
            "WasmPlugin"
        } else {
            "TrafficExtension"
        };
        assert_eq!(
            findings(text, "  priority: 10", both),
            [format!(
                "error: deploy/a.yaml:{line}:3: {kind} takes only one of selector and targetRefs; \
                 remove the other"
            )]
        );
    }
}

#[test]
fn null_field_counts_as_missing() {
    let empty = "  priority: 10\n  selector:";
    assert_eq!(findings(ISTIO, "  priority: 10", empty), [""; 0]);
}

#[test]
fn envoy_filter_with_the_extension_is_compared() {
    assert_eq!(findings(ENVOY_FILTER, "text", "text"), [""; 0]);
    for (from, to, finding) in [
        (
            "my-filter:1.2.3",
            "my-filter:1.2.4",
            "the image's tag is \"1.2.4\"",
        ),
        (
            "metadata:\n  name: my-filter",
            "metadata:\n  name: other",
            "metadata.name is \"other\"",
        ),
        ("applyTo", "applyto", "EnvoyFilter has no field"),
        ("ADD", "APPEND", "spec.configPatches[0].patch.operation is"),
    ] {
        let findings = findings(ENVOY_FILTER, from, to);
        assert!(
            findings.iter().any(|found| found.contains(finding)),
            "{finding}: {findings:?}"
        );
    }
}

#[test]
fn envoy_filter_and_traffic_extension_without_a_module_are_left_alone() {
    for text in [
        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nspec: { other: 1 }\n",
        "apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nspec: { lua: { a: b } }\n",
    ] {
        let directory = project(true, &[("deploy/a.yaml", text)]);
        assert_eq!(lines(&report(&directory)), [""; 0]);
    }
}

#[cfg(feature = "trial")]
#[test]
fn envoy_filter_passes_its_configuration() {
    let directory = project(false, &[("deploy/a.yaml", ENVOY_FILTER)]);
    let lines = lines(&report(&directory));
    assert!(
        lines.len() == 1 && lines.iter().all(|line| line.contains("deploy/a.yaml:19:")),
        "{lines:?}"
    );
}
