//! The JSON Schema of a file with cases, for editors.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Defines types that replace, in the schema, those whose `Deserialize` is written by hand.
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

/// The schema of a string.
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

/// Patterns besides a string.
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
        let level = generator.subschema_for::<super::line::LineLevel>();
        let message = generator.subschema_for::<Pattern>();
        one_or_many(json!({"anyOf": [text(), {
            "type": "object",
            "properties": {"level": level, "message": message},
            "additionalProperties": false,
        }]}))
    };
}

mod tests;
