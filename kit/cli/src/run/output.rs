//! Terminal output.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};

use super::log::{Line, LogSource};
use super::options::EnvoyLogLevel;

/// Standard output, with colours if it is a terminal and `NO_COLOR` is not set.
#[derive(Debug)]
pub struct Output;

const BOLD: Style = Style::new().bold();

impl Output {
    /// Prints what the command has done.
    pub fn print(&self, text: &str) -> Result<()> {
        self.write(&format!("{BOLD}{:<12}{BOLD:#}{}", "run", escape(text)))
    }

    /// Prints that something went wrong.
    pub fn warn(&self, text: &str) -> Result<()> {
        let style = style(EnvoyLogLevel::Warning);
        let mut lines = text.lines();
        let first = escape(lines.next().unwrap_or_default());
        self.write(&format!(
            "{BOLD}{:<12}{BOLD:#}{style}{first}{style:#}",
            "run"
        ))?;
        lines.try_for_each(|line| self.write(&format!("{:12}{}", "", escape(line))))
    }

    /// Prints a name and its value.
    pub fn print_field(&self, name: &str, value: &str) -> Result<()> {
        self.write(&format!("{BOLD}{name:<12}{BOLD:#}{}", escape(value)))
    }

    /// Prints a log line, which was logged `times` times.
    pub fn print_log(&self, line: &Line, times: usize) -> Result<()> {
        let (source, component) = match &line.source {
            LogSource::Extension => ("extension", String::new()),
            LogSource::Envoy(component) => ("envoy", format!("{component}: ")),
        };
        let level = style(line.level);
        let text = escape(&line.text);
        if line.continues {
            return self.write(&format!("{:21}{text}", ""));
        }
        let times = if times > 1 {
            format!(" ({times} times)")
        } else {
            String::new()
        };
        let name = line.level.name();
        self.write(&format!(
            "{source:<12}{level}{name:<9}{level:#}{component}{text}{times}"
        ))
    }

    fn write(&self, line: &str) -> Result<()> {
        writeln!(anstream::stdout(), "{line}").context("cannot write to standard output")
    }
}

fn style(level: EnvoyLogLevel) -> Style {
    match level {
        EnvoyLogLevel::Trace | EnvoyLogLevel::Debug | EnvoyLogLevel::Off => Style::new().dimmed(),
        EnvoyLogLevel::Info => AnsiColor::Green.on_default(),
        EnvoyLogLevel::Warning => AnsiColor::Yellow.on_default(),
        EnvoyLogLevel::Error | EnvoyLogLevel::Critical => AnsiColor::Red.on_default().bold(),
    }
}

/// Escapes control characters: a message may contain bytes from the network, and a terminal would
/// obey them.
fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = (c.is_control() && c != '\t').then(|| c.escape_default());
            let kept = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(kept)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("naïve\ttext"), "naïve\ttext");
        assert_eq!(escape("\u{1b}[2Jgone"), "\\u{1b}[2Jgone");
    }
}
