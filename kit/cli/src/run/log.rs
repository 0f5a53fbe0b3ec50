//! Envoy's log, and the extension's lines in it.

use super::options::EnvoyLogLevel;

/// The format of Envoy's log lines: level, component, message.
pub const FORMAT: &str = "[%l][%n] %v";

/// The component that logs an extension's lines.
pub const WASM: &str = "wasm";

/// What Envoy writes before an extension's message. The plugin's names may follow, up to a colon.
const PREFIX: &str = "wasm log";

/// A warning at each start, which does not matter on a developer's machine.
const STARTUP_WARNING: &str =
    "There is no configured limit to the number of allowed active downstream connections";

/// How many of Envoy's hidden lines are kept, to be shown if Envoy exits.
const MAX_HIDDEN: usize = 10;

/// What logged a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogSource {
    /// The extension.
    Extension,
    /// A component of Envoy.
    Envoy(String),
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What logged it.
    pub source: LogSource,
    /// Its level.
    pub level: EnvoyLogLevel,
    /// The message, or one line of it.
    pub text: String,
    /// Whether it continues the message of the line before.
    pub continues: bool,
}

/// Parses a log line by line.
#[derive(Debug)]
pub struct Reader {
    min_level: EnvoyLogLevel,
    /// Source and level of the message that a line without a prefix continues.
    current: (LogSource, EnvoyLogLevel),
    hidden: Vec<String>,
}

impl Reader {
    /// A reader that shows Envoy's own lines from this level on.
    pub fn new(min_level: EnvoyLogLevel) -> Self {
        Self {
            min_level,
            current: (LogSource::Envoy("main".to_owned()), EnvoyLogLevel::Critical),
            hidden: Vec::new(),
        }
    }

    /// Reads a line. Returns it if it is shown.
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
            LogSource::Extension => true,
            LogSource::Envoy(_) => level >= self.min_level && !text.starts_with(STARTUP_WARNING),
        };
        if is_shown {
            return Some(Line {
                source,
                level,
                text: text.to_owned(),
                continues,
            });
        }
        if level >= EnvoyLogLevel::Info {
            self.hidden.push(line.to_owned());
            if self.hidden.len() > MAX_HIDDEN {
                self.hidden.remove(0);
            }
        }
        None
    }

    /// The last lines that were hidden.
    pub fn into_hidden(self) -> Vec<String> {
        self.hidden
    }
}

/// Source, level and message of a line that begins a message.
fn split(line: &str) -> Option<(LogSource, EnvoyLogLevel, &str)> {
    let (level, rest) = line.strip_prefix('[')?.split_once("][")?;
    let level = EnvoyLogLevel::of_line(level)?;
    let (component, text) = rest.split_once("] ")?;
    if component == WASM
        && let Some(rest) = text.strip_prefix(PREFIX)
        && let Some((names, message)) = rest.split_once(':')
        && (names.is_empty() || names.starts_with(' '))
    {
        let message = message.strip_prefix(' ').unwrap_or(message);
        return Some((LogSource::Extension, level, message));
    }
    Some((LogSource::Envoy(component.to_owned()), level, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<Line> {
        let mut reader = Reader::new(EnvoyLogLevel::Warning);
        lines.iter().filter_map(|line| reader.read(line)).collect()
    }

    fn extension(level: EnvoyLogLevel, text: &str, continues: bool) -> Line {
        Line {
            source: LogSource::Extension,
            level,
            text: text.to_owned(),
            continues,
        }
    }

    #[test]
    fn line_of_the_extension_has_a_prefix_with_or_without_names() {
        for prefix in [
            "wasm log:",
            "wasm log name:",
            "wasm log name root_id vm_id:",
        ] {
            assert_eq!(
                read(&[&format!("[info][wasm] {prefix} a: b")]),
                [extension(EnvoyLogLevel::Info, "a: b", false)]
            );
        }
        assert_eq!(
            read(&["[trace][wasm] wasm log: "]),
            [extension(EnvoyLogLevel::Trace, "", false)]
        );
    }

    #[test]
    fn lines_of_a_message_stay_together() {
        assert_eq!(
            read(&[
                "[critical][wasm] wasm log: panicked at src/filter.rs:1:2:",
                "[not a level] at all",
                "[info][upstream] hidden",
                "and how it continues",
                "[debug][wasm] wasm log: next",
            ]),
            [
                extension(
                    EnvoyLogLevel::Critical,
                    "panicked at src/filter.rs:1:2:",
                    false
                ),
                extension(EnvoyLogLevel::Critical, "[not a level] at all", true),
                extension(EnvoyLogLevel::Debug, "next", false),
            ]
        );
    }

    #[test]
    fn lines_of_envoy_are_shown_from_a_level_on() {
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
                (&LogSource::Envoy("config".to_owned()), "rejected"),
                (
                    &LogSource::Envoy("wasm".to_owned()),
                    "wasm logging is not a message of the extension: no"
                ),
            ]
        );
    }

    #[test]
    fn last_ten_hidden_lines_are_kept() {
        let mut reader = Reader::new(EnvoyLogLevel::Off);
        for number in 0..20 {
            assert_eq!(reader.read(&format!("[error][main] {number}")), None);
        }
        assert_eq!(reader.read("[trace][wasm] [host->vm] malloc(1)"), None);
        let hidden = reader.into_hidden();
        assert_eq!(hidden.len(), 10);
        assert_eq!(hidden.last().map(String::as_str), Some("[error][main] 19"));
    }
}
