//! The findings of a module's trial.

use crate::consumers::{Consumer, Consumers};
use crate::report::Report;

/// Tries the module that `readers` read and whose facts the report has, unless all of them reject it
/// before it starts.
pub fn check(report: &mut Report, readers: &[&'static Consumer], place: &str, bytes: &[u8]) {
    let is_rejected = |consumer: &Consumer| {
        report
            .findings
            .iter()
            .any(|finding| finding.place == place && finding.rejected_by.contains(&consumer.name))
    };
    let readers: Consumers = readers
        .iter()
        .copied()
        .filter(|consumer| !is_rejected(consumer))
        .collect();
    let Some(module) = &mut report.module else {
        return;
    };
    if readers.is_empty() {
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
