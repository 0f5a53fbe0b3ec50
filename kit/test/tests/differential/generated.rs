//! Scenarios that are generated: host calls × callbacks × arguments.

mod calls;
mod places;

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

pub fn scenarios() -> Vec<Scenario> {
    calls::groups().iter().flat_map(Group::scenarios).collect()
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
