//! Files with cases.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};

use super::format::Case;
use super::json::Configuration;
use super::validate;

/// The greatest length of a file with cases, in bytes.
const MAX_LENGTH: u64 = 16 << 20;

/// How many values anchors can have, and aliases repeat.
const MAX_REPLAYED: usize = 100_000;

/// How far a key may be from a known one to be taken for it, as a share of the known key's letters.
const MAX_DISTANCE: f64 = 0.5;

/// A case, and where it is.
#[derive(Clone, Debug)]
pub struct LocatedCase {
    pub file: PathBuf,
    pub line: u64,
    pub case: Case,
}

/// Why cases cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file or a directory cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is too long.
    #[error("{}: longer than {MAX_LENGTH} bytes; split it", .0.display())]
    TooLong(PathBuf),
    /// A file does not have the format of cases. The place is `FILE:LINE:COLUMN`.
    #[error("{place}: {problem}")]
    Invalid {
        /// Where the problem is.
        place: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// There is no case.
    #[error("{}: there is no case; add a file such as headers.yaml, with a list of cases", .0.display())]
    Empty(PathBuf),
}

/// Reads the cases of a file, or those of all `.yaml` and `.yml` files below a directory, in the order
/// of their paths.
pub fn read(path: &Path) -> Result<Vec<LocatedCase>, ReadError> {
    let mut files = Vec::new();
    find(path, &mut files)?;
    let mut cases = Vec::new();
    for file in files {
        cases.extend(read_file(&file)?);
    }
    if cases.is_empty() {
        return Err(ReadError::Empty(path.to_owned()));
    }
    Ok(cases)
}

fn find(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        // A link is not followed into a directory, which might contain itself.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&path, files)?;
        } else if is_yaml {
            files.push(path);
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Vec<LocatedCase>, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > MAX_LENGTH {
        return Err(ReadError::TooLong(path.to_owned()));
    }
    parse(&fs::read_to_string(path).map_err(failed)?, path)
}

/// Parses the text of a file.
pub fn parse(text: &str, path: &Path) -> Result<Vec<LocatedCase>, ReadError> {
    let file = path.display();
    let invalid = |location: Option<serde_saphyr::Location>, problem: String| ReadError::Invalid {
        place: match location {
            Some(at) => format!("{file}:{}:{}", at.line(), at.column()),
            None => file.to_string(),
        },
        problem,
    };
    let mut options = serde_saphyr::Options::default();
    options.strict_booleans = true;
    if let Some(budget) = &mut options.budget {
        budget.max_recorded_anchor_events = MAX_REPLAYED;
    }
    options.alias_limits.max_total_replayed_events = MAX_REPLAYED;
    // A file of comments is an empty list.
    let cases: Option<Vec<Spanned<Case>>> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| invalid(error.location(), describe(&error)))?;
    let mut located = Vec::new();
    for Spanned {
        mut value,
        referenced,
        ..
    } in cases.unwrap_or_default()
    {
        validate::check(&value, referenced)
            .map_err(|(location, problem)| invalid(Some(location), problem))?;
        if let Some(base64) = &value.configuration_base64 {
            let bytes = STANDARD.decode(&base64.0).map_err(|error| {
                let problem = format!("configuration_base64 is not base64: {error}");
                invalid(Some(referenced), problem)
            })?;
            value.configuration = Configuration::Bytes(bytes);
        }
        located.push(LocatedCase {
            file: path.to_owned(),
            line: referenced.line(),
            case: value,
        });
    }
    Ok(located)
}

/// What is wrong, and what to do.
fn describe(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } => match nearest(field, expected) {
            Some(known) => format!("unknown key {field}; write {known}"),
            None => format!(
                "unknown key {field}; the keys here are {}",
                expected.join(", ")
            ),
        },
        serde_saphyr::Error::SerdeUnknownVariant {
            variant, expected, ..
        } => match nearest(variant, expected) {
            Some(known) => format!("unknown value {variant}; write {known}"),
            None => format!(
                "unknown value {variant}; write one of {}",
                expected.join(", ")
            ),
        },
        serde_saphyr::Error::SerdeMissingField { field, .. } => {
            format!("{field} is missing; add it")
        }
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => format!(
            "{} is written twice; keep one of them",
            key.as_deref().unwrap_or("a key")
        ),
        other => UserMessageFormatter.format_message(other).into_owned(),
    }
}

/// The known word that is most similar to another one.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word: String = word.chars().take(64).collect();
    known
        .iter()
        .map(|known| (strsim::osa_distance(&word, known), *known))
        .filter(|(distance, known)| *distance as f64 <= MAX_DISTANCE * known.len() as f64)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
