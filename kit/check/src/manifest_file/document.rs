//! The entries of a manifest, with line and column.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// The first document of a file.
#[derive(Default)]
pub struct Document {
    pub entries: Vec<ManifestEntry>,
    /// Whether there are more documents.
    pub is_followed: bool,
}

/// An entry of the document's mapping.
pub struct ManifestEntry {
    pub key: String,
    /// Line and column of the key.
    pub key_place: String,
    pub value: ManifestValue,
    /// Line and column of the value.
    pub value_place: String,
    /// Whether the key is `<<`, which merges other mappings.
    pub is_merge: bool,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestValue {
    /// A scalar without quotes.
    Plain(String),
    /// A scalar in quotes, or a block of text.
    Text(String),
    /// No value.
    Null,
    /// A scalar with a tag.
    Tagged(String),
    /// A list or a mapping.
    Nested,
}

impl ManifestValue {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Plain(text) | Self::Text(text) => Some(text),
            Self::Null | Self::Tagged(_) | Self::Nested => None,
        }
    }
}

/// Reads the first document, as yaml.v2 does. An error is a place and a problem.
pub fn read(text: &str, place: &str) -> Result<Document, (String, String)> {
    let at = |span: Span| {
        // Columns begin with one, as in editors.
        format!("{place}:{}:{}", span.start.line(), span.start.col() + 1)
    };
    let mut document = Document::default();
    let mut anchors: BTreeMap<usize, ManifestValue> = BTreeMap::new();
    let mut key: Option<(ManifestValue, String)> = None;
    let mut depth = 0usize;
    let mut tabs = Tabs::new(text);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next() {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            (
                format!("{place}:{}:{}", marker.line(), marker.col() + 1),
                format!("it is not YAML: {}", error.info()),
            )
        })?;
        tabs.allow(&event, span, depth);
        let is_mapping = matches!(event, Event::MappingStart(..));
        let is_start = is_mapping || matches!(event, Event::SequenceStart(..));
        let (value, anchor) = match event {
            Event::DocumentStart(_, Some(version)) if (version.major, version.minor) != (1, 1) => {
                let problem = format!(
                    "it is YAML {}.{}, but Maistra reads 1.1",
                    version.major, version.minor
                );
                return Err((at(span), problem));
            }
            Event::DocumentEnd => {
                let next = parser.next();
                document.is_followed = matches!(next, Some(Ok((Event::DocumentStart(..), _))));
                let last = match document.is_followed {
                    true => span.end.line(),
                    false => (1..)
                        .zip(text.lines())
                        .find(|(_, line)| line.starts_with("..."))
                        .map_or(usize::MAX, |(number, _)| number),
                };
                if let Some(line) = tabs.lines.iter().find(|line| **line <= last) {
                    let problem = "a tab at the start of the line, which Maistra does not read";
                    return Err((format!("{place}:{line}:1"), problem.to_owned()));
                }
                break;
            }
            Event::MappingStart(_, anchor, _) | Event::SequenceStart(_, anchor, _) => {
                (ManifestValue::Nested, anchor)
            }
            Event::MappingEnd | Event::SequenceEnd => {
                depth = depth.saturating_sub(1);
                continue;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let has_tag = tag.is_some();
                (scalar(text.into_owned(), style, has_tag), anchor)
            }
            Event::Alias(anchor) => (
                anchors
                    .get(&anchor)
                    .cloned()
                    .unwrap_or(ManifestValue::Nested),
                0,
            ),
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, value.clone());
        }
        let own_depth = depth;
        depth += usize::from(is_start);
        if own_depth == 0 && !is_mapping && value != ManifestValue::Null {
            let what = if is_start { "a list" } else { "a scalar" };
            return Err((at(span), format!("it is {what}")));
        }
        if own_depth != 1 {
            continue;
        }
        let Some((key_value, key_place)) = key.take() else {
            key = Some((value, at(span)));
            continue;
        };
        let key = match &key_value {
            ManifestValue::Plain(text)
            | ManifestValue::Text(text)
            | ManifestValue::Tagged(text) => text.clone(),
            ManifestValue::Null => String::new(),
            ManifestValue::Nested => {
                return Err((key_place, "a key is not a scalar".to_owned()));
            }
        };
        document.entries.push(ManifestEntry {
            is_merge: key_value == ManifestValue::Plain("<<".to_owned()),
            key,
            key_place,
            value,
            value_place: at(span),
        });
    }
    Ok(document)
}

/// The lines that begin with a tab. yaml.v2 allows tabs there only in quotes and brackets.
struct Tabs {
    lines: Vec<usize>,
    /// The depth at which the brackets begin, and their first line.
    brackets: Option<(usize, usize)>,
}

impl Tabs {
    fn new(text: &str) -> Self {
        let lines = (1..).zip(text.split('\n'));
        let lines = lines.filter(|(_, line)| line.starts_with('\t'));
        Self {
            lines: lines.map(|(number, _)| number).collect(),
            brackets: None,
        }
    }

    /// Removes lines in quotes and brackets. `depth` is the depth before the event.
    fn allow(&mut self, event: &Event, span: Span, depth: usize) {
        use ScalarStyle::{DoubleQuoted, SingleQuoted};
        let first = match event {
            Event::MappingStart(StructureStyle::Flow, ..)
            | Event::SequenceStart(StructureStyle::Flow, ..) => {
                self.brackets.get_or_insert((depth, span.start.line()));
                return;
            }
            Event::MappingEnd | Event::SequenceEnd => match self.brackets {
                Some((outer, line)) if outer + 1 == depth => {
                    self.brackets = None;
                    line
                }
                _ => return,
            },
            Event::Scalar(_, SingleQuoted | DoubleQuoted, ..) => span.start.line(),
            _ => return,
        };
        let allowed = first + 1..=span.end.line();
        self.lines.retain(|line| !allowed.contains(line));
    }
}

fn scalar(text: String, style: ScalarStyle, has_tag: bool) -> ManifestValue {
    if has_tag {
        ManifestValue::Tagged(text)
    } else if style != ScalarStyle::Plain {
        ManifestValue::Text(text)
    } else if ["", "~", "null", "Null", "NULL"].contains(&text.as_str()) {
        ManifestValue::Null
    } else {
        ManifestValue::Plain(text)
    }
}
