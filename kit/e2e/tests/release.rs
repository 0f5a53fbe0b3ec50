//! The steps of .github/workflows/release.yml, with a registry on this machine. Scripts that
//! record how they are called replace the programs that sign and publish.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use proxy_wasm_e2e::registry::Registry;
use proxy_wasm_e2e::{copy, name, run, toolkit};
use serde_json::Value;
use tempfile::TempDir;

const VERSION: &str = "0.1.0";

/// Programs in place of the real ones. `LOG` is a file, `CARGO` the real Cargo, `TOOLKIT` the
/// command.
const PROGRAMS: [(&str, &str); 5] = [
    ("rustup", ":"),
    ("docker", "echo \"docker $* $(cat)\" >> LOG"),
    ("cosign", "echo \"cosign $*\" >> LOG"),
    ("gh", "echo \"gh $*\" >> LOG"),
    (
        "cargo",
        "case \"$1 $2\" in\n\
         'metadata '*) exec CARGO \"$@\" ;;\n\
         'install '*|'make install-toolkit') ;;\n\
         'make image'|'make push') exec TOOLKIT \"$2\" ;;\n\
         'cyclonedx '*) echo '{\"bomFormat\": \"CycloneDX\"}' > sbom.json ;;\n\
         *) echo \"unexpected: cargo $*\" >&2; exit 1 ;;\nesac",
    ),
];

/// A run of the workflow.
struct Workflow {
    project: TempDir,
    programs: TempDir,
    /// The values of expressions such as `vars.IMAGE`.
    values: BTreeMap<String, String>,
    tag: String,
}

impl Workflow {
    fn new(image: &str, tag: &str) -> Result<Self> {
        let project = copy::without_git()?;
        copy::stage(project.path())?;
        let programs = tempfile::tempdir()?;
        let cargo = run("sh", &["-c", "command -v cargo"])?;
        let log = programs.path().join("log");
        fs::write(&log, "")?;
        for (program, script) in PROGRAMS {
            let script = script
                .replace("LOG", &format!("'{}'", log.display()))
                .replace("CARGO", &format!("'{cargo}'"))
                .replace("TOOLKIT", &format!("'{}'", toolkit().display()));
            let path = programs.path().join(program);
            fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        let values = [
            ("vars.IMAGE", image),
            ("vars.REGISTRY_USER", "me"),
            ("secrets.REGISTRY_PASSWORD", "open sesame"),
            ("github.token", "token"),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self {
            project,
            programs,
            values: BTreeMap::from(values),
            tag: tag.to_owned(),
        })
    }

    /// Runs all steps that are scripts.
    fn run(&mut self) -> Result<()> {
        let file = self.project.path().join(".github/workflows/release.yml");
        let workflow: Value = serde_saphyr::from_str(&fs::read_to_string(file)?)?;
        let steps = workflow["jobs"]["release"]["steps"].as_array();
        for step in steps.context("no steps")? {
            if let Some(script) = step["run"].as_str() {
                self.step(step, script)
                    .with_context(|| format!("the step {}", step["name"]))?;
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Value, script: &str) -> Result<()> {
        let output = self.programs.path().join("output");
        fs::write(&output, "")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = copy::clean("bash");
        command
            .current_dir(self.project.path())
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .env("PATH", format!("{}:{path}", self.programs.path().display()))
            .env("GITHUB_REF_NAME", &self.tag)
            .env("GITHUB_OUTPUT", &output);
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            command.env(name, self.evaluate(value.as_str().unwrap_or_default())?);
        }
        run_command(&mut command)?;
        if let Some(id) = step["id"].as_str() {
            for (name, value) in fs::read_to_string(&output)?
                .lines()
                .filter_map(|line| line.split_once('='))
            {
                let name = format!("steps.{id}.outputs.{name}");
                self.values.insert(name, value.to_owned());
            }
        }
        Ok(())
    }

    /// Replaces each `${{ NAME }}`.
    fn evaluate(&self, text: &str) -> Result<String> {
        let mut evaluated = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (name, after) = after.split_once("}}").context("an open expression")?;
            let value = self.values.get(name.trim());
            evaluated.push_str(before);
            evaluated.push_str(value.with_context(|| format!("no value of {name}"))?);
            rest = after;
        }
        Ok(evaluated + rest)
    }

    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.programs.path().join("log"))?)
    }

    fn read(&self, path: &str) -> Result<String> {
        let path = self.project.path().join(path);
        fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))
    }
}

fn run_command(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let printed = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&printed)
    );
    Ok(())
}

fn assert_is_file(path: &Path) {
    assert!(path.is_file(), "no {}", path.display());
}

#[test]
#[cfg_attr(missing_docker_registry, ignore = "needs docker-registry: install it")]
fn release_has_the_module_the_digests_and_the_bill_of_materials() -> Result<()> {
    let registry = Registry::start("")?;
    let image = format!("{}/team/{}", registry.address(), name());
    let mut workflow = Workflow::new(&image, &format!("v{VERSION}"))?;
    workflow.run()?;

    let pushed = workflow.values["steps.push.outputs.image"].clone();
    assert!(pushed.starts_with(&format!("{image}@sha256:")), "{pushed}");
    let log = workflow.log()?;
    for call in [
        &format!(
            "docker login --username me --password-stdin {} open sesame",
            registry.address()
        ),
        &format!("cosign sign --yes {pushed}"),
        &format!("cosign attest --yes --type cyclonedx --predicate sbom.json {pushed}"),
        &format!("gh release create v{VERSION} --verify-tag"),
    ] {
        assert!(log.contains(call.as_str()), "{call}: {log}");
    }
    assert_eq!(workflow.read("release/image.txt")?.trim(), pushed);
    assert!(
        workflow
            .read("release/sbom.cdx.json")?
            .contains("CycloneDX")
    );
    let sums = workflow.read("release/SHA256SUMS")?;
    let release = workflow.project.path().join("release");
    for file in [
        "extension.wasm",
        "manifest.yaml",
        "sbom.cdx.json",
        "image.txt",
    ] {
        assert_is_file(&release.join(file));
        assert!(sums.contains(file), "{file}: {sums}");
        assert!(log.contains(&format!("release/{file}")), "{file}: {log}");
    }
    let mut check = Command::new("sha256sum");
    run_command(check.args(["--check", "SHA256SUMS"]).current_dir(&release))
}

#[test]
fn tag_of_another_version_is_an_error() -> Result<()> {
    let mut workflow = Workflow::new("registry.example/team/a", "v9.9.9")?;
    let error = format!("{:#}", workflow.run().err().context("released")?);
    assert!(error.contains("The tag is v9.9.9"), "{error}");
    assert_eq!(workflow.log()?, "");
    Ok(())
}

#[test]
fn missing_variable_is_an_error() -> Result<()> {
    let mut workflow = Workflow::new("", &format!("v{VERSION}"))?;
    let error = format!("{:#}", workflow.run().err().context("released")?);
    assert!(error.contains("The variable IMAGE is not set"), "{error}");
    Ok(())
}
