//! The plugin configuration.
//!
//! A byte order mark is skipped. Then the first character that is not white space decides how the
//! configuration is read:
//!
//! | first character | meaning |
//! |---|---|
//! | none | the default: `custom-header` with the name of this extension |
//! | `{` | a JSON object: header name → value, or header name → array of values |
//! | `"` | a JSON string: the value of `custom-header` |
//! | `[` | an error |
//! | any other | plain text: the value of `custom-header` |

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

#[cfg(test)]
mod tests;

const DEFAULT_NAME: &str = "custom-header";
const DEFAULT_VALUE: &str = env!("CARGO_PKG_NAME");

/// Headers that frame or route a message (RFC 9110, RFC 9112).
const FRAMING_HEADERS: [&str; 9] = [
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

/// Headers that occur at most once in a response. Envoy joins a second value with a comma.
const SINGLE_HEADERS: [&str; 13] = [
    "age",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expires",
    "grpc-message",
    "grpc-status",
    "last-modified",
    "location",
    "retry-after",
    "server",
];

/// The maximum number of characters of a name or a value that an error quotes.
const MAX_QUOTED: usize = 64;

/// A valid configuration: the headers to append, in the order in which they are written.
#[derive(Debug)]
pub struct Config {
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Config {
    /// Reads the plugin configuration.
    ///
    /// # Errors
    ///
    /// A message for the operator: what is wrong, where, and how to fix it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        if is_encoded_struct(bytes) {
            return Err(
                "this looks like an encoded protobuf message; in Envoy's configuration, \
                 use google.protobuf.StringValue instead of google.protobuf.Struct"
                    .to_owned(),
            );
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("not UTF-8: {error}; save it as UTF-8 text"))?;
        match text.trim_start().chars().next() {
            None => Ok(Self::default()),
            Some('{' | '"') => serde_json::from_str(text).map_err(describe),
            Some('[') => Err(format!(
                "a JSON array has no header names; write an object: {{\"{DEFAULT_NAME}\": \"value\"}}"
            )),
            Some(_) => HeaderValue::try_from(text.trim().to_owned()).map(Self::with_value),
        }
    }

    /// The headers to append, in order: name, value.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.0.as_str(), value.0.as_str()))
    }

    /// `custom-header` with this value.
    fn with_value(value: HeaderValue) -> Self {
        Self {
            headers: vec![(HeaderName(DEFAULT_NAME.to_owned()), value)],
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::with_value(HeaderValue(DEFAULT_VALUE.to_owned()))
    }
}

/// The names of the headers, for the log.
impl fmt::Display for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        if self.headers.is_empty() {
            return formatter.write_str("nothing");
        }
        let names: Vec<_> = self.headers().map(|(name, _)| name).collect();
        formatter.write_str(&names.join(", "))
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConfigVisitor)
    }
}

/// Written by hand, because a derived map loses the order and the duplicates in the text.
struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Config;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a string, or an object of header names and values")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Config, E> {
        let value = HeaderValue::try_from(value.to_owned()).map_err(E::custom)?;
        Ok(Config::with_value(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Config, A::Error> {
        let mut headers = Vec::new();
        let mut names = BTreeSet::new();
        while let Some(name) = object.next_key::<HeaderName>()? {
            if !names.insert(name.clone()) {
                return Err(Error::custom(format_args!(
                    "{} is written twice (case does not matter); put its values in one array",
                    quote(&name.0)
                )));
            }
            let values = match object.next_value()? {
                OneOrMany::One(value) => vec![value],
                OneOrMany::Many(values) => values,
            };
            for value in values {
                let value = HeaderValue::try_from(value).map_err(Error::custom)?;
                headers.push((name.clone(), value));
            }
        }
        Ok(Config { headers })
    }
}

/// A header's value in an object: a string, or an array with a string for each header line.
///
/// These are strings, not `HeaderValue`, because an untagged enum replaces the messages of errors
/// with its own.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a header's value must be a string or an array of strings; write it in quotes"
)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// A header's name, in the lower case that HTTP/2 requires (RFC 9113, 8.2.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct HeaderName(String);

impl TryFrom<String> for HeaderName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let lower = name.to_ascii_lowercase();
        let problem = if lower.is_empty() {
            "is empty; write a header name"
        } else if lower.starts_with(':') {
            "is a pseudo-header, which only the proxy sets; remove it"
        } else if !lower.bytes().all(is_token_character) {
            "is not a header name; use only letters, digits, - and _"
        } else if FRAMING_HEADERS.contains(&lower.as_str()) {
            "frames or routes the message and must not be appended; remove it"
        } else if SINGLE_HEADERS.contains(&lower.as_str()) {
            "may occur only once in a response and must not be appended; remove it"
        } else {
            return Ok(Self(lower));
        };
        Err(format!("{} {problem}", quote(&name)))
    }
}

/// A header's value. Leading and trailing white space is not part of it (RFC 9110, 5.5).
#[derive(Debug)]
struct HeaderValue(String);

impl TryFrom<String> for HeaderValue {
    type Error = String;

    fn try_from(value: String) -> Result<Self, String> {
        let value = value.trim_matches([' ', '\t']);
        match value.chars().find(|&c| c.is_control() && c != '\t') {
            Some(control) => Err(format!(
                "the value {} contains the control character U+{:04X}; remove it",
                quote(value),
                u32::from(control)
            )),
            None => Ok(Self(value.to_owned())),
        }
    }
}

/// `tchar` of RFC 9110, 5.6.2.
fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether this looks like a `google.protobuf.Struct`, which Envoy passes as encoded bytes.
///
/// Such a message begins with the tag of an entry (0x0A, a line feed in text), and each entry
/// contains the tag of a value (0x12, a control character that no valid configuration contains).
fn is_encoded_struct(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x0A]) && bytes.contains(&0x12)
}

/// The message for a JSON error. `serde_json` adds line and column, also to errors of this file.
fn describe(error: serde_json::Error) -> String {
    if error.is_data() {
        error.to_string()
    } else {
        format!("invalid JSON: {error}; correct it there")
    }
}

/// Text from the configuration, escaped and truncated, so that an error does not fill the log.
fn quote(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
