use super::*;
use crate::report::Severity;

const VALID: &str = "schemaVersion: 1\nname: a\ndescription: b\nversion: 1.0.0\n\
                     phase: PreStats\npriority: -3\nmodule: extension.wasm\n";

fn findings(bytes: &[u8]) -> Vec<String> {
    let mut report = Report::default();
    let module = check(&mut report, "m.yaml", bytes);
    assert_eq!(module.is_some(), report.errors() == 0, "{report}");
    for finding in &report.findings {
        let is_error = finding.severity == Severity::Error;
        let is_unknown = finding.severity == Severity::NotChecked;
        assert_eq!(finding.rejected_by == ["maistra"], is_error, "{finding}");
        assert_eq!(
            finding.not_checked_for == ["maistra"],
            is_unknown,
            "{finding}"
        );
    }
    let lines = report.findings.iter().map(ToString::to_string);
    lines
        .map(|line| line.replace(" (rejected by maistra)", ""))
        .map(|line| line.replace(" (not checked for maistra)", ""))
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
fn what_yaml_v2_does_not_read_is_an_error() {
    const PRIORITY: &str = "write a whole number from -2147483648 to 2147483647";
    assert_finding(
        "-3",
        "[1]",
        &format!("error: m.yaml:6:11: priority is not a scalar; {PRIORITY}"),
    );
    for text in [
        "high",
        "yes",
        "1 000",
        "9223372036854775808",
        "1e19",
        ".inf",
        "2006-1-2",
    ] {
        assert_finding(
            "-3",
            text,
            &format!("error: m.yaml:6:11: priority is {text:?}; {PRIORITY}"),
        );
    }
    assert_finding(
        "-3",
        "'10'",
        &format!("error: m.yaml:6:11: priority is a string, \"10\"; {PRIORITY}"),
    );
    assert_finding(
        "name: a",
        "name: [a]",
        "error: m.yaml:2:7: name is not a scalar; write a string",
    );
    for path in [".", "./", "..", "/", "a/.", "''"] {
        assert_finding(
            "extension.wasm",
            path,
            &format!(
                "error: m.yaml:7:9: module is {:?}; write a path relative to the image's root, \
                 without `..`",
                path.trim_matches('\'')
            ),
        );
    }
    for (from, to, place) in [
        ("module: extension.wasm\n", "", "m.yaml"),
        ("module: extension.wasm\n", "module:\n", "m.yaml:7:7"),
        ("module: extension.wasm\n", "module: ~\n", "m.yaml:7:9"),
        (
            "module: extension.wasm\n",
            "module: a\nmodule:\n",
            "m.yaml:8:7",
        ),
    ] {
        let found = findings(VALID.replacen(from, to, 1).as_bytes());
        let expected = format!(
            "error: {place}: module is missing; write a path relative to the image's root, without \
             `..`"
        );
        assert_eq!(found.last(), Some(&expected), "{to}");
    }
}

#[test]
fn what_some_tools_reject_is_a_warning() {
    for (from, to, finding) in [
        (
            "schemaVersion: 1",
            "schemaVersion: 2",
            "m.yaml:1:16: schemaVersion is \"2\"; Maistra ignores this key; write \
             schemaVersion: 1, the only version",
        ),
        (
            "schemaVersion: 1",
            "schemaVersion: '1'",
            "m.yaml:1:16: schemaVersion is \"1\"; Maistra ignores this key; write \
             schemaVersion: 1, the only version",
        ),
        (
            "schemaVersion: 1\n",
            "",
            "m.yaml: schemaVersion is missing; Maistra ignores this key; write schemaVersion: 1, the \
             only version",
        ),
        (
            "PreStats",
            "prestats",
            "m.yaml:5:8: phase is \"prestats\", which Maistra does not know, so the resource \
             has to set it; write one of PreAuthN, PostAuthN, PreAuthZ, PostAuthZ, PreStats, \
             PostStats",
        ),
        (
            "phase: PreStats\n",
            "",
            "m.yaml: phase is missing, so the resource in the mesh has to set it; write one of \
             PreAuthN, PostAuthN, PreAuthZ, PostAuthZ, PreStats, PostStats",
        ),
        (
            "-3",
            "",
            "m.yaml:6:9: priority is missing, so it is 0 unless the resource in the mesh sets \
             it; write a whole number from -2147483648 to 2147483647",
        ),
        (
            "-3",
            "1_0",
            "m.yaml:6:11: priority is \"1_0\", which Maistra accepts, but other tools may reject; \
             write a whole number from -2147483648 to 2147483647",
        ),
        (
            "name: a",
            "name: b\nname: a",
            "m.yaml:3:1: name occurs twice, and Maistra uses the last; keep only one",
        ),
        (
            "extension.wasm\n",
            "extension.wasm\n---\nname: b\n",
            "m.yaml: it has several documents, but Maistra reads only the first; keep one",
        ),
    ] {
        assert_finding(from, to, &format!("warning: {finding}"));
    }
    for path in [
        "/extension.wasm",
        "./extension.wasm",
        "extension.wasm/",
        "../extension.wasm",
        "a/../extension.wasm",
    ] {
        let text = VALID.replace("extension.wasm", path);
        let mut report = Report::default();
        let module = check(&mut report, "m.yaml", text.as_bytes());
        assert_eq!(module.as_deref(), Some("extension.wasm"));
        assert_eq!(
            report.findings[0].to_string(),
            format!(
                "warning: m.yaml:7:9: module is {path:?}, which Maistra reads as \
                 \"extension.wasm\"; write \"extension.wasm\""
            )
        );
    }
}

#[test]
fn module_is_read_as_yaml_v2_reads_it() {
    for text in [
        "x: &a extension.wasm\nmodule: *a\n",
        "module: other\nmodule: extension.wasm\n",
        "{'module': \"extension.wasm\"}",
        "module: |-\n  extension.wasm\n",
        "---\nmodule: extension.wasm\n...\n- not read\n",
        "%YAML 1.1\n---\nmodule: extension.wasm\n",
        "\u{feff}module: extension.wasm\r\n",
    ] {
        let mut report = Report::default();
        let module = check(&mut report, "m.yaml", text.as_bytes());
        assert_eq!(
            module.as_deref(),
            Some("extension.wasm"),
            "{text}: {report}"
        );
    }
}

#[test]
fn tab_at_the_start_of_a_line_is_an_error_except_in_quotes_and_brackets() {
    for (text, line) in [
        ("module: x\n\t", Some(2)),
        ("module: x\n\t\n", Some(2)),
        ("a: 1\n\t\nmodule: x\n", Some(2)),
        ("module: x\n\t# c\n", Some(2)),
        ("\tmodule: x\n", Some(1)),
        ("description: |\n  t\n\t\nmodule: x\n", Some(3)),
        ("{module: x}\n\t", Some(2)),
        ("module: x\n \t\n", None),
        ("module: x\n...\n\t\n", None),
        ("{module:\n\t[x],\n\t\tmodule: x\n\t}", None),
        ("description: 'a\n\t\nb'\nmodule: x\n", None),
    ] {
        let found = findings(text.as_bytes()).join("\n");
        let expected = line.map(|line| format!("error: m.yaml:{line}:1: a tab at the start"));
        match expected {
            Some(expected) => assert!(found.contains(&expected), "{text:?}: {found}"),
            None => assert!(!found.contains(": a tab"), "{text:?}: {found}"),
        }
    }
}

#[test]
fn tags_and_merge_keys_are_not_checked() {
    assert_finding(
        "name: a",
        "name: !!str a",
        "not checked: m.yaml:2:13: name has a YAML tag; write the value without a tag",
    );
    assert_finding(
        "name: a",
        "name: a\n<<: {phase: PreStats}",
        "not checked: m.yaml:3:1: it merges other mappings with <<; write the keys themselves",
    );
}

#[test]
fn numbers_are_read_as_yaml_v2_reads_them() {
    for (text, expected) in [
        ("0", true),
        ("-0", true),
        ("+5", true),
        ("1_000", true),
        ("0x10", true),
        ("0o17", true),
        ("0b101", true),
        ("-0b11", true),
        ("010", true),
        ("08", true),
        ("1.5", true),
        (".5", true),
        ("1e3", true),
        ("-1e300", true),
        ("-.inf", true),
        ("9223372036854775807", true),
        ("-9223372036854775809", true),
        ("9223372036854775808", false),
        ("99999999999999999999", false),
        ("1e19", false),
        ("1e400", false),
        (".inf", false),
        (".nan", false),
        (".", false),
        ("+", false),
        ("-", false),
        ("--1", false),
        ("0x", false),
        ("0xg", false),
        ("0x-1", false),
        ("1:30", false),
        ("inf", false),
        ("ten", false),
    ] {
        assert_eq!(is_integer(text), expected, "{text}");
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
    let parts = [
        "m.yaml:4:8: phase is not a scalar",
        "m.yaml:5:1: unknown key \"modul\"",
        "m.yaml:1:16: schemaVersion is \"one\"",
        "m.yaml:3:1: name occurs twice",
        "m.yaml: priority is missing",
        "m.yaml: module is missing",
    ];
    assert_eq!(found.len(), parts.len(), "{found:#?}");
    for (line, part) in found.iter().zip(parts) {
        assert!(line.contains(part), "{found:#?}");
    }
}

#[test]
fn name_or_version_that_an_image_cannot_have_is_a_warning() {
    assert_finding(
        "name: a",
        "name: My Filter",
        "warning: m.yaml:2:7: name is \"My Filter\", which cannot be an image's name; use lower-case \
         letters and digits, with . _ or - between them",
    );
    assert_finding(
        "version: 1.0.0",
        "version: 1.0.0+build",
        "warning: m.yaml:4:10: version is \"1.0.0+build\", which cannot be an image's tag; use \
         at most 128 letters, digits, . _ and -",
    );
    assert_finding(
        "version: 1.0.0",
        "version: 1.0",
        "warning: m.yaml:4:10: version is the number 1.0 in YAML; write it in quotes",
    );
}

#[test]
fn text_that_is_not_one_mapping_is_an_error() {
    for (text, part) in [
        (&b""[..], "schemaVersion is missing"),
        (b"# nothing\n", "schemaVersion is missing"),
        (b"~\n", "schemaVersion is missing"),
        (b"- a\n", "it is a list"),
        (b"word\n", "it is a scalar"),
        (b"a: b: c\n", "it is not YAML"),
        (b"{a: b", "it is not YAML"),
        (
            b"%YAML 1.2\n---\na: 1\n",
            "it is YAML 1.2, but Maistra reads 1.1",
        ),
        (b"a: *b\n", "it is not YAML"),
        (b"? [a]\n: b\n", "a key is not a scalar"),
        (b"caf\xe9: 1\n", "not UTF-8"),
    ] {
        let found = findings(text);
        assert!(found[0].contains(part), "{part}: {found:#?}");
    }
}

#[test]
fn hostile_text_has_a_finding() {
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
        not_checked_for: Vec::new(),
    };
    assert_eq!(finding.to_string(), "warning: here: this; that");
}
