//! `cargo proxy-wasm test`: runs cases in the embedded proxy and in Envoy.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use proxy_wasm_test::Module;
use proxy_wasm_test::cases::{CaseOutcome, Cases, Summary};

use crate::files::read;
use crate::project::Project;
use crate::run::watch::Watch;
use crate::stdio::{counted, print_line, print_note};

/// Where a project has its cases.
const DIRECTORY: &str = "tests/cases";

/// The options of `cargo proxy-wasm test`.
#[derive(Args, Debug)]
pub struct TestOptions {
    /// The module [default: the extension in this directory, compiled for development]
    #[arg(long, env = "PROXY_WASM_MODULE", value_name = "FILE")]
    module: Option<PathBuf>,
    /// The same module before it was stripped, for function names in backtraces
    #[arg(
        long,
        env = "PROXY_WASM_SYMBOLS",
        value_name = "FILE",
        requires = "module"
    )]
    symbols: Option<PathBuf>,
    /// Where the cases run
    #[arg(long, value_enum, default_value_t = Proxies::Embedded)]
    proxy: Proxies,
    /// The format of the results
    #[arg(long, value_enum, default_value_t = TestFormat::Text)]
    format: TestFormat,
    /// Run the cases again after each save of a case, the module, or the extension's source, until
    /// Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Files with cases, or directories [default: tests/cases]
    paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    /// A line for each case; for a failed case, also what was expected and observed
    Text,
    /// JSON Lines: an object for each case and proxy
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Proxies {
    /// In the embedded proxy
    Embedded,
    /// In a real Envoy: the one that ENVOY names, one on PATH, or one from PyPI
    Envoy,
    /// In both
    Both,
}

/// Runs the cases.
///
/// # Errors
///
/// If a case fails or is not valid, or there is no module.
pub fn run(options: &TestOptions) -> Result<()> {
    if options.watch {
        return watch(options);
    }
    let summary = run_once(options)?;
    let failed = counted(summary.failed as u64, "case");
    ensure!(summary.failed == 0, "test failed: {failed}");
    Ok(())
}

/// Runs the cases now and after each change.
fn watch(options: &TestOptions) -> Result<()> {
    let mut paths = case_paths(&options.paths);
    paths.extend(options.module.clone());
    let project = match options.module {
        Some(_) => None,
        None => Some(Project::find()?),
    };
    let root = project.as_ref().map(|project| project.package.root());
    let (sender, changes) = mpsc::channel();
    let _watch = Watch::start_with(root, &paths, move |_| {
        // At the end of the program, nothing receives it.
        let _ = sender.send(());
    })?;
    loop {
        let start = Instant::now();
        if let Err(error) = run_once(options) {
            print_note!("error: {error:#}");
        }
        let seconds = start.elapsed().as_secs_f64();
        print_note!("\nRan in {seconds:.2} s; waiting for the next save (Ctrl-C to stop)");
        changes
            .recv()
            .context("the file watcher has stopped; run the command again")?;
        // Saves during the run count as one.
        changes.try_iter().for_each(drop);
    }
}

fn run_once(options: &TestOptions) -> Result<Summary> {
    let cases = read_cases(&options.paths)?;
    let module = load(options)?;
    let mut summary = Summary::default();
    let mut printed = Ok(());
    let mut on_outcome = |outcome: CaseOutcome| {
        summary.add(&outcome);
        let result = print(options.format, &outcome);
        if printed.is_ok() {
            printed = result;
        }
    };
    if options.proxy != Proxies::Envoy {
        cases.run_embedded(&module, &mut on_outcome)?;
    }
    if options.proxy != Proxies::Embedded {
        let file = tempfile::Builder::new().suffix(".wasm").tempfile()?;
        fs::write(file.path(), module.bytes())?;
        cases.run_in_envoy(file.path(), &mut on_outcome)?;
    }
    printed?;
    if matches!(options.format, TestFormat::Text) {
        print_line!("\n{summary}")?;
    }
    Ok(summary)
}

fn print(format: TestFormat, outcome: &CaseOutcome) -> Result<()> {
    match format {
        TestFormat::Text => print_line!("{outcome}"),
        TestFormat::Json => print_line!("{}", outcome.to_json()),
    }
}

/// The paths that were given, or the project's cases.
fn case_paths(paths: &[PathBuf]) -> Vec<PathBuf> {
    if paths.is_empty() {
        return vec![PathBuf::from(DIRECTORY)];
    }
    paths.to_vec()
}

fn read_cases(paths: &[PathBuf]) -> Result<Cases> {
    let mut cases = Cases::default();
    for path in case_paths(paths) {
        cases.append(Cases::read(path)?);
    }
    Ok(cases)
}

/// Reads the module, or compiles the extension in this directory.
fn load(options: &TestOptions) -> Result<Module> {
    Ok(match (&options.module, &options.symbols) {
        (Some(module), Some(symbols)) => Module::with_symbols(read(module)?, read(symbols)?),
        (Some(module), None) => read(module)?.into(),
        (None, _) => Project::find()?.package.build_for_development()?.into(),
    })
}
