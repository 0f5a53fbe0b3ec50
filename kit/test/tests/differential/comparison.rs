//! How two observations differ.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::observation::{Failure, Observation};

/// The lines of both observations to compare.
///
/// If a scenario breaks Envoy, the embedded proxy returns an error that says so. Then only what was
/// logged before is compared.
pub fn lines_of(
    envoy: &Observation,
    embedded: &Observation,
    is_unfiltered: bool,
) -> (Vec<String>, Vec<String>) {
    if embedded.failure != Some(Failure::BreaksEnvoy) || !envoy.is_broken() {
        let mut left = envoy.lines(is_unfiltered);
        // An error of the embedded proxy has only what the last callback has logged.
        if !embedded.has_started {
            let earlier = envoy.log.len().saturating_sub(embedded.log.len());
            left.drain(..earlier);
        }
        return (left, embedded.lines(is_unfiltered));
    }
    let (mut left, mut right) = (envoy.log_lines(), embedded.log_lines());
    let length = left.len().min(right.len());
    left.truncate(length);
    right.truncate(length);
    (left, right)
}

/// The lines that only one of the two proxies has, or that they have in different places.
pub fn compare<'a>(envoy: &'a [String], embedded: &'a [String]) -> Vec<&'a str> {
    let rows = align(envoy, embedded).into_iter();
    rows.filter(|(left, right)| left != right)
        .flat_map(|(left, right)| left.into_iter().chain(right))
        .map(String::as_str)
        .collect()
}

/// Both observations beside each other, with a mark at each line that differs. Long runs of equal
/// lines are left out.
pub fn side_by_side(envoy: &[String], embedded: &[String]) -> String {
    let rows = align(envoy, embedded);
    let differing: BTreeSet<usize> = rows
        .iter()
        .enumerate()
        .filter(|(_, (left, right))| left != right)
        .map(|(index, _)| index)
        .collect();
    let is_near = |index: usize| {
        let from = index.saturating_sub(2);
        differing.range(from..=index + 2).next().is_some()
    };
    let mut text = format!("    {:<60} | embedded proxy\n", "Envoy");
    for (index, (left, right)) in rows.iter().enumerate().filter(|(index, _)| is_near(*index)) {
        let mark = if differing.contains(&index) { '!' } else { ' ' };
        let [left, right] = [left, right].map(|line| line.map_or("", String::as_str));
        let _ = writeln!(text, "  {mark} {left:<60} | {right}");
    }
    text
}

type Row<'a> = (Option<&'a String>, Option<&'a String>);

/// Pairs equal lines, as many as possible in order (the longest common subsequence).
fn align<'a>(left: &'a [String], right: &'a [String]) -> Vec<Row<'a>> {
    let width = right.len() + 1;
    let mut lengths = vec![0_u32; (left.len() + 1) * width];
    for row in (0..left.len()).rev() {
        for column in (0..right.len()).rev() {
            lengths[row * width + column] = if left[row] == right[column] {
                lengths[(row + 1) * width + column + 1] + 1
            } else {
                lengths[(row + 1) * width + column].max(lengths[row * width + column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut rows = Vec::new();
    // The lines between two equal ones, which are paired in order.
    let mut differing: (Vec<&String>, Vec<&String>) = Default::default();
    let flush = |rows: &mut Vec<Row<'a>>,
                 (left, right): &mut (Vec<&'a String>, Vec<&'a String>)| {
        let count = left.len().max(right.len());
        rows.extend((0..count).map(|index| (left.get(index).copied(), right.get(index).copied())));
        left.clear();
        right.clear();
    };
    while row < left.len() && column < right.len() {
        if left[row] == right[column] {
            flush(&mut rows, &mut differing);
            rows.push((Some(&left[row]), Some(&right[column])));
            (row, column) = (row + 1, column + 1);
        } else if lengths[(row + 1) * width + column] >= lengths[row * width + column + 1] {
            differing.0.push(&left[row]);
            row += 1;
        } else {
            differing.1.push(&right[column]);
            column += 1;
        }
    }
    differing.0.extend(&left[row..]);
    differing.1.extend(&right[column..]);
    flush(&mut rows, &mut differing);
    rows
}
