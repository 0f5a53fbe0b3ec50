use super::*;
use crate::report::Severity;

const VALID: &str = "schemaVersion: 1\nname: a\ndescription: b\nversion: 1.0.0\n\
                     phase: PreStats\npriority: -3\nmodule: extension.wasm\n";

fn findings(bytes: &[u8]) -> Vec<String> {
    let mut report = Report::default();
    let module = check(&mut report, "m.yaml", bytes);
    assert_eq!(module.is_some(), report.errors() == 0, "{report}");
    assert!(
        report.findings.iter().all(|finding| {
            (finding.severity == Severity::Error) == (finding.rejected_by == ["maistra"])
        }),
        "{report}"
    );
    let lines = report.findings.iter().map(ToString::to_string);
    lines
        .map(|line| line.replace(" (rejected by maistra)", ""))
        .collect()
}

#[track_caller]
fn assert_finding(from: &str, to: &str, finding: &str) {
    assert!(VALID.contains(from), "{from}");
    let text = VALID.replacen(from, to, 1);
    let found = findings(text.as_bytes());
    assert!(
        found.iter().any(|line| line == finding),
        "{finding}\nis not in\n{found:#?}"
    );
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[test]
fn valid_manifest_has_no_finding() {
    assert_eq!(findings(VALID.as_bytes()), Vec::<String>::new());
    let metadata = "name: a\ndescription: b\nversion: 1.0.0\n";
    assert_eq!(
        findings(VALID.replace(metadata, "").as_bytes()),
        Vec::<String>::new()
    );
}

#[test]
fn findings_have_line_and_column() {
    assert_finding(
        "schemaVersion: 1",
        "schemaVersion: 2",
        "error: m.yaml:1:16: schemaVersion is \"2\"; write schemaVersion: 1, the only one there is",
    );
    assert_finding(
        "PreStats",
        "prestats",
        "error: m.yaml:5:8: phase is \"prestats\"; write one of PreAuthN, PostAuthN, PreAuthZ, \
         PostAuthZ, PreStats, PostStats",
    );
    assert_finding(
        "-3",
        "2147483648",
        "error: m.yaml:6:11: priority is \"2147483648\"; write a whole number from -2147483648 \
         to 2147483647",
    );
    assert_finding(
        "-3",
        "[1]",
        "error: m.yaml:6:11: priority is not a plain value; write a whole number from -2147483648 \
         to 2147483647",
    );
    assert_finding(
        "-3",
        "",
        "error: m.yaml:6:9: priority is empty; write a whole number from -2147483648 to \
         2147483647",
    );
    for path in ["../a.wasm", "/../a.wasm", "a/../../b.wasm", "a/", "."] {
        assert_finding(
            "extension.wasm",
            path,
            &format!(
                "error: m.yaml:7:9: module is {path:?}; write a path relative to the image's \
                 root, without `..`"
            ),
        );
    }
}

#[test]
fn what_maistra_reads_leniently_is_a_warning() {
    assert_finding(
        "schemaVersion: 1",
        "schemaVersion: '1'",
        "warning: m.yaml:1:16: schemaVersion is a string, which Maistra accepts; write \
         schemaVersion: 1, the only one there is",
    );
    for path in ["/extension.wasm", "./extension.wasm"] {
        let text = VALID.replace("extension.wasm", path);
        let mut report = Report::default();
        let module = check(&mut report, "m.yaml", text.as_bytes());
        assert_eq!(module.as_deref(), Some("extension.wasm"));
        assert_eq!(
            report.findings[0].to_string(),
            format!(
                "warning: m.yaml:7:9: module is {path:?}, which Maistra accepts; write \
                 extension.wasm"
            )
        );
    }
}

#[test]
fn unknown_key_gets_the_most_similar_known_one() {
    for (wrong, right) in [
        ("nmae", "name"),
        ("schemaversion", "schemaVersion"),
        ("Priority", "priority"),
        ("modul", "module"),
        ("descripton", "description"),
    ] {
        let key = VALID
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| *key == right)
            .expect(right)
            .0;
        let text = VALID.replacen(&format!("{key}:"), &format!("{wrong}:"), 1);
        let found = findings(text.as_bytes()).join("\n");
        assert!(
            found.contains(&format!(
                "unknown key {wrong:?}, which Maistra ignores; write {right}"
            )),
            "{found}"
        );
    }
    let found = findings(format!("{VALID}author: me\n").as_bytes());
    assert_eq!(
        found,
        [
            "warning: m.yaml:8:1: unknown key \"author\", which Maistra ignores; remove it; the keys are schemaVersion, \
             name, description, version, phase, priority, module"
        ]
    );
}

