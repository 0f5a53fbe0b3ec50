//! The JSON Schema of a file with cases, for editors, and the tests that it is that of the types.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::file;
use super::format::Case;

/// Defines types that stand for those whose `Deserialize` is written by hand.
macro_rules! stand_ins {
    ($($(#[$comment:meta])* $name:ident = |$generator:pat_param| $schema:expr;)*) => {$(
        $(#[$comment])*
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

/// What a text can be.
fn text() -> Value {
    json!({"type": ["string", "integer", "boolean"]})
}

fn one_or_many(one: impl Into<Value>) -> Schema {
    let one: Value = one.into();
    json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
}

fn map_of(value: impl Into<Value>) -> Schema {
    let value: Value = value.into();
    json_schema!({"type": "object", "additionalProperties": value})
}

fn object(key: &str, value: Value) -> Value {
    json!({
        "type": "object",
        "properties": {key: value},
        "required": [key],
        "additionalProperties": false,
    })
}

/// Patterns besides a text.
fn patterns() -> Vec<Value> {
    vec![
        text(),
        object("contains", text()),
        object("matches", json!({"type": "string", "format": "regex"})),
    ]
}

fn bytes() -> Value {
    json!({"anyOf": [text(), object("base64", json!({"type": "string"}))]})
}

stand_ins! {
    Text = |_| json_schema!({"type": ["string", "integer", "boolean"]});
    Configuration = |_| json_schema!(true);
    Property = |_| json_schema!({"type": ["string", "integer", "boolean"]});
    Time = |_| json_schema!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"});
    Body = |_| one_or_many(bytes());
    Fields = |_| map_of(one_or_many(text()));
    Names = |_| one_or_many(text());
    Pattern = |_| json_schema!({"anyOf": patterns()});
    Patterns = |generator| one_or_many(generator.subschema_for::<Pattern>());
    FieldPatterns = |generator| map_of(one_or_many(generator.subschema_for::<Pattern>()));
    BodyPattern = |_| {
        let mut any = patterns();
        any.push(object("json", json!(true)));
        any.push(object("base64", json!({"type": "string"})));
        json_schema!({"anyOf": any})
    };
    Metric = |_| one_or_many(json!({"type": "integer", "minimum": 0}));
    LogLines = |generator| {
        let level = generator.subschema_for::<super::format::Level>();
        let message = generator.subschema_for::<Pattern>();
        one_or_many(json!({"anyOf": [text(), {
            "type": "object",
            "properties": {"level": level, "message": message},
            "additionalProperties": false,
        }]}))
    };
}

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
        "- {case: a, grpc_calls: [{cluster: a, answer: {status: 7, message: {base64: ''}}}]}",
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
