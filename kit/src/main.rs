//! `extension`: builds and packages a proxy extension.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

use extension_kit::engine::Engine;
use extension_kit::envoy;
use extension_kit::image;
use extension_kit::project::Project;
use extension_kit::shrink::{Shrunk, shrink};
use extension_kit::strip::strip;
use extension_kit::toolchain::TARGET;

/// Builds and packages the proxy extension in this folder.
#[derive(Parser)]
#[command(name = "extension", version)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Compile the module, shrink it, and stage the image's files under target/image
    Build {
        /// Leave the module as the compiler made it
        #[arg(long, env = "NO_SHRINK")]
        no_shrink: bool,
        /// Say of each callback why it stays or goes
        #[arg(long)]
        explain: bool,
    },
    /// Shrink a module of another extension that is written with the Rust SDK
    Shrink {
        /// The module, with the names of its functions
        module: PathBuf,
        /// Where the shrunk module is written
        #[arg(long, short)]
        output: PathBuf,
        /// An unoptimized build of the same extension, which tells the callbacks that it implements;
        /// without it, all stay
        #[arg(long)]
        survey: Option<PathBuf>,
        /// Say of each callback why it stays or goes
        #[arg(long)]
        explain: bool,
    },
    /// Package the staged files as a container image
    Image {
        /// The image's name and tag, instead of those of manifest.yaml
        #[arg(long, env = "IMAGE")]
        image: Option<String>,
        /// podman, buildah, docker, or none; the first that answers if not given
        #[arg(long, env = "CONTAINER_ENGINE")]
        engine: Option<String>,
    },
    /// Run cargo for the wasm target, with a toolchain that has it
    Cargo {
        /// What cargo is told, for example: clippy --lib
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
    /// Print the path of an Envoy; fetch one where there is none
    Envoy,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    if let Task::Shrink {
        module,
        output,
        survey,
        explain,
    } = task
    {
        return shrink_file(&module, &output, survey.as_deref(), explain);
    }
    let project = Project::find()?;
    match task {
        Task::Build { no_shrink, explain } => build(&project, !no_shrink, explain),
        Task::Shrink { .. } => Ok(()),
        Task::Image { image, engine } => package(&project, image, engine.as_deref()),
        Task::Cargo { arguments } => cargo(&project, &arguments),
        Task::Envoy => {
            println!("{}", envoy::find_or_fetch(&project.target())?.display());
            Ok(())
        }
    }
}

fn build(project: &Project, shrinks: bool, explain: bool) -> Result<()> {
    let built = project.build_with(shrinks)?;
    if let Some(shrunk) = &built.shrunk {
        report(shrunk, explain);
    }
    let (bytes, pages) = (built.size.bytes, built.size.pages);
    println!(
        "Module: {} ({bytes} bytes; {} of memory)",
        shown(&built.module),
        counted(pages, "page")
    );
    println!("Staged: {}", shown(&built.folder));
    Ok(())
}

fn shrink_file(module: &Path, output: &Path, survey: Option<&Path>, explain: bool) -> Result<()> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let survey = survey.map(read).transpose()?;
    let shrunk = shrink(&read(module)?, survey.as_deref())?;
    std::fs::write(output, strip(&shrunk.module)?)
        .with_context(|| format!("cannot write {}", output.display()))?;
    report(&shrunk, explain);
    println!("Module: {}", shown(output));
    Ok(())
}

/// Prints what shrinking did.
fn report(shrunk: &Shrunk, explain: bool) {
    if explain {
        for decision in &shrunk.decisions {
            println!("{decision}");
        }
    }
    let (before, after) = (shrunk.before, shrunk.after);
    println!(
        "Shrunk: {} exports to {}, {} imports to {}, {} bytes to {}, {} of memory to {}",
        before.exports,
        after.exports,
        before.imports,
        after.imports,
        before.bytes,
        after.bytes,
        counted(before.pages, "page"),
        after.pages
    );
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn package(project: &Project, image: Option<String>, engine: Option<&str>) -> Result<()> {
    let root = project.image_root();
    ensure!(
        root.is_dir(),
        "nothing is staged yet; run `cargo make build` first"
    );
    let name = project
        .manifest
        .name
        .as_deref()
        .context("manifest.yaml has no name; add one, or set IMAGE")?;
    let version = project.manifest.version.as_deref().unwrap_or("latest");
    let reference = image
        .filter(|image| !image.is_empty())
        .unwrap_or_else(|| format!("localhost/{name}:{version}"));
    let engine = match engine {
        None | Some("") => Engine::find(),
        Some("none") => None,
        Some(name) => Some(chosen(name)?),
    };
    match engine {
        Some(engine) => {
            let stored = engine.build(&project.root().join("Containerfile"), &root, &reference)?;
            println!("Image:  {reference} (in {}'s storage)", engine.command());
            println!("Digest: {}", stored.digest);
            println!("Size:   {}", stored.size);
            println!(
                "Next:   {} push {reference} REGISTRY/TEAM/{name}:{version}",
                engine.command()
            );
        }
        None => {
            let archive = project.target().join(format!("{name}-{version}.oci.tar"));
            let written = image::write_archive(&root, &reference, &archive)?;
            println!("Image:  {} ({reference}, an OCI archive)", shown(&archive));
            println!("Digest: {}", written.digest);
            println!("Size:   {} bytes", written.size);
            println!(
                "Next:   podman load --input {0}, or skopeo copy oci-archive:{0} docker://REGISTRY/TEAM/{name}:{version}",
                shown(&archive)
            );
        }
    }
    Ok(())
}

fn chosen(name: &str) -> Result<Engine> {
    let engine = Engine::ALL
        .into_iter()
        .find(|engine| engine.command() == name)
        .with_context(|| {
            format!("CONTAINER_ENGINE is {name:?}; it takes podman, buildah, docker or none")
        })?;
    ensure!(
        engine.answers(),
        "{name} does not answer; try `{name} info`, or CONTAINER_ENGINE=none"
    );
    Ok(engine)
}

fn cargo(project: &Project, arguments: &[String]) -> Result<()> {
    let (subcommand, rest) = arguments
        .split_first()
        .context("cargo needs a subcommand")?;
    let mut command = project.toolchain()?.cargo(&[]);
    if subcommand == "test" {
        let runner = project.wasm_test_runner()?;
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner);
    }
    let status = command
        .args([subcommand, "--target", TARGET])
        .args(rest)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo {subcommand} failed: {status}");
    Ok(())
}

/// A path as a person would type it: from the folder that they are in.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}
