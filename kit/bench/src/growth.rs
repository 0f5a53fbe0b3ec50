//! How what a filter costs grows: with the number of workers, and of streams side by side.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::load::Load;
use super::machine::{in_turn, median, start};
use super::subject::{Subject, Workload};

/// Connections side by side when the number of workers grows: enough that each worker gets some.
const CONNECTIONS: u32 = 64;

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Growth {
    /// Instructions with so many streams side by side, one worker. Any machine reproduces them.
    pub instructions: Vec<Instructions>,
    /// Time with so many streams side by side, one worker, on this machine.
    pub streams: Vec<Streams>,
    /// Time and memory with so many workers, on this machine.
    pub workers: Vec<Workers>,
}

/// The instructions of one subject with so many streams side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Instructions {
    /// The subject's name.
    pub name: String,
    /// Streams side by side, each on a connection of its own.
    pub streams: u32,
    /// Instructions of the whole proxy for one request.
    pub instructions: u64,
    /// How many of them the filter adds.
    pub added: u64,
}

/// The time of one subject with so many streams side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Streams {
    /// The subject's name.
    pub name: String,
    /// Streams side by side, each on a connection of its own.
    pub streams: u32,
    /// Requests in a second, the median of the rounds.
    pub requests_per_second: f64,
    /// The time within which half of the responses came, in microseconds; the median of the rounds.
    pub p50_microseconds: u64,
    /// The time within which 99 of 100 responses came, likewise.
    pub p99_microseconds: u64,
}

/// The time and memory of one subject with so many workers.
#[derive(Clone, Debug, Serialize)]
pub struct Workers {
    /// The subject's name.
    pub name: String,
    /// The proxy's workers.
    pub workers: u32,
    /// Requests in a second, the median of the rounds.
    pub requests_per_second: f64,
    /// The memory of the whole proxy, in bytes.
    pub resident_bytes: u64,
}

impl Growth {
    /// Adds what was counted of a subject. The first one is without a filter.
    pub fn count(&mut self, name: &str, per_request: &[(u32, u64)]) {
        for &(streams, instructions) in per_request {
            let without = self.instructions.iter().find(|row| row.streams == streams);
            let without = without.map_or(instructions, |row| row.instructions);
            self.instructions.push(Instructions {
                name: name.to_owned(),
                streams,
                instructions,
                added: instructions.saturating_sub(without),
            });
        }
    }
}

/// Measures the subjects with each number of streams, one worker.
///
/// # Errors
///
/// When an Envoy does not start or does not answer.
pub fn with_streams(
    envoy: &Path,
    subjects: &[&Subject],
    workload: &Workload,
    rounds: u32,
    streams: &[u32],
) -> Result<Vec<Streams>> {
    let Some(&most) = streams.iter().max() else {
        return Ok(Vec::new());
    };
    let running = start(envoy, subjects.iter().copied(), workload, 1, most)?;
    let mut rows = Vec::new();
    for &streams in streams {
        let loads = in_turn(&running, rounds, streams)?;
        rows.extend(running.iter().zip(loads).map(|(running, loads)| Streams {
            name: running.subject.name.clone(),
            streams,
            requests_per_second: median(&loads, Load::per_second).round(),
            p50_microseconds: median(&loads, |load| load.percentile(50)),
            p99_microseconds: median(&loads, |load| load.percentile(99)),
        }));
    }
    Ok(rows)
}

/// Measures the subjects with each number of workers.
///
/// # Errors
///
/// When an Envoy does not start or does not answer.
pub fn with_workers(
    envoy: &Path,
    subjects: &[&Subject],
    workload: &Workload,
    rounds: u32,
    workers: &[u32],
) -> Result<Vec<Workers>> {
    let mut rows = Vec::new();
    for &workers in workers {
        let subjects = subjects.iter().copied();
        let running = start(envoy, subjects, workload, workers, CONNECTIONS)?;
        let loads = in_turn(&running, rounds, CONNECTIONS)?;
        for (running, loads) in running.iter().zip(loads) {
            rows.push(Workers {
                name: running.subject.name.clone(),
                workers,
                requests_per_second: median(&loads, Load::per_second).round(),
                resident_bytes: running.proxy.resident_memory()?,
            });
        }
    }
    Ok(rows)
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names = self.instructions.iter().map(|row| &row.name);
        let names = names.chain(self.streams.iter().map(|row| &row.name));
        let names = names.chain(self.workers.iter().map(|row| &row.name));
        let width = names.map(String::len).max().unwrap_or_default().max(10);
        if !self.instructions.is_empty() {
            writeln!(
                f,
                "\nInstructions per request with streams side by side, one worker (any machine)\n\
                 {:>7}  {:width$}  {:>12}  {:>10}",
                "streams", "filter", "instructions", "added"
            )?;
        }
        for row in &self.instructions {
            writeln!(
                f,
                "{:>7}  {:width$}  {:>12}  {:>10}",
                row.streams, row.name, row.instructions, row.added
            )?;
        }
        if !self.streams.is_empty() {
            writeln!(
                f,
                "\nOn this machine, at this time: streams side by side, one worker\n\
                 {:>7}  {:width$}  {:>10}  {:>9}  {:>9}",
                "streams", "filter", "requests/s", "p50 in µs", "p99 in µs"
            )?;
        }
        for row in &self.streams {
            writeln!(
                f,
                "{:>7}  {:width$}  {:>10}  {:>9}  {:>9}",
                row.streams,
                row.name,
                row.requests_per_second,
                row.p50_microseconds,
                row.p99_microseconds
            )?;
        }
        if !self.workers.is_empty() {
            writeln!(
                f,
                "\nOn this machine, at this time: workers, {CONNECTIONS} connections\n\
                 {:>7}  {:width$}  {:>10}  {:>12}",
                "workers", "filter", "requests/s", "memory in kB"
            )?;
        }
        for row in &self.workers {
            writeln!(
                f,
                "{:>7}  {:width$}  {:>10}  {:>12}",
                row.workers,
                row.name,
                row.requests_per_second,
                row.resident_bytes / 1000
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_more_than_without_a_filter_with_as_many_streams() {
        let mut growth = Growth::default();
        growth.count("no filter", &[(1, 70_000), (64, 75_000)]);
        growth.count("ours", &[(1, 80_000), (64, 84_000)]);
        let added: Vec<_> = growth
            .instructions
            .iter()
            .map(|row| (row.streams, row.added))
            .collect();
        assert_eq!(added, [(1, 0), (64, 0), (1, 10_000), (64, 9_000)]);
        let table = growth.to_string();
        assert!(table.contains("84000        9000"), "{table}");
        assert!(!table.contains("On this machine"), "{table}");
    }
}
