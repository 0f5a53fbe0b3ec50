//! The rules for `manifest.yaml`. All problems are reported at once, with line and column.
//!
//! Maistra reads the file with yaml.v2, not strictly, into a structure of strings and one integer.
//! It uses `module`; `phase` and `priority` are defaults for the resource in the mesh. [`Manifest`]
//! is stricter: what only [`Manifest`] rejects is a warning.

mod document;
mod number;

use proxy_wasm_image::manifest::{self, Manifest, PHASES};
use proxy_wasm_image::read::normalize_path;
use proxy_wasm_image::{is_repository_component, is_tag};

use crate::consumers::{self, ModuleSource};
use crate::manifest_file::document::{Document, ManifestValue};
use crate::manifest_file::number::is_integer;
use crate::report::{Report, excerpt};
use crate::similar::nearest;

/// The maximum length of a manifest, in bytes.
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

/// Checks the text of a manifest. Returns the module's path, if Maistra accepts the manifest.
pub fn check(report: &mut Report, place: &str, bytes: &[u8]) -> Option<String> {
    let readers = consumers::reading(ModuleSource::Manifest);
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
    let document = match document::read(text, place) {
        Ok(document) => document,
        Err((place, problem)) => {
            report.error(
                &readers,
                place,
                problem,
                "write one mapping of keys and values, in YAML 1.1, without tabs",
            );
            return None;
        }
    };
    let Document {
        entries,
        is_followed,
    } = document;
    if is_followed {
        report.warning(
            place,
            "it has several documents, but Maistra reads only the first",
            "keep one",
        );
    }
    for entry in &entries {
        let key = entry.key.as_str();
        if entry.is_merge {
            report.not_checked(
                &readers,
                &entry.key_place,
                "it merges other mappings with <<",
                "write the keys themselves",
            );
        } else if !KEYS.contains(&key) {
            let remedy = match nearest(key, &KEYS) {
                Some(known) => format!("write {known}"),
                None => format!("remove it; the keys are {}", KEYS.join(", ")),
            };
            let problem = format!("unknown key {}, which Maistra ignores", excerpt(key));
            report.warning(&entry.key_place, problem, remedy);
        } else {
            check_type(report, key, &entry.value, &entry.value_place);
        }
    }
    for key in KEYS {
        let mut values = entries.iter().rev().filter(|entry| entry.key == key);
        let last = values.next();
        if let (Some(last), Some(_)) = (last, values.next()) {
            report.warning(
                &last.key_place,
                format!("{key} occurs twice, and Maistra uses the last"),
                "keep only one",
            );
        }
        match last.filter(|entry| entry.value != ManifestValue::Null) {
            Some(entry) => check_content(report, key, &entry.value, &entry.value_place),
            None => report_missing(report, key, last.map_or(place, |entry| &entry.value_place)),
        }
    }
    if report.errors() > before {
        return None;
    }
    let module = entries.iter().rev().find(|entry| entry.key == "module")?;
    Some(normalize_path(module.value.text()?.as_bytes()))
}

