//! `extension`: builds and packages a proxy extension.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};

use extension_kit::check::{self, Report};
use extension_kit::deploy::Deployment;
use extension_kit::engine::Engine;
use extension_kit::envoy;
use extension_kit::image::Package;
use extension_kit::project::Project;
use extension_kit::provenance;
use extension_kit::registry::Target;
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
    /// Compile the module and stage the image's files under target/image
    Build,
    /// Package the staged files as a container image
    Image {
        /// The image's name and tag, instead of those of manifest.yaml
        #[arg(long, env = "IMAGE")]
        image: Option<String>,
        /// podman, buildah, docker, or none; the first that answers if not given
        #[arg(long, env = "CONTAINER_ENGINE")]
        engine: Option<String>,
        /// What consumers are to read: all of them the first, Istio and WebAssemblyHub the other
        #[arg(long, env = "VARIANT", value_enum, default_value_t = Variant::Compat)]
        variant: Variant,
    },
    /// Package the staged files, and push them to a registry
    Push {
        /// The image's name and tag: REGISTRY/TEAM/NAME:TAG
        #[arg(long, env = "IMAGE")]
        image: String,
        /// podman, buildah, docker, or none; the first that answers if not given
        #[arg(long, env = "CONTAINER_ENGINE")]
        engine: Option<String>,
        /// What consumers are to read: all of them the first, Istio and WebAssemblyHub the other
        #[arg(long, env = "VARIANT", value_enum, default_value_t = Variant::Compat)]
        variant: Variant,
    },
    /// Apply the file under deploy/ for a mesh with kubectl, after showing what would change
    Deploy {
        /// Which file: maistra, maistra-2.0, istio or envoy-gateway
        #[arg(long, env = "MESH")]
        mesh: String,
        /// The image that was pushed: REGISTRY/TEAM/NAME:TAG, or by digest
        #[arg(long, env = "IMAGE")]
        image: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Say everything that would go wrong with an image or a module in a mesh
    Check {
        /// A folder with the image's files, an OCI layout or archive, or a .wasm file beside its
        /// manifest.yaml; the staged files if not given
        path: Option<PathBuf>,
        /// The manifest of a .wasm file, if it is not the manifest.yaml beside it
        #[arg(long)]
        manifest: Option<PathBuf>,
        /// How the findings are written
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
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

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Variant {
    /// A container image, which Maistra and Istio read
    Compat,
    /// The artifact of the Wasm image specification, written without an engine
    Oci,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One finding a line, then the facts
    Text,
    /// One JSON object
    Json,
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
    // What has a path needs no package around it.
    if let Task::Check {
        path: Some(path),
        manifest,
        format,
    } = &task
    {
        return findings(&check::check(path, manifest.as_deref()), *format);
    }
    let project = Project::find()?;
    match task {
        Task::Check { format, .. } => findings(&staged(&project)?, format),
        Task::Build => build(&project),
        Task::Image {
            image,
            engine,
            variant,
        } => package(&project, image, engine.as_deref(), variant),
        Task::Push {
            image,
            engine,
            variant,
        } => push(&project, &image, engine.as_deref(), variant),
        Task::Deploy { mesh, image, yes } => deploy(&project, &mesh, &image, yes),
        Task::Cargo { arguments } => cargo(&project, &arguments),
        Task::Envoy => {
            println!("{}", envoy::find_or_fetch(&project.target())?.display());
            Ok(())
        }
    }
}

fn build(project: &Project) -> Result<()> {
    let folder = project.build()?;
    let module = folder.join(&project.manifest.module);
    let bytes = std::fs::metadata(&module)?.len();
    println!("Module: {} ({bytes} bytes)", shown(&module));
    println!("Staged: {}", shown(&folder));
    Ok(())
}

/// Checks the files that are staged for the image.
fn staged(project: &Project) -> Result<Report> {
    let root = project.image_root();
    ensure!(
        root.is_dir(),
        "nothing is staged yet; run `cargo make build` first"
    );
    Ok(check::check(&root, None))
}

/// Prints a report; errors in it are this command's own.
fn findings(report: &Report, format: Format) -> Result<()> {
    match format {
        Format::Text => println!("{report}"),
        Format::Json => println!("{}", serde_json::to_string_pretty(report)?),
    }
    ensure!(
        report.errors() == 0,
        "no mesh takes it as it is; the findings above say how to mend it"
    );
    Ok(())
}

fn package(
    project: &Project,
    image: Option<String>,
    engine: Option<&str>,
    variant: Variant,
) -> Result<()> {
    findings(&staged(project)?, Format::Text)?;
    let name = project
        .manifest
        .name
        .as_deref()
        .context("manifest.yaml has no name; add one, or set IMAGE")?;
    let version = project.manifest.version.as_deref().unwrap_or("latest");
    let reference = image
        .filter(|image| !image.is_empty())
        .unwrap_or_else(|| format!("localhost/{name}:{version}"));
    if let Some(engine) = engine_for(engine, variant)? {
        let stored = engine.build(
            &project.root().join("Containerfile"),
            &project.image_root(),
            &reference,
            &provenance::annotations(project),
        )?;
        println!("Image:  {reference} (in {}'s storage)", engine.command());
        println!("Digest: {}", stored.digest);
        println!("Size:   {}", stored.size);
    } else {
        let suffix = if variant == Variant::Oci { "-wasm" } else { "" };
        let archive = project
            .target()
            .join(format!("{name}-{version}{suffix}.oci.tar"));
        let written = written(project, variant)?.write_archive(&reference, &archive)?;
        println!("Image:  {} ({reference}, an OCI archive)", shown(&archive));
        println!("Digest: {}", written.digest);
        println!("Size:   {} bytes", written.size);
    }
    println!("Next:   IMAGE=REGISTRY/TEAM/{name}:{version} cargo make push");
    Ok(())
}

fn push(project: &Project, reference: &str, engine: Option<&str>, variant: Variant) -> Result<()> {
    let target = Target::of(reference)?;
    findings(&staged(project)?, Format::Text)?;
    let by_digest = match engine_for(engine, variant)? {
        Some(engine) => {
            engine.build(
                &project.root().join("Containerfile"),
                &project.image_root(),
                reference,
                &provenance::annotations(project),
            )?;
            target.by_digest(&engine.push(reference)?)
        }
        None => push_without_engine(&written(project, variant)?, reference)?,
    };
    println!("Pushed: {by_digest}");
    Ok(())
}

#[cfg(feature = "push")]
fn push_without_engine(package: &Package, reference: &str) -> Result<String> {
    use extension_kit::registry::{credentials, push};
    let known = credentials::find(&Target::of(reference)?, &credentials::files())?;
    push(package, reference, known)
}

#[cfg(not(feature = "push"))]
fn push_without_engine(_package: &Package, _reference: &str) -> Result<String> {
    anyhow::bail!("this build has no registry client; `cargo make push` builds one with it")
}

/// The image as the kit writes it.
fn written(project: &Project, variant: Variant) -> Result<Package> {
    let mut annotations = provenance::annotations(project);
    match variant {
        Variant::Compat => Package::compat(&project.image_root(), &annotations),
        Variant::Oci => {
            annotations.remove(provenance::VARIANT);
            let module = project.image_root().join(&project.manifest.module);
            let module = std::fs::read(&module)
                .with_context(|| format!("cannot read {}", module.display()))?;
            let root_id = project.manifest.name.as_deref().unwrap_or_default();
            Package::oci(&module, root_id, &annotations)
        }
    }
}

/// The engine that is wanted, or none. No engine packages the oci variant.
fn engine_for(name: Option<&str>, variant: Variant) -> Result<Option<Engine>> {
    match name {
        None | Some("") if variant == Variant::Oci => Ok(None),
        None | Some("") => Ok(Engine::find()),
        Some("none") => Ok(None),
        Some(name) => {
            ensure!(
                variant == Variant::Compat,
                "no engine packages the oci variant; leave CONTAINER_ENGINE out, or set it to none"
            );
            chosen(name).map(Some)
        }
    }
}

fn deploy(project: &Project, mesh: &str, image: &str, yes: bool) -> Result<()> {
    let deployment = Deployment::read(&project.root().join("deploy"), mesh, image)?;
    println!("{}", deployment.text());
    if !deployment.show_changes()? {
        println!("The cluster has it already; nothing is changed");
        return Ok(());
    }
    ensure!(
        yes || confirmed()?,
        "not confirmed, so nothing is changed; answer y, or pass --yes"
    );
    deployment.apply()
}

fn confirmed() -> Result<bool> {
    print!("Apply it? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
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
