//! What typical extensions do.

mod bodies;
mod calls;
mod grpc;
mod headers;
mod lifecycle;
mod local_responses;
mod rare;
mod state;
mod tcp;

use crate::scenario::Scenario;

pub fn scenarios() -> Vec<Scenario> {
    [
        bodies::scenarios(),
        calls::scenarios(),
        grpc::scenarios(),
        headers::scenarios(),
        lifecycle::scenarios(),
        local_responses::scenarios(),
        rare::scenarios(),
        state::scenarios(),
        tcp::scenarios(),
    ]
    .concat()
}
