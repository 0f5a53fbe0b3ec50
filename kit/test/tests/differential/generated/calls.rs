//! The host calls, with arguments within their limits, at them and beyond.

mod http_calls;
mod maps;
mod reading;
mod state;
mod streams;

use std::fmt::Display;

use crate::module::Out;

use super::places::{PLACES, Place};
use super::{Group, Probe};

/// An address without memory.
const BAD: &str = "#0x7fffffff";
const VALUE: Out = Out::Bytes(0, 4);
const NUMBER: Out = Out::Number(8);

const BODIES: &[&str] = &["request_body", "response_body"];
const STREAM: &[&str] = &[
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
];
/// The callbacks of streams. Those of plugins run in Envoy's main thread as well, which has a VM of its
/// own, and share data with it.
const ONLY_IN_WORKER: &[&str] = &[
    "create_stream",
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
    "call_response",
    "queue_ready",
    "log",
    "done_stream",
    "delete_stream",
];

/// Host calls of which one follows another, in all callbacks.
fn reading(name: &'static str, outs: &[Out], arguments: impl IntoIterator<Item = String>) -> Group {
    Group {
        name: name.to_owned(),
        is_single: false,
        places: PLACES.to_vec(),
        probes: probes(name, outs, arguments),
    }
}

/// Host calls of which each has a scenario of its own.
fn changing(
    name: &'static str,
    places: &[&str],
    outs: &[Out],
    arguments: impl IntoIterator<Item = String>,
) -> Group {
    Group {
        name: name.to_owned(),
        is_single: true,
        places: Place::named(places),
        probes: probes(name, outs, arguments),
    }
}

/// Calls that belong together, in each of these callbacks.
fn sequence(name: &'static str, places: &[&str], calls: &[(&str, &[Out])]) -> Group {
    let calls = calls
        .iter()
        .map(|(call, outs)| ((*call).to_owned(), outs.to_vec()));
    Group {
        name: name.to_owned(),
        is_single: false,
        places: Place::named(places),
        probes: vec![Probe {
            calls: calls.collect(),
        }],
    }
}

fn probes(name: &str, outs: &[Out], calls: impl IntoIterator<Item = String>) -> Vec<Probe> {
    let calls = calls.into_iter();
    calls
        .map(|arguments| Probe {
            calls: vec![(format!("$proxy_{name} {arguments}"), outs.to_vec())],
        })
        .collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Each of the first with each of the second.
fn each<A: Display, B: Display>(first: impl IntoIterator<Item = A>, second: &[B]) -> Vec<String> {
    let first = first.into_iter();
    first
        .flat_map(|first| {
            second
                .iter()
                .map(move |second| format!("#{first} {second}"))
        })
        .collect()
}

pub fn groups() -> Vec<Group> {
    [
        http_calls::groups(),
        maps::groups(),
        reading::groups(),
        state::groups(),
        streams::groups(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn single(name: String, place: &str, probes: Vec<Probe>) -> Group {
    Group {
        name,
        is_single: true,
        places: Place::named(&[place]),
        probes,
    }
}
