#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use proxy_wasm_check::{self as check, Report};
use proxy_wasm_image::{Engine, ImageReference, Package};
use proxy_wasm_module::{Shrunk, shrink, strip};

use deploy::Deployment;
use package::CargoPackage;
use project::Project;
use pushed::Pushed;
use rename::rename;
use staged::{StagingDirectory, Variant};
use stdio::{print_line, print_note};

mod annotations;
mod deploy;
mod files;
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

/// Builds, checks, packages, runs and deploys the Proxy-Wasm extension in this directory
#[derive(Parser)]
#[command(name = "cargo proxy-wasm", bin_name = "cargo proxy-wasm", version)]
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
        /// Build for development: without link-time optimization and shrinking, under
        /// target/dev-image
        #[arg(long, conflicts_with = "explain")]
        dev: bool,
        /// Build the package's examples, under target/examples
        #[arg(long, conflicts_with_all = ["dev", "explain"])]
        examples: bool,
        /// Say of each callback why it is kept or removed
        #[arg(long)]
        explain: bool,
    },
    /// Shrink a module of another extension that is written with the Rust SDK
    Shrink {
        /// The module, with the names of its functions; data are removed only if it has been linked
        /// with -Clink-arg=--emit-relocs
        module: PathBuf,
        /// Where the shrunk module is written
        #[arg(long, short)]
        output: PathBuf,
        /// An unoptimized build of the same extension, which tells the callbacks that it implements;
        /// without it, all are kept
        #[arg(long)]
        analysis_build: Option<PathBuf>,
        /// Say of each callback why it is kept or removed
        #[arg(long)]
        explain: bool,
    },
    /// Package the staged files as a container image
    Image {
        /// The image's name and tag, instead of those of manifest.yaml
        #[arg(long, env = "IMAGE")]
        image: Option<String>,
        #[command(flatten)]
        packaging: Packaging,
    },
    /// Package the staged files, and push them to a registry
    Push {
        /// The image's name and tag: REGISTRY/TEAM/NAME:TAG
        #[arg(long, env = "IMAGE")]
        image: Option<String>,
        #[command(flatten)]
        packaging: Packaging,
    },
    /// Try the configuration of a file under deploy/ in the module, show what would change in the
    /// cluster, and apply it with kubectl
    Deploy(Deploy),
    /// Predict what each proxy and mesh does with an image or a module
    Check {
        /// A directory with the image's files, an OCI layout or archive, or a .wasm file. If not given:
        /// the staged files, and whether manifest.yaml, Cargo.toml and deploy/*.yaml agree with each
        /// other
        path: Option<PathBuf>,
        /// The manifest with which a .wasm file is to be packaged
        #[arg(long)]
        manifest: Option<PathBuf>,
        /// Fail unless all of these accept it; if not given, one mesh is enough
        #[arg(
            long = "for",
            value_name = "CONSUMER,…",
            value_delimiter = ',',
            overrides_with = "required",
            value_parser = PossibleValuesParser::new(check::CONSUMERS.iter().map(|consumer| consumer.name))
        )]
        required: Vec<String>,
        #[cfg(feature = "trial")]
        #[command(flatten)]
        trial: Trial,
        /// Print Envoy's configuration that allows the module only what it needs
        #[arg(long, conflicts_with = "format")]
        capabilities: bool,
        /// How the findings are written
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Run the extension in an Envoy on this machine, which gets each save; Ctrl-C ends it
    #[cfg(feature = "run")]
    Run(run::Options),
    /// Run cargo for the wasm target, with a toolchain that has it
    Cargo {
        /// What cargo is told, for example: clippy --lib
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
    /// Print the path of an Envoy; fetch one if there is none
    #[cfg(feature = "run")]
    Envoy,
    /// Give the project a name of its own, in every file
    Rename {
        /// The name: lower-case words with dashes between them
        name: String,
        /// Rename even if something is not committed
        #[arg(long)]
        force: bool,
    },
}

