//! Reports the result of a module's trial.

use proxy_wasm_abi::EnvoyVersion;

use crate::consumers::{Consumer, Consumers};
use crate::report::Report;
use crate::trial::Trial;

/// Tries the module of the report, which `readers` read, unless all of them reject it before it
/// starts.
pub fn check(report: &mut Report, readers: &[&'static Consumer], place: &str, bytes: &[u8]) {
    let is_rejected = |consumer: &&Consumer| {
        report
            .findings
            .iter()
            .any(|finding| finding.place == place && finding.rejected_by.contains(&consumer.name))
    };
    let (rejecting, readers): (Consumers, Consumers) = readers
        .iter()
        .copied()
        .partition(|consumer| is_rejected(consumer));
    let Some(module) = &mut report.module else {
        return;
    };
    if readers.is_empty() {
        return;
    }
    if newest_envoy(&rejecting) > newest_envoy(&readers) {
        let why = "newer releases of Envoy reject it, and so does the embedded proxy";
        module.trial = Some(Trial {
            not_tried: Some(why.to_owned()),
            ..Trial::default()
        });
        return;
    }
    let (trial, problem) = report.trials.run(&module.digest, bytes);
    module.trial = Some(trial);
    match problem {
        Some(problem) if problem.is_error => {
            report.error(&readers, place, problem.what, problem.how);
        }
        Some(problem) => report.warning(place, problem.what, problem.how),
        None => {}
    }
}

/// The newest Envoy in a release of these consumers.
fn newest_envoy(consumers: &[&'static Consumer]) -> Option<EnvoyVersion> {
    let newest = consumers
        .iter()
        .filter_map(|consumer| consumer.releases.last());
    newest.map(|release| release.envoy).max()
}
