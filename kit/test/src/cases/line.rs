//! What is expected of log lines.

use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer};

use super::pattern::{Pattern, TextOrObject, TextOrObjectVisitor};
use super::text::Text;

/// What is expected of a log line.
#[derive(Clone, Debug)]
pub struct ExpectLine {
    pub level: Option<LineLevel>,
    pub message: Option<Pattern>,
}

/// The level of a log line.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LineLevel {
    Trace,
    Debug,
    Info,
    #[serde(alias = "warning")]
    Warn,
    Error,
    Critical,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LineObject {
    level: Option<LineLevel>,
    message: Option<Pattern>,
}

impl TextOrObject for ExpectLine {
    const EXPECTED: &'static str = "a part of the message, or {level: LEVEL, message: PATTERN}";

    fn of_text(text: Text) -> Self {
        Self {
            level: None,
            message: Some(Pattern::Contains(text.0)),
        }
    }

    fn of_object<'de, D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        let LineObject { level, message } = LineObject::deserialize(object)?;
        Ok(Self {
            level,
            message: message.map(|message| message.as_part()),
        })
    }
}

impl<'de> Deserialize<'de> for ExpectLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrObjectVisitor(PhantomData))
    }
}
