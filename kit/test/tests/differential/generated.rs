//! Scenarios that are generated: host calls × callbacks × arguments.

mod actions;
mod groups;
mod http_calls;
mod maps;
mod places;
mod reading;
mod state;
mod streams;
mod tcp;
mod traps;
mod wasi;

use crate::scenario::Scenario;

use groups::Group;

/// Scenarios in which Envoy crashes.
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
    let groups = [
        http_calls::groups(),
        maps::groups(),
        reading::groups(),
        state::groups(),
        streams::groups(),
    ];
    let groups = groups.iter().flatten();
    let mut scenarios: Vec<_> = groups.flat_map(Group::scenarios).collect();
    scenarios.extend(actions::scenarios());
    scenarios.extend(tcp::scenarios());
    scenarios.extend(traps::scenarios());
    scenarios.extend(wasi::scenarios());
    for scenario in &mut scenarios {
        let name = scenario.name.as_str();
        scenario.is_alone = CRASHES.contains(&name) || LOGS_EARLY.contains(&name);
    }
    scenarios
}
