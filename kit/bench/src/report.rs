//! What was measured, as a table and as JSON.

use std::fmt;

use serde::Serialize;

use super::growth::Growth;
use super::machine::Measured;

/// The instructions of one subject with so many headers.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The subject's name.
    pub name: String,
    /// How many headers the filter was told to append.
    pub headers: usize,
    /// How many of them were in a response.
    pub appended: usize,
    /// Instructions of the whole proxy for one request.
    pub instructions: u64,
    /// How many of them the filter adds.
    pub added: u64,
    /// What the filter adds, divided by what native header_mutation adds.
    pub of_header_mutation: Option<f64>,
    /// What the filter adds, divided by what a Lua script adds.
    pub of_lua: Option<f64>,
}

/// All that was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Instructions of the proxy for one request without a filter.
    pub without_filter: Option<u64>,
    /// The rows, in order of the number of headers. None where callgrind is not installed.
    pub instructions: Vec<Row>,
    /// Time and memory on this machine.
    pub this_machine: Vec<Measured>,
    /// How many headers were appended when time and memory were measured.
    pub headers_on_this_machine: usize,
    /// How it grows, with as many headers.
    pub growth: Growth,
}

impl Report {
    /// Adds a row for what was counted, and sets the rows in relation to one another.
    pub fn add(&mut self, name: &str, headers: usize, appended: usize, instructions: u64) {
        self.instructions.push(Row {
            name: name.to_owned(),
            headers,
            appended,
            instructions,
            added: instructions.saturating_sub(self.without_filter.unwrap_or_default()),
            of_header_mutation: None,
            of_lua: None,
        });
        let native = self.added(super::HEADER_MUTATION, headers);
        let lua = self.added(super::LUA, headers);
        for row in &mut self.instructions {
            if row.headers == headers {
                row.of_header_mutation = ratio(row.added, native);
                row.of_lua = ratio(row.added, lua);
            }
        }
    }

    fn added(&self, name: &str, headers: usize) -> Option<u64> {
        self.instructions
            .iter()
            .find(|row| row.name == name && row.headers == headers)
            .map(|row| row.added)
    }
}

/// A ratio to three places. A filter that appends nothing may cost nothing, and then there is none.
fn ratio(added: u64, reference: Option<u64>) -> Option<f64> {
    let reference = reference.filter(|&reference| reference > 0)?;
    Some((added as f64 / reference as f64 * 1000.0).round() / 1000.0)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names = self.instructions.iter().map(|row| row.name.len());
        let measured = self.this_machine.iter().map(|row| row.name.len());
        let width = names.chain(measured).max().unwrap_or_default().max(10);
        if let Some(without_filter) = self.without_filter {
            writeln!(
                f,
                "Instructions per request, one worker (any machine): {without_filter} without a filter"
            )?;
            writeln!(
                f,
                "{:>7}  {:width$}  {:>12}  {:>10}  {:>18}  {:>7}",
                "headers", "filter", "instructions", "added", "of header_mutation", "of Lua"
            )?;
        }
        for row in &self.instructions {
            let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |r| format!("{r:.2}"));
            write!(
                f,
                "{:>7}  {:width$}  {:>12}  {:>10}  {:>18}  {:>7}",
                row.headers,
                row.name,
                row.instructions,
                row.added,
                ratio(row.of_header_mutation),
                ratio(row.of_lua)
            )?;
            if row.appended < row.headers {
                write!(f, "  (appends {} of {})", row.appended, row.headers)?;
            }
            writeln!(f)?;
        }
        if !self.this_machine.is_empty() {
            let headers = self.headers_on_this_machine;
            let plural = if headers == 1 { "" } else { "s" };
            writeln!(
                f,
                "\nOn this machine, at this time: {headers} header{plural}, one worker"
            )?;
            writeln!(
                f,
                "{:width$}  {:>10}  {:>9}  {:>9}  {:>16}",
                "filter", "requests/s", "p50 in µs", "p99 in µs", "kB for a worker"
            )?;
        }
        for row in &self.this_machine {
            writeln!(
                f,
                "{:width$}  {:>10}  {:>9}  {:>9}  {:>16}",
                row.name,
                row.requests_per_second,
                row.p50_microseconds,
                row.p99_microseconds,
                row.bytes_per_worker / 1000
            )?;
        }
        self.growth.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{HEADER_MUTATION, LUA};

    #[test]
    fn ratios_are_of_what_is_added() {
        let mut report = Report {
            without_filter: Some(70_000),
            ..Report::default()
        };
        report.add(HEADER_MUTATION, 1, 1, 74_000);
        report.add(LUA, 1, 1, 90_000);
        report.add("ours", 1, 1, 80_000);
        report.add("other", 10, 0, 80_000);
        let row = |name: &str| report.instructions.iter().find(|row| row.name == name);
        let ours = row("ours").expect("a row");
        assert_eq!(ours.added, 10_000);
        assert_eq!(
            (ours.of_header_mutation, ours.of_lua),
            (Some(2.5), Some(0.5))
        );
        let reference = row(HEADER_MUTATION).expect("a row");
        assert_eq!(reference.of_header_mutation, Some(1.0));
        assert_eq!(reference.of_lua, Some(0.2));
        let other = row("other").expect("a row");
        assert_eq!((other.of_header_mutation, other.of_lua), (None, None));
        assert!(report.to_string().contains("(appends 0 of 10)"), "{report}");
    }
}
