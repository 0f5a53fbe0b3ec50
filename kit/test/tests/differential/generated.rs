//! Scenarios that are generated: host calls × callbacks × arguments.

mod calls;
mod places;

use crate::module::{Module, Out, probe};
use crate::scenario::Scenario;

use places::{PLACES, Place};

/// A host call with its arguments, as a module makes it.
pub struct Probe {
    call: String,
    outs: Vec<Out>,
}

/// Host calls of one kind.
pub struct Group {
    /// The name of the host call.
    name: &'static str,
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
                    scenarios.push(place.scenario(name, &probe(&call.call, &call.outs)));
                }
            } else {
                let name = format!("{}.{}", self.name, place.name);
                let calls = self.probes.iter().map(|call| probe(&call.call, &call.outs));
                scenarios.push(place.scenario(name, &calls.collect::<String>()));
            }
        }
        scenarios
    }
}