/// What is deployed, and how.
#[derive(Args)]
struct Deploy {
    /// The file under deploy/, without .yaml
    #[arg(long, env = "MESH")]
    mesh: Option<String>,
    /// The image: REGISTRY/TEAM/NAME:TAG, or by digest. If not given, that of the last push; if it was
    /// pushed from here, its digest is deployed
    #[arg(long, env = "IMAGE")]
    image: Option<String>,
    /// Only print what would be applied; no cluster is needed
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// How a module is tried.
#[cfg(feature = "trial")]
#[derive(Args)]
struct Trial {
    /// A configuration: fail unless the module accepts it
    #[arg(
        long,
        value_name = "TEXT",
        allow_hyphen_values = true,
        conflicts_with = "configuration_file"
    )]
    configuration: Option<String>,
    /// A file with such a configuration
    #[arg(long, value_name = "FILE")]
    configuration_file: Option<PathBuf>,
    /// The plugin's root ID, for a module that looks for it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    root_id: String,
}

#[cfg(feature = "trial")]
impl Trial {
    fn apply(self, options: &mut check::Options) -> Result<()> {
        options.configuration = match (self.configuration, self.configuration_file) {
            (Some(text), _) => Some(text.into_bytes()),
            (None, Some(file)) => Some(
                std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?,
            ),
            (None, None) => None,
        };
        options.root_id = self.root_id;
        Ok(())
    }
}

/// What is packaged, and how.
#[derive(Args)]
struct Packaging {
    /// podman, buildah, docker, or none; if not given, the first that responds
    #[arg(long, env = "CONTAINER_ENGINE")]
    engine: Option<String>,
    /// The format of the image
    #[arg(long, env = "VARIANT", value_enum, default_value_t = Variant::Compat)]
    variant: Variant,
    /// A directory with the image's files, in place of this package's: for a module that another tool
    /// has compiled
    #[arg(long)]
    from: Option<PathBuf>,
}

impl Packaging {
    /// The files to package: those of a folder, or those that this package's build has staged.
    fn staged(&self) -> Result<StagingDirectory> {
        match &self.from {
            Some(folder) => StagingDirectory::at(folder),
            None => StagingDirectory::of_project(&Project::find()?),
        }
    }

    /// The same, if every mesh accepts them.
    fn checked(&self) -> Result<StagingDirectory> {
        let staged = self.staged()?;
        findings(staged.report(), Format::Text)?;
        let meshes = check::CONSUMERS.iter().filter(|consumer| consumer.is_mesh);
        let meshes: Vec<_> = meshes.map(|consumer| consumer.name.to_owned()).collect();
        verdict(staged.report(), &meshes)?;
        Ok(staged)
    }

