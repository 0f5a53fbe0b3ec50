//! The rules for `manifest.yaml`. All findings are reported at once, with line and column.

use granit_parser::{Event, Parser, ScalarStyle, Span};

use proxy_wasm_image::manifest::{self, Manifest, PHASES};
use proxy_wasm_image::{is_repository_component, is_tag};

use crate::consumers::{self, Consumer, Reads};
use crate::report::{Report, excerpt};

/// The greatest length of a manifest that is read, in bytes.
pub const MAX_LENGTH: u64 = 64 * 1024;

const KEYS: [&str; 7] = [
    "schemaVersion",
    "name",
    "description",
    "version",
    "phase",
    "priority",
    "module",
];
const REQUIRED: [&str; 4] = ["schemaVersion", "phase", "priority", "module"];

/// A value of the manifest's mapping.
struct Value {
    place: String,
    kind: Kind,
}

enum Kind {
    /// A scalar, and whether it was quoted, which makes it a string.
    Scalar { text: String, quoted: bool },
    /// A list, a mapping, or an alias.
    Nested,
}

/// Checks the text of a manifest. Returns the path of the module that it names, if a mesh would read
/// it.
///
/// Maistra's reader is more lenient than [`Manifest`]: what only the latter rejects is a warning.
pub fn check(report: &mut Report, place: &str, bytes: &[u8]) -> Option<String> {
    let readers = consumers::that_read(Reads::Manifest);
    let before = report.errors();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            report.error(
                &readers,
                place,
                format!("not UTF-8 ({error})"),
                "save it as UTF-8 text",
            );
            return None;
        }
    };
    let entries = match entries(text, place) {
        Ok(entries) => entries,
        Err((place, problem)) => {
            report.error(
                &readers,
                place,
                problem,
                "write one mapping of keys and values",
            );
            return None;
        }
    };
    let mut seen: Vec<&str> = Vec::new();
    for (key, key_place, value) in &entries {
        if !KEYS.contains(&key.as_str()) {
            let remedy = match nearest(key) {
                Some(known) => format!("write {known}"),
                None => format!("remove it; the keys are {}", KEYS.join(", ")),
            };
            let problem = format!("unknown key {}, which Maistra ignores", excerpt(key));
            report.warning(key_place, problem, remedy);
        } else if seen.contains(&key.as_str()) {
            report.error(
                &readers,
                key_place,
                format!("{key} is written twice"),
                "keep one of them",
            );
        } else {
            seen.push(key);
            rule(report, &readers, key, value);
        }
    }
    for key in REQUIRED {
        if !seen.contains(&key) {
            report.error(&readers, place, format!("{key} is missing"), wanted(key));
        }
    }
    if report.errors() > before {
        return None;
    }
    entries
        .iter()
        .find_map(|(key, _, value)| match &value.kind {
            Kind::Scalar { text, .. } if key == "module" => Some(in_root(text).to_owned()),
            _ => None,
        })
}

