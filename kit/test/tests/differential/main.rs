//! The embedded proxy beside a real Envoy: the same modules, the same traffic, the same results.
//!
//! `SCENARIOS='auth*' cargo test … --test differential -- --nocapture` runs the scenarios whose names
//! match, and prints what both proxies do.

mod embedded;
mod generated;
mod log;
mod module;
mod observation;
mod real;
mod resources;
mod scenario;
mod server;
mod typical;
#[path = "../proxy/wat.rs"]
#[allow(dead_code)] // what the other tests need of it
mod wat;
mod wire;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};

use observation::{Observation, compare, side_by_side};
use scenario::Scenario;

/// How many Envoys run at the same time, each with a batch of scenarios.
const LANES: usize = 3;
const BATCH: usize = 60;

#[test]
fn embedded_proxy_behaves_like_envoy() -> Result<()> {
    let mut scenarios: Vec<Scenario> = typical::scenarios();
    scenarios.extend(generated::scenarios());
    if let Ok(pattern) = std::env::var("SCENARIOS") {
        scenarios.retain(|scenario| matches(&pattern, &scenario.name));
        ensure!(!scenarios.is_empty(), "no scenario matches {pattern:?}");
    }
    println!("{} scenarios", scenarios.len());
    let begin = Instant::now();
    let results = run_all(&scenarios)?;
    println!("real {:?}", begin.elapsed());
    let mut differing = 0;
    for (scenario, envoy) in scenarios.iter().zip(results) {
        let embedded = embedded::run(scenario);
        let (envoy, embedded) = (
            envoy.lines(scenario.is_unfiltered),
            embedded.lines(scenario.is_unfiltered),
        );
        if compare(&envoy, &embedded).is_empty() {
            println!("== {} equal ({} lines)", scenario.name, envoy.len());
        } else {
            differing += 1;
            println!("== {}\n{}", scenario.name, side_by_side(&envoy, &embedded));
        }
    }
    println!("all {:?}", begin.elapsed());
    ensure!(differing == 0, "{differing} scenarios differ");
    Ok(())
}

/// Runs batches of scenarios in real Envoys, some at the same time.
fn run_all(scenarios: &[Scenario]) -> Result<Vec<Observation>> {
    let alone = scenarios.iter().filter(|scenario| scenario.is_alone);
    let shared: Vec<&Scenario> = scenarios
        .iter()
        .filter(|scenario| !scenario.is_alone)
        .collect();
    let batches = shared.chunks(BATCH).map(<[_]>::to_vec);
    let batches = Mutex::new(alone.map(|scenario| vec![scenario]).chain(batches));
    let next = || batches.lock().expect("no lane has panicked").next();
    let lane = || -> Result<Vec<(&str, Observation)>> {
        let mut results = Vec::new();
        while let Some(batch) = next() {
            let names = batch.iter().map(|scenario| scenario.name.as_str());
            results.extend(names.zip(real::run(&batch)?));
        }
        Ok(results)
    };
    let results: Result<Vec<_>> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().expect("a lane does not panic"))
            .collect()
    });
    let mut results: BTreeMap<&str, Observation> = results?.into_iter().flatten().collect();
    Ok(scenarios
        .iter()
        .map(|scenario| {
            results
                .remove(scenario.name.as_str())
                .expect("an observation")
        })
        .collect())
}

/// Whether a name matches a pattern, in which `*` is any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            (0..=name.len()).any(|place| name.get(place..).is_some_and(|name| matches(rest, name)))
        }),
    }
}
