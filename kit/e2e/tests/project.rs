//! `cargo proxy-wasm check` in a copy of the template: each way in which its files can disagree is an
//! error.

use std::fs;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use proxy_wasm_e2e::{copy, deployed, name, toolkit};
use serde_json::Value;
use tempfile::TempDir;

/// A copy of the template that has been built.
fn project() -> Result<TempDir> {
    let project = copy::without_git()?;
    copy::stage(project.path())?;
    Ok(project)
}

fn check(project: &Path, arguments: &[&str]) -> Result<Output> {
    let toolkit = toolkit().to_str().context("a path that is not UTF-8")?;
    Ok(copy::clean(toolkit)
        .current_dir(project)
        .args(["check", "--for", "istio,envoy-gateway,maistra"])
        .args(arguments)
        .output()?)
}

fn replace(project: &Path, file: &str, from: &str, to: &str) -> Result<()> {
    let path = project.join(file);
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains(from), "{file} does not contain {from:?}");
    Ok(fs::write(path, text.replacen(from, to, 1))?)
}

#[test]
fn template_passes() -> Result<()> {
    let project = project()?;
    let output = check(project.path(), &[])?;
    let text = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{text}");
    assert!(
        !text.contains("error: ") && !text.contains("warning: "),
        "{text}"
    );
    assert!(text.lines().count() <= 24, "{text}");
    for line in [
        "Trial:         the module starts",
        "Project:       7 files under deploy/ agree with manifest.yaml and Cargo.toml",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let output = check(project.path(), &["--format", "json"])?;
    let json: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(json["module"]["trial"]["started"], true);
    let files = json["project"]["files"].as_array().context("not a list")?;
    assert_eq!(files.len(), 7, "{json}");
    Ok(())
}

#[test]
fn options_in_comments_are_fields_of_each_mesh() -> Result<()> {
    let project = project()?;
    for entry in fs::read_dir(project.path().join("deploy"))? {
        let path = entry?.path();
        let mesh = path.file_stem().and_then(|name| name.to_str());
        let file = deployed::with_options(project.path(), mesh.context("no name")?)?;
        fs::write(&path, file.to_string())?;
    }
    let output = check(project.path(), &[])?;
    let text = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Checked: 0 errors, 0 warnings"), "{text}");
    for (file, option) in [
        ("istio", "targetRefs"),
        ("istio", "failStrategy"),
        ("istio-1.30", "imagePullPolicy"),
        ("envoy-gateway", "caCertificateRef"),
        ("maistra", "imagePullSecrets"),
    ] {
        let text = fs::read_to_string(project.path().join(format!("deploy/{file}.yaml")))?;
        assert!(text.contains(option), "{option}: {text}");
    }
    Ok(())
}

#[test]
fn files_of_meshes_that_are_not_used_can_be_deleted() -> Result<()> {
    let project = project()?;
    for (file, left) in [
        ("istio-1.30", "6 files under deploy/ agree"),
        ("istio-envoyfilter", "5 files under deploy/ agree"),
        ("envoy", "4 files under deploy/ agree"),
        ("maistra", "3 files under deploy/ agree"),
        ("maistra-2.0", "2 files under deploy/ agree"),
        ("istio", "1 file under deploy/ agrees"),
        ("envoy-gateway", "manifest.yaml agrees with Cargo.toml"),
    ] {
        fs::remove_file(project.path().join(format!("deploy/{file}.yaml")))?;
        let output = check(project.path(), &[])?;
        let text = String::from_utf8(output.stdout)?;
        assert!(output.status.success(), "{text}");
        assert!(text.contains(left), "{left}: {text}");
    }
    Ok(())
}

#[test]
fn each_disagreement_is_an_error_with_its_place() -> Result<()> {
    let project = project()?;
    let name = name();
    let image = format!(": registry.example/team/{name}:0.1.0");
    let url = format!("oci://registry.example/team/{name}:0.1.0");
    let named = format!("name: {name}\n");
    let rejected = "the module rejects the configuration; it logs \"configuration rejected: ";
    for (file, from, to, finding) in [
        (
            "manifest.yaml",
            "version: 0.1.0",
            "version: 0.1.1",
            "version is ",
        ),
        ("manifest.yaml", &named, "name: other\n", "name is "),
        (
            "Cargo.toml",
            "version = \"0.1.0\"",
            "version = \"0.2.0\"",
            "version is ",
        ),
        (
            "deploy/maistra.yaml",
            &named,
            "name: other\n",
            "metadata.name is ",
        ),
        (
            "deploy/maistra.yaml",
            &image,
            ": registry.example/team/other:0.1.0",
            "the image's repository ",
        ),
        (
            "deploy/maistra.yaml",
            "phase: PostAuthZ",
            "phase: PreStats",
            "phase is ",
        ),
        (
            "deploy/maistra.yaml",
            "priority: 1000",
            "priority: 1",
            "priority is ",
        ),
        (
            "deploy/maistra.yaml",
            "custom-header: test",
            "te: test",
            rejected,
        ),
        (
            "deploy/maistra.yaml",
            "custom-header: test",
            "custom-header: 1",
            rejected,
        ),
        (
            "deploy/maistra-2.0.yaml",
            &image,
            ": registry.example/team/other",
            "the image's repository ",
        ),
        (
            "deploy/maistra-2.0.yaml",
            "config: test",
            "config: '{\"a b\": \"\"}'",
            rejected,
        ),
        (
            "deploy/maistra-2.0.yaml",
            "config: test",
            "config: { a: b }",
            "config is an object",
        ),
        (
            "deploy/istio.yaml",
            &named,
            "name: other\n",
            "metadata.name is ",
        ),
        (
            "deploy/istio.yaml",
            &url,
            &url.replace("0.1.0", "0.2.0"),
            "the image's tag ",
        ),
        (
            "deploy/istio.yaml",
            "phase: STATS",
            "phase: AUTHN",
            "phase is ",
        ),
        (
            "deploy/istio.yaml",
            "priority: 1000",
            "priority: 999",
            "priority is ",
        ),
        (
            "deploy/istio.yaml",
            "custom-header: test",
            "Custom-Header: [true]",
            rejected,
        ),
        (
            "deploy/envoy-gateway.yaml",
            &image,
            &image.replace(":0.1.0", ""),
            "the image has neither",
        ),
        (
            "deploy/envoy-gateway.yaml",
            &format!("- name: {name}"),
            "- name: other",
            "name is ",
        ),
        (
            "deploy/envoy-gateway.yaml",
            "custom-header: test",
            "custom-header: {}",
            rejected,
        ),
        (
            "deploy/envoy.yaml",
            "image/extension.wasm",
            "image/filter.wasm",
            "filename is ",
        ),
        (
            "deploy/envoy.yaml",
            "proxy_log: {}",
            "proxy_done: {}",
            "allowed_capabilities lacks",
        ),
        (
            "deploy/envoy.yaml",
            "{\"custom-header\":",
            "{\"custom-header\"",
            rejected,
        ),
        (
            "deploy/envoy.yaml",
            "  clusters:",
            " clusters:",
            "it is not YAML",
        ),
    ] {
        let before = fs::read(project.path().join(file))?;
        replace(project.path(), file, from, to)?;
        let output = check(project.path(), &[])?;
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed)?;
        assert_eq!(output.status.code(), Some(1), "{file}: {to}: {printed}");
        let errors: Vec<_> = printed
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        // manifest.yaml is compared with Cargo.toml, so the error is there.
        let place = if file == "Cargo.toml" {
            "manifest.yaml"
        } else {
            file
        };
        let finding = format!(": {finding}");
        assert!(
            errors
                .iter()
                .any(|error| error.starts_with(&format!("error: {place}:"))
                    && error.contains(&finding)),
            "{file}: {to}: {printed}"
        );
        assert!(printed.contains("check failed: "), "{printed}");
        fs::write(project.path().join(file), before)?;
    }
    assert!(check(project.path(), &[])?.status.success());
    Ok(())
}

#[test]
fn configuration_option_is_tried_in_the_staged_module() -> Result<()> {
    let project = project()?;
    for (configuration, accepts) in [("", true), ("{\"x-a\": \"b\"}", true), ("[]", false)] {
        let output = check(project.path(), &["--configuration", configuration])?;
        let text = String::from_utf8(output.stdout)?;
        assert_eq!(output.status.success(), accepts, "{text}");
    }
    Ok(())
}