/// The manifest, if [`Manifest`] accepts the text, too.
pub fn parse(report: &Report, bytes: &[u8]) -> Option<Manifest> {
    if report.errors() > 0 {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    Manifest::parse(text).ok()
}

/// The remedy for a key: the values that it accepts.
fn remedy_for(key: &str) -> String {
    match key {
        "schemaVersion" => "write schemaVersion: 1, the only version".to_owned(),
        "phase" => format!("write one of {}", PHASES.join(", ")),
        "priority" => format!("write a whole number from {} to {}", i32::MIN, i32::MAX),
        "module" => "write a path relative to the image's root, without `..`".to_owned(),
        _ => "write a string".to_owned(),
    }
}

/// Checks whether yaml.v2 can read a value as the type of its key.
fn check_type(report: &mut Report, key: &str, value: &ManifestValue, place: &str) {
    let readers = consumers::reading(ModuleSource::Manifest);
    let problem = match value {
        ManifestValue::Nested => format!("{key} is not a scalar"),
        ManifestValue::Tagged(_) => {
            let problem = format!("{key} has a YAML tag");
            report.not_checked(&readers, place, problem, "write the value without a tag");
            return;
        }
        ManifestValue::Text(text) if key == "priority" => {
            format!("{key} is a string, {}", excerpt(text))
        }
        ManifestValue::Plain(text) if key == "priority" && !is_integer(text) => {
            format!("{key} is {}", excerpt(text))
        }
        ManifestValue::Plain(_) | ManifestValue::Text(_) | ManifestValue::Null => return,
    };
    report.error(&readers, place, problem, remedy_for(key));
}

/// Reports a key that is missing or empty. Maistra does not require `schemaVersion`, `phase` and
/// `priority`, but [`Manifest`] does.
fn report_missing(report: &mut Report, key: &str, place: &str) {
    let effect = match key {
        "module" => {
            let readers = consumers::reading(ModuleSource::Manifest);
            let problem = format!("{key} is missing");
            report.error(&readers, place, problem, remedy_for(key));
            return;
        }
        "schemaVersion" => "; Maistra ignores this key",
        "phase" => ", so the resource in the mesh has to set it",
        "priority" => ", so it is 0 unless the resource in the mesh sets it",
        _ => return,
    };
    let problem = format!("{key} is missing{effect}");
    report.warning(place, problem, remedy_for(key));
}

/// Checks a value that yaml.v2 reads.
fn check_content(report: &mut Report, key: &str, value: &ManifestValue, place: &str) {
    let Some(text) = value.text() else { return };
    let is_number = matches!(value, ManifestValue::Plain(_)) && text.parse::<f64>().is_ok();
    match key {
        "schemaVersion" if text != "1" || *value == ManifestValue::Text(text.to_owned()) => {
            report.warning(
                place,
                format!("{key} is {}; Maistra ignores this key", excerpt(text)),
                remedy_for(key),
            );
        }
        "phase" if !PHASES.contains(&text) => report.warning(
            place,
            format!(
                "{key} is {}, which Maistra does not know, so the resource has to set it",
                excerpt(text)
            ),
            remedy_for(key),
        ),
        "priority" if is_integer(text) && text.parse::<i32>().is_err() => report.warning(
            place,
            format!(
                "{key} is {}, which Maistra accepts, but other tools may reject",
                excerpt(text)
            ),
            remedy_for(key),
        ),
        "module" => check_module_path(report, text, place),
        "name" if !is_repository_component(text) => report.warning(
            place,
            format!("name is {}, which cannot be an image's name", excerpt(text)),
            "use lower-case letters and digits, with . _ or - between them",
        ),
        "version" if !is_tag(text) => report.warning(
            place,
            format!(
                "version is {}, which cannot be an image's tag",
                excerpt(text)
            ),
            "use at most 128 letters, digits, . _ and -",
        ),
        "name" | "version" | "description" if is_number => report.warning(
            place,
            format!("{key} is the number {text} in YAML"),
            "write it in quotes",
        ),
        _ => {}
    }
}

fn check_module_path(report: &mut Report, text: &str, place: &str) {
    let path = normalize_path(text.as_bytes());
    // If the path ends with a dot, podman copies a directory.
    if path.is_empty() || text.ends_with("/.") {
        let readers = consumers::reading(ModuleSource::Manifest);
        let problem = format!("module is {}", excerpt(text));
        report.error(&readers, place, problem, remedy_for("module"));
    } else if !manifest::is_inside_image(text) || path != text {
        report.warning(
            place,
            format!(
                "module is {}, which Maistra reads as {}",
                excerpt(text),
                excerpt(&path)
            ),
            format!("write {}", excerpt(&path)),
        );
    }
}

#[cfg(test)]
mod tests;
