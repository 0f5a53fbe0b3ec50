//! Compares the check of modules with real Envoys: releases from 1.36 to 1.40 load modules, one for
//! each rule, and serve requests.

mod batch;
mod case;
mod exports;
mod functions;
mod markers;
mod memories;
mod proposals;
mod sections;
mod sizes;
#[cfg(feature = "trial")]
mod starts;

use std::sync::LazyLock;

use proxy_wasm_abi::EnvoyVersion;
use proxy_wasm_check::{Report, check_module};
use proxy_wasm_test::envoy::fetched;

use case::Case;

/// The modules, and the reports of their checks.
static CASES: LazyLock<Vec<(Case, Report)>> = LazyLock::new(|| {
    let groups = [
        exports::cases(),
        functions::cases(),
        markers::cases(),
        memories::cases(),
        proposals::cases(),
        sections::cases(),
        sizes::cases(),
        #[cfg(feature = "trial")]
        starts::cases(),
    ];
    groups
        .into_iter()
        .flatten()
        .map(|case| {
            let report = check_module(&case.module);
            (case, report)
        })
        .collect()
});

fn version(text: &str) -> EnvoyVersion {
    let mut numbers = text.split('.').map(|part| part.parse().expect(text));
    let mut number = || numbers.next().expect(text);
    EnvoyVersion::new(number(), number())
}

/// Whether Envoy of this version loads a module, according to the check.
fn is_accepted(report: &Report, envoy: EnvoyVersion) -> bool {
    let mut verdicts = report.consumers.iter();
    let verdict = verdicts.find(|verdict| verdict.name == "envoy");
    verdict
        .and_then(|verdict| verdict.since)
        .is_some_and(|since| version(since) <= envoy)
}

/// Compares the check of all modules with an Envoy release.
fn compare(release: &str) {
    let envoy = fetched(release).expect("an Envoy");
    let cases: Vec<&Case> = CASES.iter().map(|(case, _)| case).collect();
    let outcomes = batch::outcomes(&envoy, &cases);
    let mut differences = String::new();
    for ((case, report), is_loaded) in CASES.iter().zip(&outcomes) {
        let release = version(release);
        let is_expected = is_accepted(report, release)
            || case.rejected_since.is_some_and(|since| release < since);
        if is_expected != *is_loaded {
            let does = if *is_loaded { "loads" } else { "does not load" };
            let log = batch::log(&envoy, case);
            differences += &format!("Envoy {release} {does}: {}\n{report}\n{log}\n", case.name);
        }
    }
    let loaded = outcomes.iter().filter(|outcome| **outcome).count();
    println!("Envoy {release} loads {loaded} of {} modules", cases.len());
    assert!(differences.is_empty(), "{differences}");
    assert!(0 < loaded && loaded < cases.len());
}

/// A test for each release. PyPI has all of them for the same platforms.
macro_rules! releases {
    ($($test:ident: $release:literal;)*) => {
        $(
            #[test]
            #[cfg_attr(
                not(any(
                    all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"),
                    all(target_os = "linux", target_env = "gnu", target_arch = "aarch64"),
                    all(target_os = "macos", target_arch = "aarch64"),
                )),
                ignore = "PyPI has no Envoy for this platform"
            )]
            fn $test() {
                compare($release);
            }
        )*
    };
}

releases! {
    envoy_1_36_does_as_predicted: "1.36.4";
    envoy_1_37_does_as_predicted: "1.37.0";
    envoy_1_38_does_as_predicted: "1.38.2";
    envoy_1_39_does_as_predicted: "1.39.3";
    envoy_1_40_does_as_predicted: "1.40.0";
}
