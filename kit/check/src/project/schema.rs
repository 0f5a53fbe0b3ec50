//! The fields of a resource, and the values that they can have.

use super::compare::Comparison;
use crate::similar::nearest;
use crate::yaml::{Node, NodeValue};

/// The values that a field can have.
#[derive(Debug)]
pub enum Schema {
    /// Any value. It is compared in another place, or the mesh passes it on unchanged.
    Any,
    Text,
    Boolean,
    Integer {
        min: i128,
        max: i128,
    },
    /// One of these strings.
    Enum(&'static [&'static str]),
    List(&'static Schema),
    /// An object with any keys, whose values have this schema.
    Map(&'static Schema),
    Object(ObjectSchema),
}

/// The fields of an object.
#[derive(Debug)]
pub struct ObjectSchema {
    pub fields: &'static [(&'static str, Schema)],
    pub required: &'static [&'static str],
    /// Fields of which only one may be present.
    pub exclusive: &'static [&'static str],
}

impl ObjectSchema {
    /// An object with these fields, all of which are optional.
    pub const fn new(fields: &'static [(&'static str, Schema)]) -> Self {
        Self {
            fields,
            required: &[],
            exclusive: &[],
        }
    }

    /// Makes these fields required.
    pub const fn require(mut self, names: &'static [&'static str]) -> Self {
        self.required = names;
        self
    }

    /// Allows only one of these fields to be present.
    pub const fn exclude(mut self, names: &'static [&'static str]) -> Self {
        self.exclusive = names;
        self
    }
}

/// Compares a resource of Kubernetes with the schema of its `spec`.
pub fn compare_resource(comparison: &mut Comparison, kind: &str, document: &Node, spec: &Schema) {
    const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    for (name, value) in document.map() {
        if !FIELDS.contains(&name.as_str()) {
            unknown(comparison, kind, (name, name, value), &FIELDS);
        }
    }
    match document.get(&["spec"]) {
        Some(node) => compare(comparison, kind, "spec", node, spec),
        None => comparison.error(
            document,
            format!("spec is missing, which {kind} requires"),
            "add it",
        ),
    }
}

/// Compares a value with its schema. `path` is that of the value in its resource, of this kind.
fn compare(comparison: &mut Comparison, kind: &str, path: &str, node: &Node, schema: &Schema) {
    // Kubernetes drops a field that is null.
    if !node.is_set() {
        return;
    }
    let wanted = match (schema, &node.value) {
        (Schema::Any, _)
        | (Schema::Text, NodeValue::Text(_))
        | (Schema::Boolean, NodeValue::Bool(_)) => {
            return;
        }
        (Schema::Integer { min, max }, NodeValue::Integer(value))
            if (min..=max).contains(&value) =>
        {
            return;
        }
        (Schema::Enum(values), NodeValue::Text(text)) if values.contains(&text.as_str()) => return,
        (Schema::List(schema), NodeValue::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                compare(comparison, kind, &format!("{path}[{index}]"), item, schema);
            }
            return;
        }
        (Schema::Map(schema), NodeValue::Map(entries)) => {
            for (key, value) in entries {
                compare(comparison, kind, &format!("{path}.{key}"), value, schema);
            }
            return;
        }
        (Schema::Object(object), NodeValue::Map(entries)) => {
            fields(comparison, kind, path, (node, entries), object);
            return;
        }
        (Schema::Text, _) => "a string; write it in quotes".to_owned(),
        (Schema::Boolean, _) => "a boolean; write true or false".to_owned(),
        (Schema::Integer { min, max }, _) => {
            format!("an integer; write one from {min} to {max}")
        }
        (Schema::Enum(values), _) => format!("one of a few values; write {}", values.join(" or ")),
        (Schema::List(_), _) => "a list; write each item after a dash".to_owned(),
        (Schema::Map(_) | Schema::Object(_), _) => "an object; write keys and values".to_owned(),
    };
    let (what, how) = wanted.split_once("; ").unwrap_or((&wanted, ""));
    comparison.error(
        node,
        format!("{path} is {node}, but {kind} requires {what}"),
        how,
    );
}

fn fields(
    comparison: &mut Comparison,
    kind: &str,
    path: &str,
    (node, entries): (&Node, &[(String, Node)]),
    object: &ObjectSchema,
) {
    let child = |name: &str| format!("{path}.{name}");
    for (name, value) in entries {
        if let Some((_, schema)) = object.fields.iter().find(|(known, _)| known == name) {
            compare(comparison, kind, &child(name), value, schema);
            continue;
        }
        let known: Vec<_> = object.fields.iter().map(|(name, _)| *name).collect();
        unknown(comparison, kind, (name, &child(name), value), &known);
    }
    let has = |name: &&&str| node.get(&[name]).is_some_and(Node::is_set);
    for name in object.required.iter().filter(|name| !has(name)) {
        let problem = format!("{} is missing, which {kind} requires", child(name));
        comparison.error(node, problem, "add it");
    }
    let exclusive: Vec<_> = object.exclusive.iter().filter(has).copied().collect();
    if exclusive.len() > 1 {
        comparison.error(
            node,
            format!("{kind} takes only one of {}", exclusive.join(" and ")),
            "remove the other",
        );
    }
}

/// Reports a field, by its name and its path, that is not among the known ones.
fn unknown(
    comparison: &mut Comparison,
    kind: &str,
    (name, path, value): (&str, &str, &Node),
    known: &[&str],
) {
    let remedy = match nearest(name, known) {
        Some(known) => format!("write {known}"),
        None => "remove it, unless a newer release of the mesh has it".to_owned(),
    };
    comparison.warning(value, format!("{kind} has no field {path}"), remedy);
}
