//! The schema is that of the types, and accepts what the parser accepts.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cases::file;
use crate::cases::format::Case;

fn schema() -> Value {
    let mut schema: Value = schemars::schema_for!(Vec<Case>).into();
    schema["title"] = "Cases of a Proxy-Wasm extension".into();
    schema
}

/// The schema that editors use.
fn schema_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases.schema.json")
}

#[test]
fn schema_file_is_that_of_the_types() -> Result<(), Box<dyn std::error::Error>> {
    let schema = serde_json::to_string_pretty(&schema())? + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(schema_file(), &schema)?;
    }
    let written = fs::read_to_string(schema_file())?;
    assert!(
        written == schema,
        "cases.schema.json is out of date; write it again:\n\
         UPDATE=1 cargo test --features cases,wat --lib schema"
    );
    Ok(())
}

/// Whether the schema accepts a text in YAML.
fn accepts(yaml: &str) -> Result<bool, Box<dyn std::error::Error>> {
    let instance: Value = serde_saphyr::from_str(yaml)?;
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("cases.json", schema())?;
    let compiled = compiler.compile("cases.json", &mut schemas)?;
    Ok(schemas.validate(&instance, compiled).is_ok())
}

#[test]
fn schema_accepts_the_cases_of_the_recipes() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(&path)?;
            assert!(accepts(&text)?, "{}", path.display());
            file::parse(&text, &path)?;
            files += 1;
        }
    }
    assert!(files > 0, "there are no cases");
    Ok(())
}

#[test]
fn schema_and_parser_agree() -> Result<(), Box<dyn std::error::Error>> {
    let valid = [
        "- {case: a, configuration: {a: [1]}, request: {headers: {a: [1, b]}, body: [a, {base64: Yg==}]}}",
        "- {case: 1, properties: {a.b: 1}, steps: [{advance: 5s}, {configure: null}, {request: {}}]}",
        "- {case: a, expect: {log: [a, {level: warn, message: {matches: a}}], metrics: {a: [1, 2]}}}",
        "- {case: a, request: {}, expect: {response: {body: {json: [1]}, absent: x}, fuel_at_most: 1}}",
        "- {case: a, grpc_calls: [{cluster: a, response: {status: 7, message: {base64: ''}}}]}",
    ];
    for text in valid {
        assert!(accepts(text)?, "{text}");
        assert!(file::parse(text, Path::new("x.yaml")).is_ok(), "{text}");
    }
    let invalid = [
        "- {request: {}}",
        "- {case: a, reqest: {}}",
        "- {case: a, request: {headers: {a: {b: c}}}}",
        "- {case: a, request: {body: {base: a}}}",
        "- {case: a, request: {}, upstream: {failure: slow}}",
        "- {case: a, request: {}, upstream: {status: ok}}",
        "- {case: a, steps: [{advance: 5}]}",
        "- {case: a, expect: {log: {message: a, text: b}}}",
        "- {case: a, expect: {rejected: {contains: a, like: b}}}",
        "{case: a}",
    ];
    for text in invalid {
        assert!(!accepts(text)?, "{text}");
        assert!(file::parse(text, Path::new("x.yaml")).is_err(), "{text}");
    }
    Ok(())
}
