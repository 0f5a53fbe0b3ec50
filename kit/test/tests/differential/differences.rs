//! Where the embedded proxy differs from Envoy, and why. The documentation is generated from it.

use crate::observation::Line;

/// A difference that stays.
pub struct Difference {
    /// Patterns of the names of the scenarios where it can be seen. `*` is any text.
    scenarios: &'static [&'static str],
    /// Patterns of the lines that differ.
    lines: &'static [&'static str],
    /// What the embedded proxy does.
    pub embedded: &'static str,
    /// What Envoy does.
    envoy: &'static str,
    /// Why it stays.
    reason: &'static str,
}

impl Difference {
    /// Whether it is the reason for a line of a scenario.
    pub fn covers(&self, scenario: &str, line: &Line) -> bool {
        let is_any =
            |patterns: &[&str], text: &str| patterns.iter().any(|pattern| matches(pattern, text));
        is_any(self.scenarios, scenario) && is_any(self.lines, &line.text)
    }
}

/// Whether a text matches a pattern, in which `*` is any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let mut ends = text
                .char_indices()
                .map(|(place, _)| place)
                .chain([text.len()]);
            ends.any(|place| matches(rest, &text[place..]))
        }),
    }
}

pub const DIFFERENCES: &[Difference] = &[];