/// The manifest, if the image's tools accept the text as well as a mesh does.
pub fn parse(report: &Report, bytes: &[u8]) -> Option<Manifest> {
    if report.errors() > 0 {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    Manifest::parse(text).ok()
}

/// A module's path without what Maistra accepts before it: `./` and `/`.
fn in_root(mut path: &str) -> &str {
    while let Some(rest) = path.strip_prefix("./").or_else(|| path.strip_prefix('/')) {
        path = rest;
    }
    path
}

/// The remedy: what a key takes.
fn wanted(key: &str) -> String {
    match key {
        "schemaVersion" => "write schemaVersion: 1, the only one there is".to_owned(),
        "phase" => format!("write one of {}", PHASES.join(", ")),
        "priority" => format!("write a whole number from {} to {}", i32::MIN, i32::MAX),
        "module" => "write a path relative to the image's root, without `..`".to_owned(),
        _ => "write a string".to_owned(),
    }
}

fn rule(report: &mut Report, readers: &[&'static Consumer], key: &str, value: &Value) {
    let Kind::Scalar { text, quoted } = &value.kind else {
        let problem = format!("{key} is not a plain value");
        report.error(readers, &value.place, problem, wanted(key));
        return;
    };
    let (text, quoted) = (text.as_str(), *quoted);
    let is_null = !quoted && matches!(text, "" | "~" | "null" | "Null" | "NULL");
    let right = match key {
        "schemaVersion" => text == "1",
        "priority" => !quoted && text.parse::<i32>().is_ok(),
        "phase" => PHASES.contains(&text),
        "module" => !is_null && manifest::stays_inside(in_root(text)),
        _ => !is_null,
    };
    if !right {
        let problem = if is_null {
            format!("{key} is empty")
        } else if quoted && key == "priority" {
            format!("{key} is a string, {}", excerpt(text))
        } else {
            format!("{key} is {}", excerpt(text))
        };
        report.error(readers, &value.place, problem, wanted(key));
        return;
    }
    match key {
        "name" if !is_repository_component(text) => report.warning(
            &value.place,
            format!("name is {}, which can't name an image", excerpt(text)),
            "use lower-case letters and digits, with . _ or - between them",
        ),
        "version" if !is_tag(text) => report.warning(
            &value.place,
            format!(
                "version is {}, which can't be an image's tag",
                excerpt(text)
            ),
            "use letters, digits, . _ and - only, 128 at most",
        ),
        "schemaVersion" if quoted => report.warning(
            &value.place,
            "schemaVersion is a string, which Maistra accepts",
            wanted(key),
        ),
        "module" if in_root(text) != text => report.warning(
            &value.place,
            format!("module is {}, which Maistra accepts", excerpt(text)),
            format!("write {}", in_root(text)),
        ),
        "name" | "version" | "description" if !quoted && text.parse::<f64>().is_ok() => report
            .warning(
                &value.place,
                format!("{key} is the number {text} to YAML"),
                "write it in quotes",
            ),
        _ => {}
    }
}

type Entry = (String, String, Value);

/// The entries of the manifest's mapping. An error is a place and what is wrong there.
fn entries(text: &str, place: &str) -> Result<Vec<Entry>, (String, String)> {
    let at = |span: Span| {
        // Columns are counted from one, as editors do.
        format!("{place}:{}:{}", span.start.line(), span.start.col() + 1)
    };
    let mut entries = Vec::new();
    let mut key: Option<(String, String)> = None;
    let mut depth = 0usize;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            (
                format!("{place}:{}:{}", marker.line(), marker.col() + 1),
                format!("it is not YAML: {}", error.info()),
            )
        })?;
        let mut value = None;
        match event {
            Event::DocumentStart(..) => documents += 1,
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if depth == 1 {
                    value = Some(Kind::Nested);
                } else if depth == 0 && matches!(event, Event::SequenceStart(..)) {
                    return Err((at(span), "it is a list".to_owned()));
                }
                depth += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
            Event::Scalar(text, style, ..) if depth == 1 => {
                let text = text.into_owned();
                value = Some(Kind::Scalar {
                    text,
                    quoted: style != ScalarStyle::Plain,
                });
            }
            Event::Alias(..) if depth == 1 => value = Some(Kind::Nested),
            Event::Scalar(..) if depth == 0 => {
                return Err((at(span), "it is a single value".to_owned()));
            }
            _ => {}
        }
        let Some(kind) = value else { continue };
        match key.take() {
            Some((key, key_place)) => {
                let place = at(span);
                entries.push((key, key_place, Value { place, kind }));
            }
            None => match kind {
                Kind::Scalar { text, .. } => key = Some((text, at(span))),
                Kind::Nested => return Err((at(span), "a key is not a plain value".to_owned())),
            },
        }
    }
    match documents {
        0 => Err((place.to_owned(), "it is empty".to_owned())),
        1 => Ok(entries),
        _ => Err((place.to_owned(), format!("it holds {documents} documents"))),
    }
}

/// The known key that is most similar to an unknown one.
fn nearest(key: &str) -> Option<&'static str> {
    // A long key is similar to none, and comparing it would take long.
    if key.len() > 32 {
        return None;
    }
    let lower = key.to_lowercase();
    KEYS.iter()
        .map(|known| (distance(&lower, &known.to_lowercase()), *known))
        .filter(|(distance, known)| *distance * 2 <= known.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The number of letters that have to be inserted, removed, replaced, or swapped with the next one.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    let mut last = None;
    for (row, letter) in one.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, known) in other.iter().enumerate() {
            let left = current.last().copied().unwrap_or_default() + 1;
            let up = above.get(column + 1).copied().unwrap_or_default() + 1;
            let across = above.get(column).copied().unwrap_or_default();
            let mut least = left.min(up).min(across + usize::from(letter != *known));
            let swapped = column
                .checked_sub(1)
                .and_then(|neighbour| Some((other.get(neighbour)?, before.get(neighbour)?)));
            if let Some((neighbour, cost)) = swapped
                && last == Some(*known)
                && *neighbour == letter
            {
                least = least.min(cost + 1);
            }
            current.push(least);
        }
        last = Some(letter);
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
