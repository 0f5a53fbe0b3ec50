//! The command line.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use proxy_wasm_check::CONSUMERS;

#[cfg(feature = "run")]
use crate::commands::test;
use crate::package::WasmTarget;
#[cfg(feature = "run")]
use crate::run;
use crate::staged::Variant;

/// Builds, tests, checks, packages, runs and deploys the Proxy-Wasm extension in this directory
#[derive(Parser)]
#[command(name = "cargo proxy-wasm", bin_name = "cargo proxy-wasm", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Compile and shrink the module, and stage the image's files in target/image
    #[command(after_help = "Example:\n  cargo proxy-wasm build --explain")]
    Build {
        /// What the module is compiled for
        #[arg(long, env = "WASM_TARGET", value_enum, default_value_t)]
        target: WasmTarget,
        /// Do not shrink the module
        #[arg(long, env = "NO_SHRINK")]
        no_shrink: bool,
        /// Build for development, without link-time optimization and shrinking, in target/dev-image
        #[arg(long, conflicts_with = "explain")]
        dev: bool,
        /// Build the package's examples, in target/examples
        #[arg(long, conflicts_with_all = ["dev", "explain", "target", "no_shrink"])]
        examples: bool,
        /// Print why each callback is kept or removed
        #[arg(long)]
        explain: bool,
    },
    /// Shrink the module of another extension that is written with the Rust SDK
    #[command(after_help = "Example:\n  cargo proxy-wasm shrink filter.wasm --output smaller.wasm")]
    Shrink {
        /// The module, with its name section. Data is removed only if the module was linked with
        /// -Clink-arg=--emit-relocs
        module: PathBuf,
        /// The file to write
        #[arg(long, short)]
        output: PathBuf,
        /// An unoptimized build of the same extension, which shows the callbacks that it implements. If not
        /// given, all callbacks are kept
        #[arg(long)]
        analysis_build: Option<PathBuf>,
        /// Print why each callback is kept or removed
        #[arg(long)]
        explain: bool,
    },
    /// Package the staged files as a container image
    #[command(
        after_help = "Example:\n  cargo proxy-wasm image --image localhost/my-filter:1.0.0 --engine podman"
    )]
    Image {
        /// The image's name and tag [default: those of manifest.yaml]
        #[arg(long, env = "IMAGE")]
        image: Option<String>,
        #[command(flatten)]
        packaging: Packaging,
    },
    /// Package the staged files, and push them to a registry
    #[command(
        after_help = "Example:\n  cargo proxy-wasm push --image registry.example/team/my-filter:1.0.0"
    )]
    Push {
        /// The image's name and tag: REGISTRY/TEAM/NAME:TAG
        #[arg(long, env = "IMAGE")]
        image: Option<String>,
        #[command(flatten)]
        packaging: Packaging,
    },
    /// Check that the module accepts the configuration in a file in deploy/, show what would change in
    /// the cluster, and apply the file with kubectl
    #[command(
        after_help = "Example:\n  cargo proxy-wasm deploy --mesh istio --image registry.example/team/my-filter:1.0.0"
    )]
    Deploy(Deploy),
    /// Predict what each proxy and mesh does with an image or a module
    #[command(
        after_help = "Example:\n  cargo proxy-wasm check filter.wasm --for istio,envoy-gateway"
    )]
    Check {
        /// A directory with the image's files, an OCI layout or archive, or a .wasm file. If not given,
        /// checks the staged files, and that manifest.yaml, Cargo.toml and deploy/*.yaml agree
        path: Option<PathBuf>,
        /// The manifest.yaml of the .wasm file; it is checked, too
        #[arg(long)]
        manifest: Option<PathBuf>,
        /// Fail unless all of these proxies and meshes accept the image or module [default: at least one
        /// of istio, envoy-gateway and maistra]
        #[arg(
            long = "for",
            value_name = "NAME,…",
            value_delimiter = ',',
            overrides_with = "required",
            value_parser = PossibleValuesParser::new(CONSUMERS.iter().map(|consumer| consumer.name))
        )]
        required: Vec<String>,
        #[cfg(feature = "trial")]
        #[command(flatten)]
        trial: TrialOptions,
        /// Print the Envoy configuration that restricts the module to the capabilities that it
        /// needs
        #[arg(long, conflicts_with = "format")]
        capabilities: bool,
        /// The format of the report
        #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
        format: CheckFormat,
    },
    /// Run the extension in an Envoy on this machine, and reload it on each save, until Ctrl-C
    #[cfg(feature = "run")]
    #[command(
        after_help = "Example:\n  cargo proxy-wasm run --configuration test --upstream 127.0.0.1:8080"
    )]
    Run(run::RunOptions),
    /// Run cases (tests in YAML, for modules in any language) in the embedded proxy or in Envoy
    #[cfg(feature = "run")]
    #[command(
        after_help = "Example:\n  cargo proxy-wasm test --module filter.wasm --proxy both tests/cases"
    )]
    Test(test::TestOptions),
    /// Run cargo for the target wasm32-unknown-unknown, with a toolchain that has it
    #[command(after_help = "Example:\n  cargo proxy-wasm cargo clippy --lib")]
    Cargo {
        /// The arguments for cargo
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
    /// Print the path of an Envoy, after downloading one if necessary
    #[command(after_help = "Example:\n  cargo proxy-wasm envoy")]
    #[cfg(feature = "run")]
    Envoy,
    /// Rename the project: replace its name in every file
    #[command(after_help = "Example:\n  cargo proxy-wasm rename my-filter")]
    Rename {
        /// The new name: lower-case words, separated by dashes
        name: String,
        /// Rename even if there are uncommitted changes
        #[arg(long)]
        force: bool,
    },
}

