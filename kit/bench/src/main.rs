//! `proxy-wasm-bench`: counts the instructions that an extension adds to a request in Envoy.
//!
//! Modules:
//! - `cli`: the command line
//! - `build`: the modules of `cargo make build`, in Cargo's target directory
//! - `subject`: the filters that are measured, and the headers that they append
//! - `baseline`: modules written by hand, which do nothing but append the headers
//! - `dynamic_module`: a shared library that Envoy loads, which appends the headers
//! - `ext_proc`: a service for Envoy's filter ext_proc, which appends the headers
//! - `proxy`: an Envoy with one filter
//! - `load`: requests, from h2load
//! - `callgrind`: the instructions of one filter
//! - `measure`: the instructions of all filters
//! - `report`, `plot`: the figures as a table, as JSON and as SVG

mod baseline;
mod build;
mod callgrind;
mod cli;
mod dynamic_module;
mod ext_proc;
mod load;
mod measure;
mod plot;
mod proxy;
mod report;
mod subject;

use anyhow::Result;
use clap::Parser;

use build::Build;
use cli::Arguments;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let build = Build::find()?;
    let report = measure::run(&build, &arguments)?;
    println!("{report}");
    let output = build.output();
    let here = std::env::current_dir().unwrap_or_default();
    let shown = output.strip_prefix(here).unwrap_or(&output);
    println!("Written: {}", shown.display());
    Ok(())
}
