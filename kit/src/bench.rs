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
mod instructions;
mod load;
mod machine;
#[cfg(feature = "bench")]
mod plot;
mod proxy;
mod report;
mod subject;

pub use machine::Measured;
pub use report::{Report, Row};

use subject::{Filter, Subject, Workload};

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
            count(&envoy, &subjects, &workload, &mut report, &output)?;
        }
        if index == 0 && options.rounds > 0 {
            eprintln!("Measuring time and memory, {} rounds", options.rounds);
            report.headers_on_this_machine = headers;
            report.this_machine = machine::measure(&envoy, &subjects, &workload, options.rounds)?;
            write(&report, &output)?;
        }
    }
    Ok(report)
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
        Subject::new("no filter", Filter::None),
        Subject::new(HEADER_MUTATION, Filter::HeaderMutation),
        Subject::new(LUA, Filter::Lua),
        Subject::new("by hand, one callback", smallest),
        Subject::new("by hand, same callbacks", callbacks),
        Subject::new("not shrunk", Filter::Module(unshrunk.to_owned())),
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
        let counted = instructions::count(envoy, subject, workload)
            .with_context(|| format!("{} cannot be measured", subject.name))?;
        if subject.filter == Filter::None {
            report.without_filter = Some(counted.per_request);
        } else {
            report.add(
                &subject.name,
                headers,
                counted.appended,
                counted.per_request,
            );
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
