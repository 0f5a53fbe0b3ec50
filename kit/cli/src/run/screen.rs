//! What the author reads.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};

use super::log::{Line, Source};
use super::options::Level;

/// Standard output, in colours where it is a terminal and NO_COLOR is not set.
#[derive(Debug)]
pub struct Screen;

const BOLD: Style = Style::new().bold();

impl Screen {
    /// Says something in this program's own name.
    pub fn say(&self, text: &str) -> Result<()> {
        self.write(&format!("{BOLD}{:<12}{BOLD:#}{}", "run", plain(text)))
    }

    /// Says that something went wrong, in this program's own name.
    pub fn warn(&self, text: &str) -> Result<()> {
        let style = style(Level::Warning);
        let mut lines = text.lines();
        let first = plain(lines.next().unwrap_or_default());
        self.write(&format!(
            "{BOLD}{:<12}{BOLD:#}{style}{first}{style:#}",
            "run"
        ))?;
        lines.try_for_each(|line| self.write(&format!("{:12}{}", "", plain(line))))
    }

    /// Writes a name and what it stands for.
    pub fn fact(&self, name: &str, value: &str) -> Result<()> {
        self.write(&format!("{BOLD}{name:<12}{BOLD:#}{}", plain(value)))
    }

    /// Writes a line of the log, which was there so many times.
    pub fn log(&self, line: &Line, times: usize) -> Result<()> {
        let (source, component) = match &line.source {
            Source::Extension => ("extension", String::new()),
            Source::Envoy(component) => ("envoy", format!("{component}: ")),
        };
        let level = style(line.level);
        let text = plain(&line.text);
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

fn style(level: Level) -> Style {
    match level {
        Level::Trace | Level::Debug | Level::Off => Style::new().dimmed(),
        Level::Info => AnsiColor::Green.on_default(),
        Level::Warning => AnsiColor::Yellow.on_default(),
        Level::Error | Level::Critical => AnsiColor::Red.on_default().bold(),
    }
}

/// A text without what would steer a terminal: a message may hold what came from the network.
fn plain(text: &str) -> String {
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
    use super::plain;

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        assert_eq!(plain("naïve\ttext"), "naïve\ttext");
        assert_eq!(plain("\u{1b}[2Jgone"), "\\u{1b}[2Jgone");
    }
}
