//! The figures, as a table and as JSON.

use std::fmt;

use serde::Serialize;

use crate::subject::{HEADER_MUTATION, LUA};

/// The instructions of one filter with a number of headers.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The filter's name.
    pub name: String,
    /// How many headers the filter was configured to append.
    pub headers: usize,
    /// How many of them a response had.
    pub appended: usize,
    /// Instructions of Envoy for one request.
    pub instructions: u64,
    /// How many of them the filter adds.
    pub added: u64,
    /// What the filter adds, divided by what native header_mutation adds.
    pub times_header_mutation: Option<f64>,
    /// What the filter adds, divided by what a Lua script adds.
    pub times_lua: Option<f64>,
}

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Instructions of Envoy for one request without a filter.
    pub without_filter: u64,
    /// The rows, in the order in which they were measured.
    pub rows: Vec<Row>,
}

impl BenchReport {
    /// A report without rows.
    pub fn new(without_filter: u64) -> Self {
        Self {
            without_filter,
            rows: Vec::new(),
        }
    }

    /// Adds a row, and updates the ratios.
    pub fn add(&mut self, name: &str, headers: usize, appended: usize, instructions: u64) {
        self.rows.push(Row {
            name: name.to_owned(),
            headers,
            appended,
            instructions,
            added: instructions.saturating_sub(self.without_filter),
            times_header_mutation: None,
            times_lua: None,
        });
        let native = self.added(HEADER_MUTATION, headers);
        let lua = self.added(LUA, headers);
        for row in self.rows.iter_mut().filter(|row| row.headers == headers) {
            row.times_header_mutation = ratio(row.added, native);
            row.times_lua = ratio(row.added, lua);
        }
    }

    fn added(&self, name: &str, headers: usize) -> Option<u64> {
        self.rows
            .iter()
            .find(|row| row.name == name && row.headers == headers)
            .map(|row| row.added)
    }
}

/// A ratio to three decimal places. There is none if the reference costs nothing.
fn ratio(added: u64, reference: Option<u64>) -> Option<f64> {
    let reference = reference.filter(|&reference| reference > 0)?;
    Some((added as f64 / reference as f64 * 1000.0).round() / 1000.0)
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names = self.rows.iter().map(|row| row.name.len());
        let width = names.max().unwrap_or_default().max(10);
        writeln!(
            f,
            "Envoy's instructions for one request without a filter: {}",
            self.without_filter
        )?;
        writeln!(
            f,
            "{:>7}  {:width$}  {:>12}  {:>10}  {:>17}  {:>6}",
            "headers", "filter", "instructions", "added", "× header_mutation", "× Lua"
        )?;
        for row in &self.rows {
            let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |r| format!("{r:.2}"));
            write!(
                f,
                "{:>7}  {:width$}  {:>12}  {:>10}  {:>17}  {:>6}",
                row.headers,
                row.name,
                row.instructions,
                row.added,
                ratio(row.times_header_mutation),
                ratio(row.times_lua)
            )?;
            if row.appended < row.headers {
                write!(f, "  (appends {} of {})", row.appended, row.headers)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> BenchReport {
        let mut report = BenchReport::new(70_000);
        report.add(HEADER_MUTATION, 1, 1, 74_000);
        report.add(LUA, 1, 1, 90_000);
        report.add("ours", 1, 1, 80_000);
        report.add("other", 10, 0, 80_000);
        report
    }

    #[test]
    fn ratios_compare_added_instructions_of_the_same_number_of_headers() {
        let figures: Vec<_> = report()
            .rows
            .iter()
            .map(|row| (row.added, row.times_header_mutation, row.times_lua))
            .collect();
        assert_eq!(
            figures,
            [
                (4_000, Some(1.0), Some(0.2)),
                (20_000, Some(5.0), Some(1.0)),
                (10_000, Some(2.5), Some(0.5)),
                (10_000, None, None),
            ]
        );
    }

    #[test]
    fn table_notes_missing_headers() {
        let table = report().to_string();
        assert!(table.contains("(appends 0 of 10)"), "{table}");
    }
}
