//! Host calls that are made in several callbacks, and how to write many of them.

use std::fmt::Display;

use crate::module::{Out, probe};
use crate::scenario::Scenario;

use super::places::{PLACES, Place};

/// Host calls with their arguments, as a module makes them one after another.
pub struct Probe {
    pub calls: Vec<(String, Vec<Out>)>,
}

impl Probe {
    fn body(&self) -> String {
        let calls = self.calls.iter();
        calls.map(|(call, outs)| probe(call, outs)).collect()
    }
}

/// Host calls of one kind.
pub struct Group {
    /// The name of the host call.
    pub name: String,
    /// Whether each of them changes what follows, so that it needs a scenario of its own.
    pub is_single: bool,
    /// The places where they are made.
    pub places: Vec<Place>,
    pub probes: Vec<Probe>,
}

impl Group {
    pub fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        for place in &self.places {
            if self.is_single {
                for (number, call) in (1..).zip(&self.probes) {
                    let name = format!("{}.{}.{number}", self.name, place.name);
                    scenarios.push(place.scenario(name, &call.body()));
                }
            } else {
                let name = format!("{}.{}", self.name, place.name);
                let body: String = self.probes.iter().map(Probe::body).collect();
                scenarios.push(place.scenario(name, &body));
            }
        }
        scenarios
    }
}

/// An address without memory.
pub const BAD: &str = "#0x7fffffff";
pub const VALUE: Out = Out::Bytes(0, 4);
pub const NUMBER: Out = Out::Number(8);

pub const BODIES: &[&str] = &["request_body", "response_body"];
pub const STREAM: &[&str] = &[
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
];

/// Callbacks that run only in a worker thread. Others, such as `configure`, also run in Envoy's main
/// thread, in a VM that shares data with the worker's.
pub const ONLY_IN_WORKER: &[&str] = &[
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

/// Host calls that are made one after another, in all callbacks.
pub fn reading(
    name: &'static str,
    outs: &[Out],
    arguments: impl IntoIterator<Item = String>,
) -> Group {
    Group {
        name: name.to_owned(),
        is_single: false,
        places: PLACES.to_vec(),
        probes: probes(name, outs, arguments),
    }
}

/// Host calls that each have a scenario of their own.
pub fn changing(
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
pub fn sequence(name: &'static str, places: &[&str], calls: &[(&str, &[Out])]) -> Group {
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

pub fn probes(name: &str, outs: &[Out], calls: impl IntoIterator<Item = String>) -> Vec<Probe> {
    let calls = calls.into_iter();
    calls
        .map(|arguments| Probe {
            calls: vec![(format!("$proxy_{name} {arguments}"), outs.to_vec())],
        })
        .collect()
}

pub fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// All pairs of an argument of `first` and one of `second`.
pub fn each<A: Display, B: Display>(
    first: impl IntoIterator<Item = A>,
    second: &[B],
) -> Vec<String> {
    let first = first.into_iter();
    first
        .flat_map(|first| {
            second
                .iter()
                .map(move |second| format!("#{first} {second}"))
        })
        .collect()
}

/// Probes that each have a scenario of their own.
pub fn single(name: String, place: &str, probes: Vec<Probe>) -> Group {
    Group {
        name,
        is_single: true,
        places: Place::named(&[place]),
        probes,
    }
}
