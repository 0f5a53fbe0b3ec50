//! Scenarios that are generated: host calls × callbacks × arguments.

mod actions;
mod calls;
mod places;
mod traps;
mod wasi;

use crate::module::{Out, probe};
use crate::scenario::Scenario;

use places::Place;

/// Host calls with their arguments, as a module makes them one after another.
pub struct Probe {
    calls: Vec<(String, Vec<Out>)>,
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
    name: String,
    /// Whether each of them changes what follows, so that it needs a scenario of its own.
    is_single: bool,
    /// The places where they are made.
    places: Vec<Place>,
    probes: Vec<Probe>,
}

/// Scenarios that Envoy does not survive.
const CRASHES: [&str; 18] = [
    "at_once.response_headers.0.short",
    "at_once.response_trailers.0",
    "close_stream.delete_stream.1",
    "close_stream.delete_stream.2",
    "close_stream.done_stream.1",
    "close_stream.done_stream.2",
    "close_stream.log.1",
    "close_stream.log.2",
    "close_stream.response_trailers.1",
    "close_stream.response_trailers.2",
    "continue_stream.create_stream.2",
    "continue_stream.request_body.2",
    "continue_stream.request_headers.2",
    "continue_stream.request_trailers.2",
    "continue_stream.response_trailers.2",
    "send_local_response.delete_stream.1",
    "send_local_response.done_stream.1",
    "send_local_response.log.1",
];

/// Scenarios whose modules log before they have a plugin.
const LOGS_EARLY: [&str; 2] = ["fd_write.initialize", "log.initialize"];

pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios: Vec<_> = calls::groups().iter().flat_map(Group::scenarios).collect();
    scenarios.extend(actions::scenarios());
    scenarios.extend(traps::scenarios());
    scenarios.extend(wasi::scenarios());
    for scenario in &mut scenarios {
        let name = scenario.name.as_str();
        scenario.is_alone = CRASHES.contains(&name) || LOGS_EARLY.contains(&name);
    }
    scenarios
}

impl Group {
    fn scenarios(&self) -> Vec<Scenario> {
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
