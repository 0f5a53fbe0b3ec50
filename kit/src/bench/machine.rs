//! Time and memory, which say something of the machine that they were measured on alone.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::load::{self, Load};
use super::proxy::Proxy;
use super::subject::{Subject, Workload};

/// Requests that are sent before any is measured.
const WARM_UP: u32 = 20_000;

/// Requests of one subject in one round.
const REQUESTS: u32 = 20_000;

/// Connections side by side.
const CONNECTIONS: u32 = 16;

/// Workers beyond the first, over which the memory that each of them takes is averaged.
const MORE_WORKERS: u32 = 4;

/// What was measured of one subject.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// The subject's name.
    pub name: String,
    /// Requests in a second, the median of the rounds.
    pub requests_per_second: f64,
    /// The time within which half of the responses came, in microseconds; the median of the rounds.
    pub p50_microseconds: u64,
    /// The time within which 99 of 100 responses came, likewise.
    pub p99_microseconds: u64,
    /// What one worker more takes of memory, in bytes.
    pub bytes_per_worker: u64,
}

/// Measures the subjects in turn, so many rounds of it, so that whatever else the machine does
/// meets all of them. Each has an Envoy of its own with one worker.
///
/// # Errors
///
/// When an Envoy does not start or does not answer.
pub fn measure(
    envoy: &Path,
    subjects: &[Subject],
    workload: &Workload,
    rounds: u32,
) -> Result<Vec<Measured>> {
    let mut running = Vec::new();
    for subject in subjects {
        let proxy = Proxy::start(envoy, &subject.filter, workload, 1)?;
        load::send(&proxy.url(), WARM_UP, CONNECTIONS)?;
        running.push((subject, proxy, Vec::new()));
    }
    for _ in 0..rounds {
        for (_, proxy, loads) in &mut running {
            loads.push(load::send(&proxy.url(), REQUESTS, CONNECTIONS)?);
        }
    }
    running
        .into_iter()
        .map(|(subject, proxy, loads)| {
            let one = proxy.resident_memory()?;
            drop(proxy);
            let proxy = Proxy::start(envoy, &subject.filter, workload, 1 + MORE_WORKERS)?;
            load::send(&proxy.url(), WARM_UP, CONNECTIONS * (1 + MORE_WORKERS))?;
            let all = proxy.resident_memory()?;
            let of_each = |figure: fn(&Load) -> f64| median(loads.iter().map(figure).collect());
            Ok(Measured {
                name: subject.name.clone(),
                requests_per_second: of_each(Load::per_second).round(),
                p50_microseconds: of_each(|load| load.percentile(50) as f64) as u64,
                p99_microseconds: of_each(|load| load.percentile(99) as f64) as u64,
                bytes_per_worker: all.saturating_sub(one) / u64::from(MORE_WORKERS),
            })
        })
        .collect()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