/// Options for deploying.
#[derive(Args)]
pub struct Deploy {
    /// The file's name in deploy/, without .yaml
    #[arg(long, env = "MESH")]
    pub mesh: Option<String>,
    /// The image: REGISTRY/TEAM/NAME:TAG, or with a digest. If this tag was pushed last, its digest
    /// is deployed [default: the image of the last push]
    #[arg(long, env = "IMAGE")]
    pub image: Option<String>,
    /// Print what would be applied, without a cluster
    #[arg(long)]
    pub dry_run: bool,
    /// Apply it without asking
    #[arg(long)]
    pub yes: bool,
}

/// Options for trying a module.
#[cfg(feature = "trial")]
#[derive(Args)]
pub struct TrialOptions {
    /// Configure the module with this text in the embedded proxy, an interpreter in this command, and
    /// fail if the module rejects it
    #[arg(
        long,
        value_name = "TEXT",
        allow_hyphen_values = true,
        conflicts_with = "configuration_file"
    )]
    pub configuration: Option<String>,
    /// Configure the module with the content of a file, and fail if it rejects it
    #[arg(long, value_name = "FILE")]
    pub configuration_file: Option<PathBuf>,
    /// The plugin's root ID, for modules that require one
    #[arg(long, value_name = "TEXT")]
    pub root_id: Option<String>,
}

/// Options for packaging.
#[derive(Args)]
pub struct Packaging {
    /// podman, buildah, docker or none [default: the first that responds]
    #[arg(long, env = "CONTAINER_ENGINE")]
    pub engine: Option<String>,
    /// The format of the image
    #[arg(long, env = "VARIANT", value_enum, default_value_t = Variant::Compat)]
    pub variant: Variant,
    /// A directory with the image's files, for a module that another tool has compiled [default: the
    /// staged files]
    #[arg(long)]
    pub from: Option<PathBuf>,
    /// A module in any language, in place of the staged files
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub module: Option<PathBuf>,
    /// The manifest.yaml of that module [default: manifest.yaml in the current directory]
    #[arg(long, value_name = "FILE", requires = "module")]
    pub manifest: Option<PathBuf>,
    /// Fail unless all of these proxies and meshes accept the image [default: istio, envoy-gateway and
    /// maistra]
    #[arg(
        long = "for",
        value_name = "NAME,…",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(CONSUMERS.iter().map(|consumer| consumer.name))
    )]
    pub required: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum CheckFormat {
    /// A line for each proxy and mesh, then the findings, and facts about the module
    Text,
    /// One JSON object
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn each_command_has_an_example_that_it_accepts() {
        let mut arguments = Arguments::command();
        arguments.build();
        for command in arguments.get_subcommands() {
            let name = command.get_name();
            if name == "help" {
                continue;
            }
            let help = command.get_after_help().expect(name).to_string();
            let (_, example) = help.split_once("cargo proxy-wasm ").expect(name);
            let words = ["cargo proxy-wasm"].into_iter().chain(example.split(' '));
            if let Err(error) = Arguments::try_parse_from(words) {
                panic!("{error}");
            }
        }
    }
}
