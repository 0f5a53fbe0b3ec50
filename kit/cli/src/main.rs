#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use cli::{Arguments, Command};
use commands::build::{build, build_examples};
use commands::check::{check, print_capabilities, print_report, require_acceptance};
use commands::deploy::deploy;
use commands::package::package;
use commands::push::push;
use commands::rename::rename_project;
use commands::shrink::shrink_file;
use project::Project;
use stdio::print_note;

mod annotations;
mod cli;
mod commands;
mod deploy;
mod files;
mod image_files;
mod package;
#[cfg(feature = "push")]
mod progress;
mod project;
mod pushed;
mod rename;
#[cfg(feature = "run")]
mod run;
mod staged;
mod stdio;
mod toolchain;
mod wasm_cargo;

fn main() -> ExitCode {
    // Cargo passes the name of the subcommand: cargo-proxy-wasm proxy-wasm build.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "proxy-wasm") {
        arguments.remove(1);
    }
    match run_command(Arguments::parse_from(arguments).command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_note!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_command(command: Command) -> Result<()> {
    match command {
        Command::Build { examples: true, .. } => build_examples(),
        Command::Build {
            target,
            no_shrink,
            dev,
            explain,
            ..
        } => build(target, dev, !no_shrink, explain),
        Command::Shrink {
            module,
            output,
            analysis_build,
            explain,
        } => shrink_file(&module, &output, analysis_build.as_deref(), explain),
        Command::Check {
            path,
            manifest,
            required,
            #[cfg(feature = "trial")]
            trial,
            capabilities,
            format,
        } => {
            let mut options = proxy_wasm_check::CheckOptions::default();
            options.manifest = manifest;
            #[cfg(feature = "trial")]
            trial.apply(&mut options)?;
            let report = check(path.as_deref(), &options)?;
            if capabilities {
                return print_capabilities(&report);
            }
            print_report(&report, format)?;
            require_acceptance(&report, &required)
        }
        Command::Image { image, packaging } => package(&packaging, image),
        Command::Push { image, packaging } => {
            let image = image.context(
                "the image is missing; pass --image REGISTRY/TEAM/NAME:TAG, or set the variable IMAGE",
            )?;
            push(&packaging, &image)
        }
        Command::Deploy(options) => deploy(&Project::find()?, options),
        #[cfg(feature = "run")]
        Command::Run(options) => run::run(&Project::find()?, &options),
        #[cfg(feature = "run")]
        Command::Test(options) => commands::test::run(&options),
        Command::Cargo { arguments } => wasm_cargo::run(&arguments),
        Command::Rename { name, force } => rename_project(&name, force),
        #[cfg(feature = "run")]
        Command::Envoy => {
            let binary = proxy_wasm_test::envoy::find_or_fetch()?;
            stdio::print_line!("{}", binary.display())
        }
    }
}
