//! Files with cases.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};

use super::format::Case;
use super::json::CaseConfiguration;
use super::validate;

/// The maximum length of a file with cases, in bytes.
const MAX_LENGTH: u64 = 16 << 20;

/// The maximum number of values in anchors, and of values that aliases repeat.
const MAX_REPLAYED: usize = 100_000;

/// The maximum edit distance at which a known key is suggested, as a fraction of its length.
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
    #[error("{}: there is no case in this file, or in a .yaml file below this directory; add one", .0.display())]
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
            value.configuration = CaseConfiguration::Bytes(bytes);
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
        serde_saphyr::Error::Unexpected { expected, .. } if *expected == "sequence start" => {
            "a file is a list of cases; begin each with `- case: `".to_owned()
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_invalid(text: &str, expected: &str) {
        match parse(text, Path::new("a.yaml")) {
            Ok(_) => panic!("{text} is accepted"),
            Err(error) => assert_eq!(error.to_string(), expected, "{text}"),
        }
    }

    #[test]
    fn unknown_key_is_an_error_with_its_place_and_the_nearest_known_key() {
        assert_invalid(
            "- case: a\n  requst: {}\n",
            "a.yaml:2:3: unknown key requst; write request",
        );
        assert_invalid(
            "- case: a\n  request:\n    heders: {}\n",
            "a.yaml:3:5: unknown key heders; write headers",
        );
        assert_invalid(
            "- case: a\n  steps:\n    - request: {}\n      expect: {respons: {}}\n",
            "a.yaml:4:16: unknown key respons; write response",
        );
        assert_invalid(
            "- case: a\n  expect:\n    rejected: {like: b}\n",
            "a.yaml:3:16: unknown key like; the keys here are contains, matches",
        );
        assert_invalid(
            "- case: a\n  request: {}\n  upstream: {failure: resets}\n",
            "a.yaml:3:23: unknown value resets; write reset",
        );
    }

    #[test]
    fn value_of_another_type_is_an_error_with_its_place() {
        for (text, place) in [
            ("- case: a\n  request: {headers: {a: 1.5}}\n", "2:26: "),
            ("- case: a\n  request: {headers: {a: }}\n", "2:23: "),
            (
                "- case: a\n  request: {}\n  upstream: {status: ok}\n",
                "3:22: ",
            ),
            ("- case: a\n  steps: [{advance: 5x}]\n", "2:21: "),
            ("- case: a\n  request:\n", "2:10: "),
            (
                "- case: a\n  expect: {rejected: {matches: '('}}\n",
                "2:22: ",
            ),
            ("- case: a\n  request: {body: {base64: '?'}}\n", "2:19: "),
        ] {
            let error = parse(text, Path::new("a.yaml"))
                .expect_err(text)
                .to_string();
            assert!(error.starts_with(&format!("a.yaml:{place}")), "{error}");
        }
    }

    #[test]
    fn parts_that_cannot_be_combined_are_errors() {
        for (text, problem) in [
            (
                "- {case: a, request: {}, steps: []}",
                "a case cannot have both request and steps",
            ),
            (
                "- {case: a, upstream: {}}",
                "upstream and meanwhile belong to a request",
            ),
            (
                "- {case: a, steps: [{}]}",
                "a step must have exactly one of",
            ),
            (
                "- {case: a, steps: [{advance: 1s, configure: a}]}",
                "a step must have exactly one of",
            ),
            (
                "- {case: a, steps: [{advance: 1s, upstream: {}}]}",
                "belong to a request",
            ),
            (
                "- {case: a, request: {}, expect: {rejected: a}}",
                "there are no requests",
            ),
            (
                "- {case: a, expect: {forwarded: true}}",
                "held, reset and fuel_at_most belong to a request; add",
            ),
            (
                "- {case: a, steps: [], expect: {response: {}}}",
                "move them into its step",
            ),
            (
                "- {case: a, request: {}, upstream: {failure: timeout}}",
                "write failure: reset",
            ),
            (
                "- {case: a, configuration: b, configuration_base64: ''}",
                "remove one of them",
            ),
            ("- {case: a, configuration_base64: '?'}", "is not base64"),
            ("- {case: a, case: b}", "case is written twice"),
            ("- {request: {}}", "case is missing; add it"),
            ("case: a", "a file is a list of cases"),
        ] {
            let error = parse(text, Path::new("a.yaml"))
                .expect_err(text)
                .to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn excessive_aliases_and_nesting_are_errors() {
        let mut text = "- case: a\n  configuration:\n    a0: &a0 [x]\n".to_owned();
        for level in 1..30 {
            let below = level - 1;
            text.push_str(&format!("    a{level}: &a{level} [*a{below}, *a{below}]\n"));
        }
        assert!(parse(&text, Path::new("a.yaml")).is_err());
        let deep = format!(
            "- {{case: a, configuration: {}{}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(parse(&deep, Path::new("a.yaml")).is_err());
    }

    #[test]
    fn configuration_that_is_an_object_is_json_in_the_order_of_the_file()
    -> Result<(), Box<dyn std::error::Error>> {
        for (yaml, bytes) in [
            (
                "{b: 1, a: [x, 1.5, true, null]}",
                &br#"{"b":1,"a":["x",1.5,true,null]}"#[..],
            ),
            ("text", b"text"),
            ("'5'", b"5"),
            ("5", b"5"),
            ("[]", b"[]"),
            ("{}", b"{}"),
        ] {
            let cases = parse(
                &format!("- {{case: a, configuration: {yaml}}}"),
                Path::new("a"),
            )?;
            let expected = CaseConfiguration::Bytes(bytes.to_vec());
            assert_eq!(cases[0].case.configuration, expected, "{yaml}");
        }
        let cases = parse("- {case: a, configuration: }", Path::new("a"))?;
        assert_eq!(cases[0].case.configuration, CaseConfiguration::Absent);
        Ok(())
    }

    #[test]
    fn files_below_a_directory_are_read_in_order() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("b"))?;
        fs::write(path("c.yaml"), "- {case: third}")?;
        fs::write(path("b/b.yml"), "- {case: second}")?;
        fs::write(path("a.yaml"), "- {case: first}")?;
        fs::write(path("README.md"), "not a case")?;
        let cases = read(directory.path())?;
        let names: Vec<_> = cases.iter().map(|case| case.case.name.0.as_str()).collect();
        assert_eq!(names, ["first", "second", "third"]);
        assert!(matches!(read(&path("d.yaml")), Err(ReadError::Io { .. })));
        assert!(matches!(
            read(&path("README.md")),
            Err(ReadError::Invalid { .. })
        ));
        Ok(())
    }
}
