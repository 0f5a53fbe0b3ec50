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

/// A subject in an Envoy of its own.
pub(super) struct Running<'a> {
    pub(super) subject: &'a Subject,
    pub(super) proxy: Proxy,
}

/// Measures the subjects with one worker.
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
    let running = start(envoy, subjects, workload, 1, CONNECTIONS)?;
    let loads = in_turn(&running, rounds, CONNECTIONS)?;
    running
        .into_iter()
        .zip(&loads)
        .map(|(Running { subject, proxy }, loads)| {
            let one = proxy.resident_memory()?;
            drop(proxy);
            let proxy = Proxy::start(envoy, &subject.filter, workload, 1 + MORE_WORKERS)?;
            load::send(&proxy.url(), WARM_UP, CONNECTIONS * (1 + MORE_WORKERS))?;
            let all = proxy.resident_memory()?;
            Ok(Measured {
                name: subject.name.clone(),
                requests_per_second: median(loads, Load::per_second).round(),
                p50_microseconds: median(loads, |load| load.percentile(50)),
                p99_microseconds: median(loads, |load| load.percentile(99)),
                bytes_per_worker: all.saturating_sub(one) / u64::from(MORE_WORKERS),
            })
        })
        .collect()
}

/// Starts an Envoy for each subject, and warms it up.
///
/// # Errors
///
/// As [`measure`].
pub(super) fn start<'a>(
    envoy: &Path,
    subjects: impl IntoIterator<Item = &'a Subject>,
    workload: &Workload,
    workers: u32,
    connections: u32,
) -> Result<Vec<Running<'a>>> {
    subjects
        .into_iter()
        .map(|subject| {
            let proxy = Proxy::start(envoy, &subject.filter, workload, workers)?;
            load::send(&proxy.url(), WARM_UP, connections)?;
            Ok(Running { subject, proxy })
        })
        .collect()
}

/// Sends load to each in turn, so many rounds of it, so that whatever else the machine does meets
/// all of them. Gives the loads of each.
///
/// # Errors
///
/// As [`measure`].
pub(super) fn in_turn(
    running: &[Running],
    rounds: u32,
    connections: u32,
) -> Result<Vec<Vec<Load>>> {
    let mut loads: Vec<Vec<Load>> = running.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (Running { proxy, .. }, loads) in running.iter().zip(&mut loads) {
            loads.push(load::send(&proxy.url(), REQUESTS, connections)?);
        }
    }
    Ok(loads)
}

/// The median of a figure over the rounds.
pub(super) fn median<T: PartialOrd + Default>(loads: &[Load], figure: impl Fn(&Load) -> T) -> T {
    let mut figures: Vec<T> = loads.iter().map(figure).collect();
    figures.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let middle = figures.len() / 2;
    figures.into_iter().nth(middle).unwrap_or_default()
}
