//! Callbacks that trap.

use crate::scenario::Scenario;

use super::places::PLACES;

pub fn scenarios() -> Vec<Scenario> {
    let traps = [
        ("unreachable", "unreachable"),
        ("memory", "(drop (i32.load #0x7fffffff))"),
        ("division", "(drop (i32.div_u #1 (global.get $status)))"),
    ];
    let mut scenarios = Vec::new();
    for place in PLACES {
        for (name, body) in traps {
            scenarios.push(place.scenario(format!("trap.{}.{name}", place.name), body));
        }
    }
    scenarios
}
