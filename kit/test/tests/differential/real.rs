//! Runs scenarios in a real Envoy, one after another.
//!
//! One Envoy with one worker thread has a listener for each scenario of a batch. The upstream, the
//! service and the client run in the thread of the test. Between any two steps, a listener without an
//! extension responds to a request: then the worker has processed all that was sent before.

mod client;
mod envoy;
mod log;
mod resources;
mod server;
mod services;
mod tcp;
mod wire;

use anyhow::Result;

use crate::observation::{Failure, Observation};
use crate::scenario::Scenario;

use envoy::{RealEnvoy, has_crashed};
use log::entries;

/// Runs scenarios in one Envoy. If it crashes in one of them, the others run in another.
pub fn run(scenarios: &[&Scenario]) -> Result<Vec<Observation>> {
    let (index, observation) = match try_all(scenarios)? {
        Outcome::Survived(observations) => return Ok(observations),
        Outcome::Crashed(index, observation) => (index, *observation),
    };
    let (before, after) = (&scenarios[..index], &scenarios[index + 1..]);
    if scenarios.len() > 1 {
        println!(
            "{} crashes Envoy: it takes less time alone",
            scenarios[index].name
        );
    }
    let mut observations = match before.len() + after.len() {
        0 => Vec::new(),
        _ => run(&[before, after].concat())?,
    };
    observations.insert(index, observation);
    Ok(observations)
}

/// Whether Envoy has crashed in one of the scenarios.
enum Outcome {
    Survived(Vec<Observation>),
    /// It has crashed in the scenario with this index.
    Crashed(usize, Box<Observation>),
}

fn try_all(scenarios: &[&Scenario]) -> Result<Outcome> {
    let crash = Observation {
        failure: Some(Failure::Crash),
        ..Observation::default()
    };
    let mut envoy = match RealEnvoy::start(scenarios) {
        Err(error) if scenarios.len() == 1 && has_crashed(&format!("{error:?}")) => {
            return Ok(Outcome::Crashed(0, Box::new(crash)));
        }
        result => result?,
    };
    let mut runs = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        match envoy.run(scenario) {
            Ok(run) => runs.push(run),
            Err(_) if envoy.has_crashed() => {
                let log = entries(&envoy.log()?);
                let mut observation = Observation {
                    has_started: true,
                    ..crash
                };
                envoy.observe_log(&log, &[], index, scenario, &mut observation);
                return Ok(Outcome::Crashed(index, Box::new(observation)));
            }
            Err(error) => return Err(error.context(format!("{} in Envoy", scenario.name))),
        }
    }
    let end = envoy.log_length();
    envoy.shut_plugins_down()?;
    let log = entries(&envoy.log()?);
    let starts: Vec<usize> = runs.iter().map(|(start, _)| *start).chain([end]).collect();
    let runs = scenarios.iter().zip(runs).enumerate();
    let observations = runs.map(|(index, (scenario, (_, mut observation)))| {
        envoy.observe_log(&log, &starts, index, scenario, &mut observation);
        observation
    });
    Ok(Outcome::Survived(observations.collect()))
}
