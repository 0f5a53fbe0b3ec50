use super::*;

const VALID: &str = "schemaVersion: 1\nname: a\ndescription: b\nversion: 1.0.0\n\
                     phase: PreStats\npriority: -3\nmodule: extension.wasm\n";

fn error(from: &str, to: &str) -> String {
    assert!(VALID.contains(from));
    let text = VALID.replace(from, to);
    Manifest::parse(&text).expect_err(&text).to_string()
}

#[test]
fn valid_manifest_is_parsed() -> Result<()> {
    let manifest = Manifest::parse(VALID)?;
    assert_eq!(manifest.phase, Phase::PreStats);
    assert_eq!(manifest.priority, -3);
    assert_eq!(manifest.module, "extension.wasm");
    Ok(())
}

#[test]
fn metadata_is_optional() {
    let text = VALID.replace("name: a\ndescription: b\nversion: 1.0.0\n", "");
    let manifest = Manifest::parse(&text).expect("valid without metadata");
    let annotations = manifest.annotations();
    assert_eq!(annotations.keys().collect::<Vec<_>>(), [VARIANT]);
}

#[test]
fn error_names_the_missing_key() {
    for (line, key) in [
        ("schemaVersion: 1\n", "schemaVersion"),
        ("phase: PreStats\n", "phase"),
        ("priority: -3\n", "priority"),
        ("module: extension.wasm\n", "module"),
    ] {
        let error = error(line, "");
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn error_has_line_and_column_of_the_invalid_value() {
    assert_eq!(
        error("schemaVersion: 1", "schemaVersion: 2"),
        "manifest.yaml: schemaVersion is 2; write 1, the only version of this format"
    );
    assert_eq!(
        error("PreStats", "Sometimes"),
        "manifest.yaml:5:8: unknown variant `Sometimes`, expected one of PreAuthN, PostAuthN, \
         PreAuthZ, PostAuthZ, PreStats, PostStats"
    );
    assert_eq!(
        error("-3", "soon"),
        "manifest.yaml:6:11: priority is not an integer from -2147483648 to 2147483647; write one"
    );
    assert!(error("name: a", "nmae: a").starts_with("manifest.yaml:2:1: unknown field `nmae`"));
    assert!(error("name: a", "name: a\nname: b").contains("name"));
    assert!(error("name: a", "name: [").starts_with("manifest.yaml:"));
}

#[test]
fn module_outside_the_image_is_rejected() {
    for path in [
        "/extension.wasm",
        "../extension.wasm",
        "a/../../b",
        "a/",
        "''",
    ] {
        assert!(error("extension.wasm", path).contains("relative"), "{path}");
    }
}

#[test]
fn error_names_the_manifest_file() {
    let missing = Manifest::read(Path::new("no/manifest.yaml")).expect_err("no file");
    assert!(
        missing
            .to_string()
            .starts_with("cannot read no/manifest.yaml: ")
    );
}