    /// The engine that is wanted, or none. No engine packages the oci variant.
    fn engine(&self) -> Result<Option<Engine>> {
        match self.engine.as_deref() {
            None | Some("") if self.variant == Variant::Oci => Ok(None),
            None | Some("") => Ok(Engine::find()),
            Some("none") => Ok(None),
            Some(name) => {
                ensure!(
                    self.variant == Variant::Compat,
                    "no engine packages the oci variant; leave CONTAINER_ENGINE out, or set it to none"
                );
                chosen(name).map(Some)
            }
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One finding a line, then the facts
    Text,
    /// One JSON object
    Json,
}

fn main() -> ExitCode {
    // Cargo passes the name of the subcommand: cargo-proxy-wasm proxy-wasm build.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "proxy-wasm") {
        arguments.remove(1);
    }
    match perform(Arguments::parse_from(arguments).command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_note!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Build { examples: true, .. } => {
            let folder = CargoPackage::at(Path::new("."))?.build_examples()?;
            print_line!("Examples: {}", shown(&folder))?;
            Ok(())
        }
        Task::Build {
            no_shrink,
            dev,
            explain,
            ..
        } => build(&Project::find()?, dev, !no_shrink, explain),
        Task::Shrink {
            module,
            output,
            analysis_build,
            explain,
        } => shrink_file(&module, &output, analysis_build.as_deref(), explain),
        Task::Check {
            path,
            manifest,
            required,
            #[cfg(feature = "trial")]
            trial,
            capabilities: prints_capabilities,
            format,
        } => {
            let mut options = check::Options::default();
            options.manifest = manifest;
            #[cfg(feature = "trial")]
            trial.apply(&mut options)?;
            let report = match path {
                Some(path) => check::check_with(&path, &options),
                None => Project::find()?.check(&options)?,
            };
            if prints_capabilities {
                return capabilities(&report);
            }
            findings(&report, format)?;
            verdict(&report, &required)
        }
        Task::Image { image, packaging } => package(&packaging, image),
        Task::Push { image, packaging } => {
            let image = image.context(
                "where to? Pass --image REGISTRY/TEAM/NAME:TAG, or set the variable IMAGE",
            )?;
            push(&packaging, &image)
        }
        Task::Deploy(options) => deploy(&Project::find()?, options),
        #[cfg(feature = "run")]
        Task::Run(options) => run::run(&Project::find()?, &options),
        Task::Cargo { arguments } => wasm_cargo::run(&arguments),
        Task::Rename { name, force } => rename_project(&name, force),
        #[cfg(feature = "run")]
        Task::Envoy => {
            let binary = proxy_wasm_test::envoy::find_or_fetch()?;
            print_line!("{}", binary.display())?;
            Ok(())
        }
    }
}

fn build(project: &Project, dev: bool, shrinks: bool, explain: bool) -> Result<()> {
    let built = if dev {
        project.build_for_development()?
    } else {
        project.build(shrinks)?
    };
    if let Some(shrunk) = &built.shrunk {
        report(shrunk, explain)?;
    }
    let (bytes, pages) = (built.size.bytes, built.size.pages);
    print_line!(
        "Module: {} ({bytes} bytes; {} of memory)",
        shown(&built.module),
        counted(pages, "page")
    )?;
    print_line!("Staged: {}", shown(&built.folder))?;
    Ok(())
}

fn shrink_file(
    module: &Path,
    output: &Path,
    analysis_build: Option<&Path>,
    explain: bool,
) -> Result<()> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let analysis_build = analysis_build.map(read).transpose()?;
    let shrunk = shrink(&read(module)?, analysis_build.as_deref())
        .with_context(|| format!("cannot shrink {}", module.display()))?;
    files::write_whole(output, &strip(&shrunk.module)?)?;
    report(&shrunk, explain)?;
    print_line!("Module: {}", shown(output))?;
    Ok(())
}

