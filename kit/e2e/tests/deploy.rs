//! The command `cargo proxy-wasm deploy`, with a kubectl that records its arguments, and with the
//! real one where there is no cluster.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use proxy_wasm_e2e::registry::Registry;
use proxy_wasm_e2e::{copy, image_root, name, template, toolkit};
use serde_json::Value;

const IMAGE: &str =
    "127.0.0.1:5000/team/a@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

const MESHES: [&str; 6] = [
    "envoy-gateway",
    "istio",
    "istio-1.30",
    "istio-envoyfilter",
    "maistra",
    "maistra-2.0",
];

/// Runs the command where kubectl is a script that records its arguments and its input, and that
/// ends with `diff_status` if its command is `diff`, and with success otherwise.
fn deploy(project: &Path, diff_status: u8, arguments: &[&str]) -> Result<(Output, String)> {
    deploy_with_input(project, diff_status, arguments, "")
}

/// The same. `input` is what the user types.
fn deploy_with_input(
    project: &Path,
    diff_status: u8,
    arguments: &[&str],
    input: &str,
) -> Result<(Output, String)> {
    let directory = tempfile::tempdir()?;
    let log = directory.path().join("log");
    fs::write(&log, "")?;
    let kubectl = directory.path().join("kubectl");
    fs::write(
        &kubectl,
        format!(
            "#!/bin/sh\necho \"$1 $2\" >> '{0}'\ncat >> '{0}'\n[ \"$1\" != diff ] || exit {diff_status}\n",
            log.display()
        ),
    )?;
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let input_file = directory.path().join("input");
    fs::write(&input_file, input)?;
    let output = command(project, arguments)
        .stdin(File::open(&input_file)?)
        .env("PATH", format!("{}:{path}", directory.path().display()))
        .output()?;
    Ok((output, fs::read_to_string(log)?))
}

