//! The services that modules call.

use std::collections::BTreeMap;

use crate::messages::{Reaction, reaction};
use crate::observation::Received;
use crate::scenario::{CALLER, Scenario};

use super::server::Server;

/// What the services of each scenario do, by the scenario's ID: a plugin may call one as soon as it
/// starts.
pub struct Services(BTreeMap<String, Vec<(String, Reaction)>>);

impl Services {
    pub fn new(scenarios: &[&Scenario]) -> Self {
        let scenarios = scenarios.iter();
        let services = scenarios.map(|scenario| (scenario.id(), scenario.services.clone()));
        Self(services.collect())
    }

    pub fn react(&self, call: &Received) -> Reaction {
        let services = scenario_id(call).and_then(|id| self.0.get(id));
        let path = call.start.split(' ').nth(1);
        reaction(
            services.map_or(&[], Vec::as_slice),
            path.unwrap_or_default(),
        )
    }
}

/// The ID of the scenario that a call belongs to: its authority or, in a gRPC call, a field.
fn scenario_id(call: &Received) -> Option<&str> {
    let mut fields = call.fields.iter();
    let field = fields.find(|(name, _)| name == CALLER);
    field.map_or_else(|| call.start.split(' ').nth(2), |(_, id)| Some(id))
}

/// The calls of a scenario that a server has received.
pub fn take_calls(service: &mut Server, id: &str) -> Vec<Received> {
    let calls = service.take_requests(|call| scenario_id(call) == Some(id));
    calls.into_iter().map(without_frames).collect()
}

/// What is compared of a call: for gRPC, only the path and the metadata that the module has set.
fn without_frames(mut call: Received) -> Received {
    if call.fields.iter().any(|(name, _)| name == CALLER) {
        call.fields.retain(|(name, _)| name.starts_with("x-"));
        call.body.clear();
        call.is_complete = true;
    }
    call
}
