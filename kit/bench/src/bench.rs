//! What an extension costs a proxy, measured where it runs: in a real Envoy, beside what else could
//! do its work.
//!
//! The headline is how many instructions a request takes, counted by callgrind: any machine, however
//! busy, reproduces it. Time and memory are measured too, and are this machine's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::envoy;
use crate::project::Project;

mod floor;
mod growth;
mod instructions;
mod load;
mod machine;
#[cfg(feature = "bench")]
mod plot;
mod proxy;
mod report;
mod subject;

pub use growth::Growth;
pub use machine::Measured;
pub use report::{Report, Row};

use subject::{Filter, Subject, Workload};

/// The name of none in the report.
const NO_FILTER: &str = "no filter";

/// The name of Envoy's own filter in the report.
const HEADER_MUTATION: &str = "native header_mutation";

/// The name of the script in the report.
const LUA: &str = "Lua";

/// The name of the extension as it ships in the report.
const THIS_EXTENSION: &str = "this extension";

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Modules of others, which are measured beside the extension.
    pub modules: Vec<PathBuf>,
    /// With how many headers, one after the other. The first is also what time and memory are
    /// measured with.
    pub headers: Vec<usize>,
    /// What the modules get, if it is not a JSON object of the headers.
    pub configuration: Option<String>,
    /// Rounds in which time is measured; 0 leaves time and memory out.
    pub rounds: u32,
    /// With how many streams side by side, to show how the cost grows; instructions with one and
    /// with the most. None, or 0, leaves it out.
    pub streams: Vec<u32>,
    /// With how many workers, likewise.
    pub workers: Vec<u32>,
}

/// Measures the extension that has been built, and what stands beside it. What has been measured
/// until an error is in the files.
///
/// # Errors
///
/// When there is no Envoy or no load generator, with how to get them; when an Envoy does not take a
/// module or does not answer.
pub fn run(project: &Project, options: &Options) -> Result<Report> {
    load::ensure_installed()?;
    let envoy = envoy::find_or_fetch(&project.target())?;
    let output = project.target().join("bench");
    fs::create_dir_all(&output)?;
    let shipped = project.image_root().join(&project.manifest.module);
    let unshrunk = output.join("unshrunk.wasm");
    fs::write(&unshrunk, project.compile_unshrunk()?)?;

    let mut report = Report::default();
    let counts = instructions::can_be_counted();
    if !counts {
        println!("{}", instructions::ADVICE);
    }
    for (index, &headers) in options.headers.iter().enumerate() {
        let workload = Workload::new(headers, options.configuration.as_deref());
        let subjects = subjects(&output, &shipped, &unshrunk, &workload, &options.modules)?;
        if counts {
            let most = options.streams.iter().copied().max().unwrap_or_default();
            let more: &[u32] = if index == 0 && most > 1 { &[most] } else { &[] };
            count(&envoy, &subjects, &workload, more, &mut report, &output)?;
        }
        if index == 0 && options.rounds > 0 {
            eprintln!("Measuring time and memory, {} rounds", options.rounds);
            report.headers_on_this_machine = headers;
            report.this_machine = machine::measure(&envoy, &subjects, &workload, options.rounds)?;
            write(&report, &output)?;
            grow(&envoy, &subjects, &workload, options, &mut report)?;
            write(&report, &output)?;
        }
    }
    Ok(report)
}

/// Measures how time and memory grow, of what an operator has the choice of.
fn grow(
    envoy: &Path,
    subjects: &[Subject],
    workload: &Workload,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let chosen: Vec<&Subject> = subjects.iter().filter(|s| s.is_choice()).collect();
    let numbers = |numbers: &[u32]| -> Vec<u32> {
        numbers
            .iter()
            .copied()
            .filter(|number| *number > 0)
            .collect()
    };
    let (streams, workers) = (numbers(&options.streams), numbers(&options.workers));
    let (growth, rounds) = (&mut report.growth, options.rounds);
    if !(streams.is_empty() && workers.is_empty()) {
        eprintln!("Measuring with streams side by side {streams:?}, with workers {workers:?}");
    }
    growth.streams = growth::with_streams(envoy, &chosen, workload, rounds, &streams)?;
    growth.workers = growth::with_workers(envoy, &chosen, workload, rounds, &workers)?;
    Ok(())
}

/// All that is measured, the references first.
fn subjects(
    output: &Path,
    shipped: &Path,
    unshrunk: &Path,
    workload: &Workload,
    modules: &[PathBuf],
) -> Result<Vec<Subject>> {
    let bytes = fs::read(shipped).with_context(|| {
        format!(
            "cannot read {}; cargo make build makes it",
            shipped.display()
        )
    })?;
    let by_hand = |name: &str, bytes: Vec<u8>| -> Result<Filter> {
        let path = output.join(format!("{name}-{}.wasm", workload.headers.len()));
        fs::write(&path, bytes)?;
        Ok(Filter::Module(path))
    };
    let smallest = by_hand("smallest", floor::smallest(&workload.headers)?)?;
    let callbacks = floor::with_callbacks_of(&bytes, &workload.headers)?;
    let callbacks = by_hand("callbacks", callbacks)?;
    let mut subjects = vec![
        Subject::new(NO_FILTER, Filter::None),
        Subject::new(HEADER_MUTATION, Filter::HeaderMutation),
        Subject::new(LUA, Filter::Lua),
        Subject::new("by hand, one callback", smallest).reference(),
        Subject::new("by hand, same callbacks", callbacks).reference(),
        Subject::new("not shrunk", Filter::Module(unshrunk.to_owned())).reference(),
        Subject::new(THIS_EXTENSION, Filter::Module(shipped.to_owned())),
    ];
    for module in modules {
        let path = fs::canonicalize(module)
            .with_context(|| format!("cannot read {}", module.display()))?;
        subjects.push(Subject::new(
            &module.display().to_string(),
            Filter::Module(path),
        ));
    }
    Ok(subjects)
}

fn count(
    envoy: &Path,
    subjects: &[Subject],
    workload: &Workload,
    more_streams: &[u32],
    report: &mut Report,
    output: &Path,
) -> Result<()> {
    let headers = workload.headers.len();
    for subject in subjects {
        // Without a filter, nothing depends on the headers.
        if subject.filter == Filter::None && report.without_filter.is_some() {
            continue;
        }
        eprintln!(
            "Counting instructions: {}, headers: {headers}",
            subject.name
        );
        let streams: Vec<u32> = [1]
            .into_iter()
            .chain(more_streams.iter().copied().filter(|_| subject.is_choice()))
            .collect();
        let counted = instructions::count(envoy, subject, workload, &streams)
            .with_context(|| format!("{} cannot be measured", subject.name))?;
        if let [(_, per_request), more @ ..] = counted.per_request.as_slice() {
            if subject.filter == Filter::None {
                report.without_filter = Some(*per_request);
            } else {
                report.add(&subject.name, headers, counted.appended, *per_request);
            }
            if !more.is_empty() {
                report.growth.count(&subject.name, &counted.per_request);
            }
        }
        write(report, output)?;
    }
    Ok(())
}

/// Writes what has been measured so far.
fn write(report: &Report, output: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    write_whole(&output.join("cost.json"), &json)?;
    #[cfg(feature = "bench")]
    write_whole(&output.join("cost.svg"), &plot::draw(report)?)?;
    Ok(())
}

/// Writes a file beside its place and moves it there, so that it is whole or not there.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let next = path.with_extension("next");
    fs::write(&next, text)?;
    fs::rename(&next, path).with_context(|| format!("cannot write {}", path.display()))
}
