//! Envoy's log, and the extension's lines in it.

use super::options::Level;

/// How Envoy is told to write a line: level, component, message.
pub const FORMAT: &str = "[%l][%n] %v";

/// The component whose lines an extension's are among.
pub const WASM: &str = "wasm";

/// What Envoy writes before an extension's message. Names may follow, up to a colon.
const PREFIX: &str = "wasm log";

/// What Envoy warns of each time it starts, and what is of no concern on one's own machine.
const USUAL: &str =
    "There is no configured limit to the number of allowed active downstream connections";

/// How many of Envoy's lines are kept for the case that it ends.
const KEPT: usize = 10;

/// Who wrote a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The extension.
    Extension,
    /// A component of Envoy.
    Envoy(String),
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who wrote it.
    pub source: Source,
    /// How grave it is.
    pub level: Level,
    /// The message, whose first line this is, or one that goes on.
    pub text: String,
    /// Whether this goes on with the message of the line before.
    pub continues: bool,
}

/// Takes a log apart, line by line.
#[derive(Debug)]
pub struct Reader {
    shown_from: Level,
    /// Whose message a line without a beginning goes on with.
    current: (Source, Level),
    unshown: Vec<String>,
}

impl Reader {
    /// Reads the log of an Envoy whose own lines are shown from this level on.
    pub fn new(shown_from: Level) -> Self {
        Self {
            shown_from,
            current: (Source::Envoy("main".to_owned()), Level::Critical),
            unshown: Vec::new(),
        }
    }

    /// The line, if it is to be shown.
    pub fn read(&mut self, line: &str) -> Option<Line> {
        let (text, continues) = match split(line) {
            Some((source, level, text)) => {
                self.current = (source, level);
                (text, false)
            }
            None if line.trim().is_empty() => return None,
            None => (line, true),
        };
        let (source, level) = self.current.clone();
        let is_shown = match source {
            Source::Extension => true,
            Source::Envoy(_) => level >= self.shown_from && !text.starts_with(USUAL),
        };
        if is_shown {
            return Some(Line {
                source,
                level,
                text: text.to_owned(),
                continues,
            });
        }
        if level >= Level::Info {
            self.unshown.push(line.to_owned());
            if self.unshown.len() > KEPT {
                self.unshown.remove(0);
            }
        }
        None
    }

    /// The last lines that were not shown.
    pub fn into_unshown(self) -> Vec<String> {
        self.unshown
    }
}

/// Source, level and message of a line that begins one.
fn split(line: &str) -> Option<(Source, Level, &str)> {
    let (level, rest) = line.strip_prefix('[')?.split_once("][")?;
    let level = Level::of_line(level)?;
    let (component, text) = rest.split_once("] ")?;
    if component == WASM
        && let Some(rest) = text.strip_prefix(PREFIX)
        && let Some((names, message)) = rest.split_once(':')
        && (names.is_empty() || names.starts_with(' '))
    {
        let message = message.strip_prefix(' ').unwrap_or(message);
        return Some((Source::Extension, level, message));
    }
    Some((Source::Envoy(component.to_owned()), level, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<Line> {
        let mut reader = Reader::new(Level::Warning);
        lines.iter().filter_map(|line| reader.read(line)).collect()
    }

    fn extension(level: Level, text: &str, continues: bool) -> Line {
        Line {
            source: Source::Extension,
            level,
            text: text.to_owned(),
            continues,
        }
    }

    #[test]
    fn an_extensions_line_is_told_by_its_prefix_with_and_without_names() {
        for prefix in [
            "wasm log:",
            "wasm log name:",
            "wasm log name root_id vm_id:",
        ] {
            assert_eq!(
                read(&[&format!("[info][wasm] {prefix} a: b")]),
                [extension(Level::Info, "a: b", false)]
            );
        }
        assert_eq!(
            read(&["[trace][wasm] wasm log: "]),
            [extension(Level::Trace, "", false)]
        );
    }

    #[test]
    fn a_message_of_several_lines_stays_together() {
        assert_eq!(
            read(&[
                "[critical][wasm] wasm log: panicked at src/filter.rs:1:2:",
                "[not a level] at all",
                "[info][upstream] hidden",
                "and what it goes on with",
                "[debug][wasm] wasm log: next",
            ]),
            [
                extension(Level::Critical, "panicked at src/filter.rs:1:2:", false),
                extension(Level::Critical, "[not a level] at all", true),
                extension(Level::Debug, "next", false),
            ]
        );
    }

    #[test]
    fn envoys_own_lines_are_shown_from_their_level_on() {
        let lines = read(&[
            "[debug][wasm] Base Wasm created 1 now active",
            "[info][main] starting",
            "[warning][main] There is no configured limit to the number of allowed active downstream connections. Configure",
            "[warning][config] rejected",
            "[error][wasm] wasm logging is not a message of the extension: no",
        ]);
        let shown: Vec<_> = lines
            .iter()
            .map(|line| (&line.source, line.text.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (&Source::Envoy("config".to_owned()), "rejected"),
                (
                    &Source::Envoy("wasm".to_owned()),
                    "wasm logging is not a message of the extension: no"
                ),
            ]
        );
    }

    #[test]
    fn what_was_not_shown_is_kept_for_the_end_up_to_ten_lines() {
        let mut reader = Reader::new(Level::Off);
        for number in 0..20 {
            assert_eq!(reader.read(&format!("[error][main] {number}")), None);
        }
        assert_eq!(reader.read("[trace][wasm] [host->vm] malloc(1)"), None);
        let unshown = reader.into_unshown();
        assert_eq!(unshown.len(), 10);
        assert_eq!(unshown.last().map(String::as_str), Some("[error][main] 19"));
    }
}
