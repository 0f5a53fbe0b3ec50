//! The host calls, with arguments within their limits, at them and beyond.

use crate::module::Out;

use super::places::{PLACES, Place};
use super::{Group, Probe};

/// An address without memory.
const BAD: &str = "#0x7fffffff";
const VALUE: Out = Out::Bytes(0, 4);
const NUMBER: Out = Out::Number(8);

/// Host calls that only read, so that one follows another.
fn reading(name: &'static str, outs: &[Out], calls: impl IntoIterator<Item = String>) -> Group {
    Group {
        name,
        is_single: false,
        places: PLACES.to_vec(),
        probes: probes(name, outs, calls),
    }
}

/// Host calls that change something.
fn changing(
    name: &'static str,
    places: &[&str],
    outs: &[Out],
    calls: impl IntoIterator<Item = String>,
) -> Group {
    Group {
        name,
        is_single: true,
        places: Place::named(places),
        probes: probes(name, outs, calls),
    }
}

fn probes(name: &str, outs: &[Out], calls: impl IntoIterator<Item = String>) -> Vec<Probe> {
    calls
        .into_iter()
        .map(|arguments| Probe {
            call: format!("$proxy_{name} {arguments}"),
            outs: outs.to_vec(),
        })
        .collect()
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// Each of the first with each of the second.
fn each<A: std::fmt::Display, B: std::fmt::Display>(
    first: impl IntoIterator<Item = A>,
    second: &[B],
) -> Vec<String> {
    first
        .into_iter()
        .flat_map(|first| second.iter().map(move |second| format!("#{first} {second}")))
        .collect()
}

const BODIES: [&str; 2] = ["request_body", "response_body"];
const STREAM: [&str; 6] = [
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
];

pub fn groups() -> Vec<Group> {
    let mut groups = vec![
        reading("get_log_level", &[NUMBER], strings(["#8", BAD])),
        reading("get_current_time_nanoseconds", &[], strings(["#8", BAD])),
        reading("get_buffer_status", &[NUMBER, Out::Number(12)], {
            let mut calls = each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, -1], &["#8 #12"]);
            calls.extend(each([7], &[format!("{BAD} #12"), format!("#8 {BAD}")]));
            calls
        }),
        reading("get_buffer_bytes", &[VALUE], {
            let ranges = [
                "#0 #0 @out", "#0 #5 @out", "#1 #2 @out", "#3 #100 @out", "#100 #1 @out", "#5 #0 @out",
                "#0 #-1 @out", "#1 #-1 @out", "#-1 #1 @out", "#-1 #-1 @out", "#0 #0x7fffffff @out",
            ];
            let mut calls = each([0, 1, 4, 6, 7], &ranges);
            calls.extend(each([2, 3, 5, 8, 9, 100, -1], &["#0 #0 @out", "#0 #5 @out", "#1 #-1 @out"]));
            calls.extend(each([7], &[format!("#0 #5 {BAD} #4"), format!("#0 #5 #0 {BAD}")]));
            calls
        }),
        reading("get_header_map_size", &[NUMBER], {
            let mut calls = each([0, 1, 2, 3, 4, 5, 6, 7, 8, 100, -1], &["#8"]);
            calls.extend(each([0], &[BAD]));
            calls
        }),
        reading("get_header_map_pairs", &[VALUE], {
            let mut calls = each([0, 1, 2, 3, 4, 5, 6, 7, 8, 100, -1], &["@out"]);
            calls.extend(each([0], &[format!("{BAD} #4"), format!("#0 {BAD}")]));
            calls
        }),
        reading("get_header_map_value", &[VALUE], {
            let names = [
                "@\"name\" @out", "@\"NAME\" @out", "@\"none\" @out", "@\"\" @out", "@\"trailer\" @out",
                "@\":path\" @out", "@\":status\" @out", "@\"host\" @out", "@\":authority\" @out",
            ];
            let mut calls = each([0, 1, 2, 3, 6, 7], &names);
            calls.extend(each([4, 5, 8, 100, -1], &["@\"name\" @out"]));
            calls.extend(each([0], &[
                format!("{BAD} #4 @out"),
                format!("@\"name\" {BAD} #4"),
                format!("@\"name\" #0 {BAD}"),
            ]));
            calls
        }),
        reading("get_status", &[NUMBER, VALUE], {
            vec!["#8 @out".to_owned(), format!("{BAD} @out"), format!("#8 {BAD} #4"), format!("#8 #0 {BAD}")]
        }),
    ];
    groups.push(changing("set_buffer_bytes", &BODIES, &[], {
        let ranges = [
            "#0 #0 @\"new\"", "#0 #1 @\"new\"", "#0 #100 @\"new\"", "#0 #-1 @\"new\"", "#1 #0 @\"new\"",
            "#1 #1 @\"new\"", "#1 #-1 @\"new\"", "#100 #0 @\"new\"", "#-1 #0 @\"new\"", "#-1 #-1 @\"new\"",
            "#0 #100 @\"\"", "#0 #0 @\"\"", "#0 #8 @\"new\"", "#8 #0 @\"new\"", "#9 #0 @\"new\"",
            "#0 #9 @\"new\"", "#0 #100 @\"something that is longer\"",
        ];
        each([0, 1], &ranges)
    }));
    groups.push(changing("send_local_response", &STREAM, &[], strings([
        "#403 @\"details\" @\"denied\" #0 #0 #-1",
        "#200 @\"\" @\"\" #0 #0 #-1",
        "#418 @\"\" @\"\" #0 #0 #7",
        "#0 @\"\" @\"text\" #0 #0 #-1",
        "#99 @\"\" @\"text\" #0 #0 #-1",
        "#600 @\"\" @\"text\" #0 #0 #-1",
        "#204 @\"\" @\"text\" #0 #0 #-1",
        "#65536 @\"\" @\"text\" #0 #0 #-1",
    ])));
    groups.push(changing("continue_stream", &STREAM, &[], strings(["#0", "#1", "#2", "#3", "#4"])));
    groups.push(changing("close_stream", &STREAM, &[], strings(["#0", "#1", "#2", "#3", "#4"])));
    groups
}
