//! YAML with line and column, as Kubernetes and Envoy read it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};

/// The maximum number of values in anchors, and of values that aliases repeat.
const MAX_REPLAYED: usize = 100_000;

/// A value, and where it begins. Lines and columns begin with one.
#[derive(Clone, Debug)]
pub struct Node {
    pub line: u64,
    pub column: u64,
    pub value: NodeValue,
}

#[derive(Clone, Debug)]
pub enum NodeValue {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Reads the documents of a file. An error is a place in the file and a problem.
pub fn documents(file: &str, text: &str) -> Result<Vec<Node>, (String, String)> {
    let mut options = serde_saphyr::Options::default();
    if let Some(budget) = &mut options.budget {
        budget.max_recorded_anchor_events = MAX_REPLAYED;
    }
    options.alias_limits.max_total_replayed_events = MAX_REPLAYED;
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = match error.location() {
            Some(at) => format!("{file}:{}:{}", at.line(), at.column()),
            None => file.to_owned(),
        };
        let problem = UserMessageFormatter.format_message(error.without_snippet());
        (place, problem.into_owned())
    })
}

impl Node {
    /// The value at a path of keys.
    pub fn get(&self, path: &[&str]) -> Option<&Node> {
        let [key, rest @ ..] = path else {
            return Some(self);
        };
        let (_, value) = self.map().iter().find(|(other, _)| other == key)?;
        value.get(rest)
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a map. Other values have none.
    pub fn map(&self) -> &[(String, Node)] {
        match &self.value {
            NodeValue::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list. Other values have none.
    pub fn list(&self) -> &[Node] {
        match &self.value {
            NodeValue::List(items) => items,
            _ => &[],
        }
    }

    /// Whether it is not `null`.
    pub fn is_set(&self) -> bool {
        !matches!(self.value, NodeValue::Null)
    }

    pub fn is_map(&self) -> bool {
        matches!(self.value, NodeValue::Map(_))
    }

    /// A string or a number, as written.
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            NodeValue::Text(text) => Some(text.clone()),
            NodeValue::Integer(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// Whether it is this string or number.
    pub fn is(&self, expected: &str) -> bool {
        self.scalar().is_some_and(|scalar| scalar == expected)
    }

    /// Where it is in a file: `FILE:LINE:COLUMN`.
    pub fn place(&self, file: &str) -> String {
        format!("{file}:{}:{}", self.line, self.column)
    }
}

/// Displays a scalar. Lists and maps are displayed by their kind.
impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match &self.value {
            NodeValue::Null => formatter.write_str("empty"),
            NodeValue::Bool(value) => write!(formatter, "{value}"),
            NodeValue::Integer(value) => write!(formatter, "{value}"),
            NodeValue::Float(value) => write!(formatter, "{value}"),
            NodeValue::Text(text) => formatter.write_str(&crate::report::excerpt(text)),
            NodeValue::List(_) => formatter.write_str("a list"),
            NodeValue::Map(_) => formatter.write_str("an object"),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<NodeValue>::deserialize(deserializer)?;
        Ok(Self {
            line: spanned.referenced.line(),
            column: spanned.referenced.column(),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for NodeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = NodeValue;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<NodeValue, E> {
        Ok(NodeValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<NodeValue, E> {
        Ok(NodeValue::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<NodeValue, E> {
        Ok(NodeValue::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<NodeValue, E> {
        Ok(NodeValue::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<NodeValue, E> {
        Ok(NodeValue::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<NodeValue, E> {
        Ok(NodeValue::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NodeValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(NodeValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<NodeValue, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(NodeValue::Map(map))
    }
}