#[test]
fn all_findings_are_reported_at_once() {
    let found = findings(b"schemaVersion: one\nname: a\nname: b\nphase: [x]\nmodul: x\n");
    assert_eq!(found.len(), 6, "{found:#?}");
    assert!(found[1].contains("m.yaml:3:1: name is written twice; keep one of them"));
    assert!(
        found[4].contains("m.yaml: priority is missing"),
        "{found:#?}"
    );
    assert!(found[5].contains("m.yaml: module is missing"), "{found:#?}");
}

#[test]
fn name_or_version_that_an_image_cannot_have_is_a_warning() {
    assert_finding(
        "name: a",
        "name: My Filter",
        "warning: m.yaml:2:7: name is \"My Filter\", which can't name an image; use lower-case \
         letters and digits, with . _ or - between them",
    );
    assert_finding(
        "version: 1.0.0",
        "version: 1.0.0+build",
        "warning: m.yaml:4:10: version is \"1.0.0+build\", which can't be an image's tag; use \
         letters, digits, . _ and - only, 128 at most",
    );
    assert_finding(
        "version: 1.0.0",
        "version: 1.0",
        "warning: m.yaml:4:10: version is the number 1.0 to YAML; write it in quotes",
    );
}

#[test]
fn text_that_is_not_one_mapping_is_an_error() {
    for (text, part) in [
        (&b""[..], "it is empty"),
        (b"# nothing\n", "it is empty"),
        (b"- a\n", "it is a list"),
        (b"word\n", "it is a single value"),
        (b"a: b: c\n", "it is not YAML"),
        (b"{a: b", "it is not YAML"),
        (b"a: 1\n---\nb: 2\n", "it holds 2 documents"),
        (b"? [a]\n: b\n", "a key is not a plain value"),
        (b"caf\xe9: 1\n", "not UTF-8"),
    ] {
        let found = findings(text);
        assert!(found[0].contains(part), "{part}: {found:#?}");
    }
}

#[test]
fn hostile_text_is_checked_in_time() {
    let deep = "[".repeat(60_000);
    let aliases = format!(
        "a: &a [x]\n{}",
        (0..2_000)
            .map(|number| format!("k{number}: &k{number} [*a, *a]\n"))
            .collect::<String>()
    );
    for text in [deep.as_str(), &aliases, &"? ".repeat(30_000)] {
        assert!(!findings(text.as_bytes()).is_empty());
    }
}

#[test]
fn finding_is_one_line_without_control_characters() {
    let found = findings(format!("{VALID}\"a\\nb\\e[2J\": 1\n").as_bytes());
    assert_eq!(found.len(), 1);
    assert!(!found[0].contains(char::is_control), "{}", found[0]);
    assert_eq!(
        found[0].split("; ").next(),
        Some("warning: m.yaml:8:1: unknown key \"a\\nb\\u{1b}[2J\", which Maistra ignores")
    );
}

#[test]
fn finding_begins_with_its_severity() {
    let finding = crate::report::Finding {
        severity: Severity::Warning,
        place: "here".to_owned(),
        problem: "this".to_owned(),
        remedy: "that".to_owned(),
        rejected_by: Vec::new(),
    };
    assert_eq!(finding.to_string(), "warning: here: this; that");
}
