//! Bodies, durations, and patterns for values.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex_lite::Regex;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::json::Json;
use super::text::Text;

/// Bytes: a string, or `{base64: …}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodedBytes {
    base64: Text,
}

/// What a text is compared with.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// The whole text.
    Is(String),
    /// A part of it.
    Contains(String),
    /// A regular expression that matches somewhere in it.
    Matches(Regex),
}

/// What a body is compared with.
#[derive(Clone, Debug)]
pub enum BodyPattern {
    /// The whole body.
    Is(Vec<u8>),
    /// A text, if the body is UTF-8.
    Text(Pattern),
    /// The body is this value, encoded as JSON.
    Json(Json),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternObject {
    contains: Option<Text>,
    matches: Option<Text>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyPatternObject {
    contains: Option<Text>,
    matches: Option<Text>,
    json: Option<Json>,
    base64: Option<Text>,
}

fn decode<E: Error>(text: &str) -> Result<Vec<u8>, E> {
    STANDARD
        .decode(text)
        .map_err(|error| E::custom(format_args!("it is not base64: {error}")))
}

fn pattern<E: Error>(contains: Option<Text>, matches: Option<Text>) -> Result<Pattern, E> {
    match (contains, matches) {
        (Some(Text(part)), None) => Ok(Pattern::Contains(part)),
        (None, Some(Text(expression))) => match Regex::new(&expression) {
            Ok(regex) => Ok(Pattern::Matches(regex)),
            Err(error) => Err(E::custom(format_args!(
                "{expression:?} is not a regular expression: {error}"
            ))),
        },
        _ => Err(E::custom("write exactly one key in a pattern")),
    }
}

impl Pattern {
    /// Whether a text is as expected.
    pub fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Is(expected) => text == expected,
            Self::Contains(part) => text.contains(part),
            Self::Matches(regex) => regex.is_match(text),
        }
    }

    /// The pattern for a part of a text: if it is the whole text, it becomes a part.
    pub fn as_part(&self) -> Self {
        match self {
            Self::Is(part) => Self::Contains(part.clone()),
            other => other.clone(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Is(text) => formatter.write_str(text),
            Self::Contains(part) => write!(formatter, "contains {part:?}"),
            Self::Matches(regex) => write!(formatter, "matches {regex}"),
        }
    }
}

impl BodyPattern {
    /// Whether a body is as expected.
    pub fn accepts(&self, body: &[u8]) -> bool {
        match self {
            Self::Is(expected) => body == expected,
            Self::Text(pattern) => {
                std::str::from_utf8(body).is_ok_and(|text| pattern.accepts(text))
            }
            Self::Json(expected) => {
                let body = serde_json::from_slice::<serde_json::Value>(body);
                let expected = serde_json::to_value(expected);
                matches!((body, expected), (Ok(body), Ok(expected)) if body == expected)
            }
        }
    }
}

impl fmt::Display for BodyPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Is(bytes) => formatter.write_str(&String::from_utf8_lossy(bytes)),
            Self::Text(pattern) => pattern.fmt(formatter),
            Self::Json(json) => {
                let text = serde_json::to_string(json).map_err(|_| fmt::Error)?;
                write!(formatter, "JSON {text}")
            }
        }
    }
}

/// A type that is written as a string or as an object.
pub trait TextOrObject: Sized {
    const EXPECTED: &'static str;
    fn of_text(text: Text) -> Self;
    fn of_object<'de, D: Deserializer<'de>>(object: D) -> Result<Self, D::Error>;
}

impl TextOrObject for Bytes {
    const EXPECTED: &'static str = "a string, or {base64: STRING}";

    fn of_text(text: Text) -> Self {
        Self(text.0.into_bytes())
    }

    fn of_object<'de, D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        let encoded = EncodedBytes::deserialize(object)?;
        decode(&encoded.base64.0).map(Self)
    }
}

impl TextOrObject for Pattern {
    const EXPECTED: &'static str = "a string, {contains: STRING}, or {matches: REGEX}";

    fn of_text(text: Text) -> Self {
        Self::Is(text.0)
    }

    fn of_object<'de, D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        let object = PatternObject::deserialize(object)?;
        pattern(object.contains, object.matches)
    }
}

impl TextOrObject for BodyPattern {
    const EXPECTED: &'static str =
        "a string, {contains: STRING}, {matches: REGEX}, {json: VALUE}, or {base64: STRING}";

    fn of_text(text: Text) -> Self {
        Self::Is(text.0.into_bytes())
    }

    fn of_object<'de, D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        let object = BodyPatternObject::deserialize(object)?;
        match object {
            BodyPatternObject {
                json: Some(json),
                base64: None,
                contains: None,
                matches: None,
            } => Ok(Self::Json(json)),
            BodyPatternObject {
                base64: Some(Text(base64)),
                json: None,
                contains: None,
                matches: None,
            } => decode(&base64).map(Self::Is),
            BodyPatternObject {
                json: None,
                base64: None,
                contains,
                matches,
            } => pattern(contains, matches).map(Self::Text),
            _ => Err(D::Error::custom("write exactly one key in a pattern")),
        }
    }
}

/// Reads such a type.
pub struct TextOrObjectVisitor<T>(pub std::marker::PhantomData<T>);

macro_rules! text_from {
    ($($method:ident($type:ty) $into:ident,)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<T, E> {
            Text::deserialize(serde::de::value::$into::new(value)).map(T::of_text)
        }
    )*};
}

impl<'de, T: TextOrObject> Visitor<'de> for TextOrObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    text_from! {
        visit_bool(bool) BoolDeserializer,
        visit_i64(i64) I64Deserializer,
        visit_u64(u64) U64Deserializer,
        visit_f64(f64) F64Deserializer,
        visit_str(&str) StrDeserializer,
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::of_object(MapAccessDeserializer::new(map))
    }
}

macro_rules! deserialize_text_or_object {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(TextOrObjectVisitor(std::marker::PhantomData))
            }
        }
    )*};
}

deserialize_text_or_object!(Bytes, Pattern, BodyPattern);

/// A duration, for example `5s`, `200ms`, `2m` or `1h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || format!("{text:?} is not a duration; write for example 5s or 200ms");
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let number: u64 = digits.parse().map_err(|_| advice())?;
        let milliseconds = match text.get(digits.len()..) {
            Some("ms") => 1,
            Some("s") => 1000,
            Some("m") => 60 * 1000,
            Some("h") => 60 * 60 * 1000,
            _ => return Err(advice()),
        };
        let duration = number.checked_mul(milliseconds).ok_or_else(advice)?;
        Ok(Self(Duration::from_millis(duration)))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