fn command(project: &Path, arguments: &[&str]) -> Command {
    let _ = image_root();
    let mut command = copy::clean(&toolkit().to_string_lossy());
    command
        .current_dir(project)
        .arg("deploy")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// A copy of the template that has been built.
fn project() -> Result<tempfile::TempDir> {
    let project = copy::without_git()?;
    copy::stage(project.path())?;
    Ok(project)
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_would_change_is_shown_before_it_is_applied() -> Result<()> {
    let arguments = ["--mesh", "istio", "--image", IMAGE, "--yes"];
    let (output, log) = deploy(template(), 1, &arguments)?;
    assert!(output.status.success(), "{output:?}");
    let (validated, rest) = log.split_once("\ndiff --filename\n").context(log.clone())?;
    assert!(validated.starts_with("apply --dry-run=server\n"), "{log}");
    let (diff, applied) = rest
        .split_once("\napply --filename\n")
        .context(log.clone())?;
    for text in [validated, diff, applied] {
        assert!(text.contains(&format!("url: oci://{IMAGE}")), "{text}");
    }
    Ok(())
}

#[test]
fn resource_is_applied_only_if_the_user_confirms() -> Result<()> {
    let arguments = ["--mesh", "istio", "--image", IMAGE];
    for (input, is_applied) in [
        ("y\n", true),
        ("Yes\n", true),
        ("n\n", false),
        ("\n", false),
        ("", false),
    ] {
        let (output, log) = deploy_with_input(template(), 1, &arguments, input)?;
        assert_eq!(output.status.success(), is_applied, "{output:?}");
        assert_eq!(log.contains("apply --filename"), is_applied, "{log}");
        let error = error(&output);
        assert_eq!(error.contains("nothing is changed"), !is_applied, "{error}");
    }
    Ok(())
}

#[test]
fn nothing_is_applied_if_nothing_would_change_or_the_cluster_rejects_it() -> Result<()> {
    for status in [0, 2] {
        let arguments = ["--mesh", "maistra", "--image", IMAGE, "--yes"];
        let (output, log) = deploy(template(), status, &arguments)?;
        assert_eq!(output.status.success(), status == 0, "{output:?}");
        assert!(!log.contains("apply --filename"), "{log}");
    }
    Ok(())
}

#[test]
fn dry_run_prints_what_would_be_applied_without_kubectl() -> Result<()> {
    for mesh in MESHES {
        let arguments = ["--mesh", mesh, "--image", IMAGE, "--dry-run"];
        let (output, log) = deploy(template(), 1, &arguments)?;
        assert!(output.status.success(), "{output:?}");
        assert_eq!(log, "", "kubectl was called");
        let printed = String::from_utf8(output.stdout)?;
        let resource: Value = serde_saphyr::from_str(&printed).context("not YAML")?;
        assert_eq!(resource["metadata"]["name"], name());
        assert!(resource.to_string().contains(IMAGE), "{printed}");
    }
    Ok(())
}

#[test]
fn mesh_without_a_file_is_rejected() -> Result<()> {
    for mesh in ["consul", "envoy", "../istio"] {
        let arguments = ["--mesh", mesh, "--image", IMAGE, "--yes"];
        let output = command(template(), &arguments).output()?;
        assert!(!output.status.success());
        let error = error(&output);
        let part = format!("pass --mesh with one of {}", MESHES.join(", "));
        assert!(error.contains(&part), "{error}");
    }
    Ok(())
}

#[test]
fn image_that_no_registry_accepts_is_rejected_for_every_mesh() -> Result<()> {
    for mesh in MESHES {
        for (image, correct) in [
            ("a:1", "REGISTRY/TEAM/NAME:TAG"),
            ("oci://registry.example/a:1", "registry.example/a:1"),
            ("registry.example/Team/a:1", "registry.example/team/a:1"),
            ("registry.example/a:", "registry.example/a:TAG"),
            ("registry.example/a:1.0.0+b", "registry.example/a:1.0.0_b"),
        ] {
            let arguments = ["--mesh", mesh, "--image", image, "--yes"];
            let output = command(template(), &arguments).output()?;
            assert!(!output.status.success(), "{image}");
            let error = error(&output);
            assert!(error.contains(&format!("; write {correct}\n")), "{error}");
        }
    }
    Ok(())
}

#[test]
fn only_maistra_needs_a_tag_or_a_digest() -> Result<()> {
    for mesh in MESHES {
        let arguments = ["--mesh", mesh, "--image", "registry.example/a", "--dry-run"];
        let output = command(template(), &arguments).output()?;
        let is_maistra = mesh.starts_with("maistra");
        assert_eq!(output.status.success(), !is_maistra, "{output:?}");
        if is_maistra {
            let error = error(&output);
            assert!(error.contains("write registry.example/a:TAG"), "{error}");
        }
    }
    Ok(())
}

#[test]
fn configuration_that_the_module_rejects_is_not_applied() -> Result<()> {
    let project = project()?;
    for mesh in MESHES {
        let file = project.path().join(format!("deploy/{mesh}.yaml"));
        let text = fs::read_to_string(&file)?;
        // `host` routes the message, so the module rejects it.
        let changed = match mesh {
            "maistra-2.0" => text.replace("config: test", "config: '{\"host\": \"test\"}'"),
            _ => text.replace("custom-header", "host"),
        };
        assert_ne!(text, changed);
        fs::write(&file, changed)?;
        let arguments = ["--mesh", mesh, "--image", IMAGE, "--yes"];
        let (output, log) = deploy(project.path(), 1, &arguments)?;
        assert!(!output.status.success(), "{output:?}");
        assert_eq!(log, "", "kubectl was called");
        let error = error(&output);
        for part in [
            &format!("error: deploy/{mesh}.yaml:"),
            "frames or routes the message",
            "check failed: 1 error; nothing is applied",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    Ok(())
}

#[test]
fn unknown_field_is_reported_by_a_dry_run() -> Result<()> {
    let project = project()?;
    let file = project.path().join("deploy/istio.yaml");
    let text = fs::read_to_string(&file)?;
    fs::write(
        &file,
        text.replace("  priority: 1000", "  failstrategy: FAIL_OPEN"),
    )?;
    let arguments = ["--mesh", "istio", "--image", IMAGE, "--dry-run"];
    let (output, _) = deploy(project.path(), 1, &arguments)?;
    assert!(output.status.success(), "{output:?}");
    let error = error(&output);
    assert!(
        error.contains("no field spec.failstrategy; write failStrategy"),
        "{error}"
    );
    Ok(())
}

#[test]
fn without_a_build_nothing_is_applied() -> Result<()> {
    let project = copy::without_git()?;
    let arguments = ["--mesh", "istio", "--image", IMAGE, "--yes"];
    let (output, log) = deploy(project.path(), 1, &arguments)?;
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(log, "");
    let error = error(&output);
    assert!(
        error.contains("run `cargo proxy-wasm build` first"),
        "{error}"
    );
    Ok(())
}

#[test]
#[cfg_attr(missing_docker_registry, ignore = "needs docker-registry: install it")]
fn after_a_push_its_digest_is_deployed() -> Result<()> {
    let registry = Registry::start("")?;
    let project = project()?;
    let image = registry.image(&format!("team/{}:0.1.0", name()))?;
    let toolkit = toolkit().to_string_lossy();
    let push = ["push", "--engine", "none", "--image", image.as_str()];
    let printed = copy::command(project.path(), &toolkit, &push)?;
    let pushed = printed
        .lines()
        .find_map(|line| line.strip_prefix("Pushed: "));
    let pushed = pushed.with_context(|| printed.clone())?;

    for given in [&[][..], &["--image", image.as_str()]] {
        let arguments = [&["--mesh", "istio", "--dry-run"], given].concat();
        let (output, _) = deploy(project.path(), 1, &arguments)?;
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout)?;
        assert!(text.contains(&format!("url: oci://{pushed}\n")), "{text}");
    }
    let arguments = ["--mesh", "istio", "--dry-run", "--image", IMAGE];
    let (output, _) = deploy(project.path(), 1, &arguments)?;
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains(&format!("url: oci://{IMAGE}\n")), "{text}");
    Ok(())
}

#[test]
#[cfg_attr(missing_kubectl, ignore = "needs kubectl: install it")]
fn without_a_cluster_the_error_names_the_kubectl_command() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let missing = directory.path().join("none");
    let output = command(template(), &["--mesh", "istio", "--image", IMAGE, "--yes"])
        .env("KUBECONFIG", &missing)
        .output()?;
    let error = error(&output);
    assert!(!output.status.success());
    assert!(
        error.contains("kubectl apply --dry-run=server failed"),
        "{error}"
    );
    Ok(())
}