/// Prints what shrinking did.
fn report(shrunk: &Shrunk, explain: bool) -> Result<()> {
    if explain {
        for decision in &shrunk.decisions {
            print_line!("{decision}")?;
        }
    }
    let (before, after) = (shrunk.before, shrunk.after);
    if shrunk.is_unchanged {
        return print_line!(
            "Shrunk: unchanged, {} bytes, because it would be larger",
            after.bytes
        );
    }
    print_line!(
        "Shrunk: {} exports to {}, {} imports to {}, {} bytes to {}, {} of memory to {}",
        before.exports,
        after.exports,
        before.imports,
        after.imports,
        before.bytes,
        after.bytes,
        counted(before.pages, "page"),
        after.pages
    )
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Prints a report.
fn findings(report: &Report, format: Format) -> Result<()> {
    match format {
        Format::Text => print_line!("{report}"),
        Format::Json => print_line!("{}", serde_json::to_string_pretty(report)?),
    }
}

/// Prints the configuration that restricts a module to the capabilities that it needs.
fn capabilities(report: &Report) -> Result<()> {
    let module = report
        .module
        .as_ref()
        .with_context(|| format!("there is no valid module:\n{report}"))?;
    let restriction = check::restriction(&module.capabilities).context(
        "the module needs no capabilities; to Envoy, an empty list would mean that all are allowed",
    )?;
    stdio::write(format_args!("{restriction}"))
}

/// Fails unless all required consumers accept what was checked, or at least one mesh, and unless a
/// project's files agree.
fn verdict(report: &Report, required: &[String]) -> Result<()> {
    let errors = counted(report.errors() as u64, "error");
    if required.is_empty() {
        ensure!(
            report.is_accepted(),
            "check failed: no mesh accepts it: {errors}"
        );
    }
    let rejecting: Vec<_> = required
        .iter()
        .map(String::as_str)
        .filter(|name| !report.accepts(name))
        .collect();
    ensure!(
        rejecting.is_empty(),
        "check failed: rejected by {}: {errors}",
        rejecting.join(", ")
    );
    ensure!(
        report.project_errors() == 0,
        "check failed: the project's files do not agree: {errors}"
    );
    Ok(())
}

fn package(packaging: &Packaging, image: Option<String>) -> Result<()> {
    let staged = packaging.checked()?;
    let (name, version) = staged.name()?;
    let image = image
        .filter(|image| !image.is_empty())
        .unwrap_or_else(|| format!("localhost/{name}:{version}"));
    if let Some(engine) = packaging.engine()? {
        let stored = staged.build(engine, &image)?;
        print_line!("Image:    {image} (in {engine}'s storage)")?;
        print_line!("Image ID: {}", stored.id)?;
        print_line!("Size:     {}", stored.size)?;
    } else {
        let package = staged.package(packaging.variant)?;
        let archive = staged.write_archive(&package, &image, packaging.variant)?;
        print_line!("Image:    {} ({image}, an OCI archive)", shown(&archive))?;
        print_line!("Digest:   {}", package.digest())?;
        print_line!("Size:     {} bytes", std::fs::metadata(&archive)?.len())?;
    }
    let push = match &packaging.from {
        Some(folder) => format!("cargo proxy-wasm push --from {}", folder.display()),
        None => "cargo make push".to_owned(),
    };
    print_line!("Next:     IMAGE=REGISTRY/TEAM/{name}:{version} {push}")?;
    Ok(())
}

fn push(packaging: &Packaging, image: &str) -> Result<()> {
    let image = ImageReference::parse(image)?;
    let engine = packaging.engine()?;
    let staged = packaging.checked()?;
    let pushed = match engine {
        Some(engine) => {
            staged.build(engine, image.as_str())?;
            image.with_digest(&engine.push(&image)?)
        }
        None => push_without_engine(&staged.package(packaging.variant)?, &image)?,
    };
    if let Some(target) = staged.target() {
        Pushed::write(target, &image, &pushed)?;
    }
    print_line!("Pushed: {pushed}")?;
    Ok(())
}

#[cfg(feature = "push")]
fn push_without_engine(package: &Package, image: &ImageReference) -> Result<String> {
    use proxy_wasm_image::{credentials, push};
    let known = credentials::find(image, &credentials::files())?;
    Ok(push(package, image, known.as_ref(), progress::show)?)
}

#[cfg(not(feature = "push"))]
fn push_without_engine(_package: &Package, _image: &ImageReference) -> Result<String> {
    anyhow::bail!(
        "no container engine responds, and this build of cargo proxy-wasm has no registry client; \
         install podman, or build it with the feature `push`"
    )
}

fn deploy(project: &Project, options: Deploy) -> Result<()> {
    let package = &project.package;
    let mesh = options
        .mesh
        .context("to which mesh? Pass --mesh istio, or set the variable MESH")?;
    let given = options.image.filter(|image| !image.is_empty());
    let image = deploy::image(given.as_deref(), Pushed::read(&package.target())?)?;
    let deployment = Deployment::read(&package.root().join("deploy"), &mesh, &image)?;

    let module = project.staged_root()?.join(&project.manifest.module);
    let module =
        std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let report = deployment.check(&package.package().name, &module);
    for finding in &report.findings {
        print_note!("{finding}");
    }
    ensure!(
        report.errors() == 0,
        "nothing is applied: {}",
        counted(report.errors() as u64, "error")
    );

    stdio::write(format_args!("{}", deployment.text()))?;
    if options.dry_run {
        return Ok(());
    }
    deployment.validate()?;
    if !deployment.show_changes()? {
        print_line!("The cluster has it already; nothing is changed")?;
        return Ok(());
    }
    ensure!(
        options.yes || confirmed()?,
        "not confirmed, so nothing is changed; answer y, or pass --yes"
    );
    deployment.apply()
}

fn confirmed() -> Result<bool> {
    stdio::write(format_args!("Apply it? [y/N] "))?;
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
        engine.is_available(),
        "{name} does not respond; `{name} info` says why. CONTAINER_ENGINE=none needs no engine"
    );
    Ok(engine)
}

fn rename_project(name: &str, force: bool) -> Result<()> {
    let renamed = rename(Path::new("."), name, force)?;
    let (from, files) = (renamed.from, counted(renamed.files as u64, "file"));
    print_line!("Renamed: {from} to {name}, in {files}")?;
    let review = if renamed.in_git {
        "git diff, then "
    } else {
        ""
    };
    print_line!("Next:    {review}cargo make image; README.md says what to edit")?;
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
