//! The embedded proxy beside a real Envoy: the same modules, the same traffic, the same results.
//!
//! `SCENARIOS='auth.*' cargo test … --test differential -- --nocapture` runs the scenarios whose names
//! match, and prints what differs. `*` is any text.

mod checksum;
mod comparison;
mod differences;
mod embedded;
mod generated;
mod messages;
mod module;
mod observation;
mod progress;
mod real;
mod scenario;
mod tcp;
mod typical;

#[path = "../proxy/modules.rs"]
#[allow(dead_code)] // other tests use the rest
mod modules;
#[path = "../proxy/wat.rs"]
#[allow(dead_code)] // other tests use the rest
mod wat;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};

use comparison::{compare, lines_of, side_by_side};
use differences::{DIFFERENCES, Difference, matches};
use observation::Observation;
use scenario::Scenario;

/// How many Envoys run at the same time, each with a batch of scenarios.
const MAX_ENVOYS: usize = 3;
const BATCH: usize = 60;

#[test]
fn embedded_proxy_behaves_like_envoy() -> Result<()> {
    let pattern = env::var("SCENARIOS").ok();
    let mut scenarios = all_scenarios();
    scenarios.retain(|scenario| {
        let pattern = pattern.as_deref().unwrap_or("*");
        matches(pattern, &scenario.name)
    });
    ensure!(!scenarios.is_empty(), "no scenario matches {pattern:?}");

    let begin = Instant::now();
    let mut equal = 0;
    let mut unexplained = Vec::new();
    // How many scenarios have each difference, by its index.
    let mut found = BTreeMap::<usize, u32>::new();
    let mut embedded = Vec::new();
    for scenario in &mut scenarios {
        let (observation, progress) = embedded::run(scenario);
        scenario.progress = progress;
        embedded.push(observation);
    }
    let observations = run_all(&scenarios)?.into_iter().zip(embedded);
    for (scenario, (envoy, embedded)) in scenarios.iter().zip(observations) {
        let (envoy, embedded) = lines_of(&envoy, &embedded, scenario.is_unfiltered);
        let lines = compare(&envoy, &embedded);
        equal += usize::from(lines.is_empty());
        let reasons = lines.iter().map(|line| {
            let covers = |difference: &Difference| difference.covers(&scenario.name, line);
            DIFFERENCES.iter().position(covers)
        });
        let reasons: BTreeSet<_> = reasons.collect();
        let is_unexplained = reasons.contains(&None);
        if is_unexplained || (pattern.is_some() && !lines.is_empty()) {
            println!("== {}\n{}", scenario.name, side_by_side(&envoy, &embedded));
        }
        if is_unexplained {
            unexplained.push(&scenario.name);
        }
        for reason in reasons.into_iter().flatten() {
            *found.entry(reason).or_default() += 1;
        }
    }
    let (count, elapsed) = (scenarios.len(), begin.elapsed());
    println!("{count} scenarios, {equal} of them equal, in {elapsed:?}");
    let mut obsolete = Vec::new();
    for (index, difference) in DIFFERENCES.iter().enumerate() {
        match found.get(&index) {
            Some(count) => println!("{count:4}: {}", difference.embedded),
            None => obsolete.push(difference.embedded),
        }
    }
    ensure!(
        unexplained.is_empty(),
        "the proxies differ in {} scenarios, and differences.rs does not say why: {unexplained:?}",
        unexplained.len()
    );
    ensure!(
        pattern.is_some() || obsolete.is_empty(),
        "differences.rs lists differences that no scenario has: {obsolete:#?}"
    );
    Ok(())
}

#[test]
fn scenario_names_are_unique() {
    let scenarios = all_scenarios();
    let names: BTreeSet<_> = scenarios.iter().map(|scenario| &scenario.name).collect();
    let ids: BTreeSet<_> = scenarios.iter().map(Scenario::id).collect();
    assert_eq!((names.len(), ids.len()), (scenarios.len(), scenarios.len()));
}

/// With the environment variable `UPDATE`, it writes the document.
#[test]
fn document_is_generated_from_the_list() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/differences.md");
    let document = differences::document();
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &document)?;
    }
    let current = fs::read_to_string(&path)?;
    ensure!(
        current == document,
        "{} is not what differences.rs says; write it again: UPDATE=1 cargo test --features \
         envoy,wat --test differential document",
        path.display()
    );
    Ok(())
}

fn all_scenarios() -> Vec<Scenario> {
    let mut scenarios = typical::scenarios();
    scenarios.extend(generated::scenarios());
    scenarios
}

/// Runs batches of scenarios in real Envoys, some at the same time.
fn run_all(scenarios: &[Scenario]) -> Result<Vec<Observation>> {
    let (alone, shared): (Vec<_>, Vec<_>) =
        scenarios.iter().partition(|scenario| scenario.is_alone);
    let batches: Vec<_> = alone.chunks(1).chain(shared.chunks(BATCH)).collect();
    let batches = Mutex::new(batches.into_iter());
    let run_batches = || -> Result<Vec<(&str, Observation)>> {
        let mut observations = Vec::new();
        loop {
            let batch = batches
                .lock()
                .map_err(|_| anyhow!("another thread has panicked"))?
                .next();
            let Some(batch) = batch else {
                return Ok(observations);
            };
            let names = batch.iter().map(|scenario| scenario.name.as_str());
            observations.extend(names.zip(real::run(batch)?));
        }
    };
    let mut observations = BTreeMap::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..MAX_ENVOYS).map(|_| scope.spawn(run_batches)).collect();
        threads.into_iter().try_for_each(|thread| {
            let result = thread
                .join()
                .map_err(|_| anyhow!("a thread has panicked"))?;
            observations.extend(result?);
            Ok::<_, anyhow::Error>(())
        })
    })?;
    let observations = scenarios.iter().map(|scenario| {
        let observation = observations.remove(scenario.name.as_str());
        observation.with_context(|| format!("{} has not run", scenario.name))
    });
    observations.collect()
}
