//! What operators write.
//!
//! The first character that is not white space decides how a configuration is read:
//!
//! | it begins with | it is |
//! |---|---|
//! | nothing | the default: `custom-header` with this extension's name |
//! | `{` | a JSON object: header name → value, or name → array of values |
//! | `"` | a JSON string: the value of `custom-header` |
//! | `[` | an error |
//! | anything else | plain text: the value of `custom-header` |

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

#[cfg(test)]
mod tests;

const DEFAULT_NAME: &str = "custom-header";
/// The extension's own name, for whoever asks which filter added the header.
const DEFAULT_VALUE: &str = env!("CARGO_PKG_NAME");

/// Headers that frame or route a message: a second one would break it (RFC 9110, RFC 9112).
const RESERVED_NAMES: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An accepted configuration: the headers to append, in the order in which they were written.
#[derive(Debug, PartialEq)]
pub struct Config {
    headers: Vec<(Name, Value)>,
}

impl Config {
    /// Reads what the proxy hands over.
    ///
    /// # Errors
    ///
    /// A sentence for the operator: what is wrong, where, and how to mend it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("not UTF-8 ({error}); save it as UTF-8 text"))?;
        match text.trim_start().chars().next() {
            None => Ok(Self::default()),
            Some('{') => serde_json::from_str(text).map_err(|error| error.to_string()),
            Some('"') => serde_json::from_str(text)
                .map(Self::with_value)
                .map_err(|error| error.to_string()),
            Some('[') => Err(format!(
                "a JSON array has no header names; write an object: {{\"{DEFAULT_NAME}\": \"value\"}}"
            )),
            Some(_) => Value::new(text.trim()).map(Self::with_value),
        }
    }

    /// The headers to append, in order: name, value.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.0.as_str(), value.0.as_str()))
    }

    fn with_value(value: Value) -> Self {
        Self {
            headers: vec![(Name(DEFAULT_NAME.to_owned()), value)],
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::with_value(Value(DEFAULT_VALUE.to_owned()))
    }
}

/// The names of the headers, for the log.
impl fmt::Display for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        if self.headers.is_empty() {
            return formatter.write_str("nothing");
        }
        for (index, (name, _)) in self.headers().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{name}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ConfigVisitor)
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Config;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object of header names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Config, A::Error> {
        let mut headers = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(name) = object.next_key::<Name>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom(format_args!(
                    "header {} is written twice (names ignore case); put its values in one array",
                    excerpt(&name.0)
                )));
            }
            let Values(values) = object.next_value()?;
            headers.extend(values.into_iter().map(|value| (name.clone(), value)));
        }
        Ok(Config { headers })
    }
}

/// A header's name, in the lower case that HTTP/2 requires (RFC 9113, 8.2.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name(String);

impl Name {
    fn new(name: &str) -> Result<Self, String> {
        let lower = name.to_ascii_lowercase();
        let problem = if lower.is_empty() {
            "is empty; write a header's name"
        } else if lower.starts_with(':') {
            "is a pseudo-header, which only the proxy sets; remove it"
        } else if !lower.bytes().all(is_token_character) {
            "is no header name; use letters, digits, - and _ only"
        } else if RESERVED_NAMES.contains(&lower.as_str()) {
            "frames or routes the message and can't be appended; remove it"
        } else {
            return Ok(Self(lower));
        };
        Err(format!("{} {problem}", excerpt(name)))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(&name).map_err(de::Error::custom)
    }
}

/// A header's value, without the white space around it, which HTTP does not count as part of it
/// (RFC 9110, 5.5).
#[derive(Debug, PartialEq)]
struct Value(String);

impl Value {
    fn new(value: &str) -> Result<Self, String> {
        let value = value.trim_matches([' ', '\t']);
        match value.chars().find(|&c| c.is_control() && c != '\t') {
            Some(control) => Err(format!(
                "the value holds the control character U+{:04X}, which can't stand in a header; remove it",
                u32::from(control)
            )),
            None => Ok(Self(value.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ValueVisitor)
    }
}

struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a header's value (write it in quotes)")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Value::new(value).map_err(E::custom)
    }
}

/// One value, or an array of them: one header line each.
struct Values(Vec<Value>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a header's value (write it in quotes) or an array of values")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Values, E> {
        ValueVisitor
            .visit_str(value)
            .map(|value| Values(vec![value]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Values, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element()? {
            values.push(value);
        }
        Ok(Values(values))
    }
}

/// `tchar` of RFC 9110, 5.6.2.
fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An operator's text, quoted for an error: escaped, and no longer than a log line can take.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
