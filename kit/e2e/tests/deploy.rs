//! The command `cargo proxy-wasm deploy`, with a kubectl that writes down what it is told, and with the
//! real one where there is no cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::Result;
use proxy_wasm_e2e::{template, toolkit};

const IMAGE: &str =
    "127.0.0.1:5000/team/a@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// Runs the command where kubectl is a script that writes down its arguments and what it reads, and
/// ends with `diff_status` when it is asked for a difference.
fn deploy(folder: &Path, diff_status: u8, arguments: &[&str]) -> Result<(Output, String)> {
    let log = folder.join("log");
    fs::write(&log, "")?;
    let kubectl = folder.join("kubectl");
    fs::write(
        &kubectl,
        format!(
            "#!/bin/sh\necho \"$1\" >> '{0}'\ncat >> '{0}'\n[ \"$1\" != diff ] || exit {diff_status}\n",
            log.display()
        ),
    )?;
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command(arguments)
        .env("PATH", format!("{}:{path}", folder.display()))
        .output()?;
    Ok((output, fs::read_to_string(log)?))
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(toolkit());
    command
        .current_dir(template())
        .env_remove("MESH")
        .env_remove("IMAGE")
        .arg("deploy")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

#[test]
fn what_would_change_is_shown_before_it_is_applied() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let arguments = ["--mesh", "istio", "--image", IMAGE, "--yes"];
    let (output, log) = deploy(folder.path(), 1, &arguments)?;
    assert!(output.status.success(), "{output:?}");
    let (diff, apply) = log.split_once("\napply\n").expect(&log);
    assert!(diff.starts_with("diff\n"), "{log}");
    for text in [diff, apply] {
        assert!(text.contains(&format!("url: oci://{IMAGE}")), "{text}");
    }
    Ok(())
}

#[test]
fn nothing_is_applied_without_a_yes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let arguments = ["--mesh", "istio", "--image", IMAGE];
    let (output, log) = deploy(folder.path(), 1, &arguments)?;
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr)?;
    assert!(error.contains("nothing is changed"), "{error}");
    assert!(!log.contains("apply"), "{log}");
    Ok(())
}

#[test]
fn nothing_is_applied_if_nothing_would_change_or_the_cluster_refuses() -> Result<()> {
    for status in [0, 2] {
        let folder = tempfile::tempdir()?;
        let arguments = ["--mesh", "maistra", "--image", IMAGE, "--yes"];
        let (output, log) = deploy(folder.path(), status, &arguments)?;
        assert_eq!(output.status.success(), status == 0, "{output:?}");
        assert!(!log.contains("apply"), "{log}");
    }
    Ok(())
}

#[test]
fn a_mesh_without_a_file_and_an_image_without_a_registry_are_told() -> Result<()> {
    for (mesh, image, part) in [
        (
            "consul",
            IMAGE,
            "MESH is one of envoy-gateway, istio, maistra, maistra-2.0",
        ),
        ("envoy", IMAGE, "MESH is one of"),
        ("../istio", IMAGE, "MESH is one of"),
        ("istio", "a:1", "write REGISTRY/TEAM/NAME:TAG"),
    ] {
        let output = command(&["--mesh", mesh, "--image", image, "--yes"]).output()?;
        let error = String::from_utf8(output.stderr)?;
        assert!(!output.status.success());
        assert!(error.contains(part), "{error}");
    }
    Ok(())
}

#[test]
#[cfg_attr(missing_kubectl, ignore = "needs kubectl: install it")]
fn without_a_cluster_kubectl_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let nowhere = folder.path().join("none");
    let output = command(&["--mesh", "istio", "--image", IMAGE, "--yes"])
        .env("KUBECONFIG", &nowhere)
        .output()?;
    let error = String::from_utf8(output.stderr)?;
    assert!(!output.status.success());
    assert!(error.contains("kubectl diff failed"), "{error}");
    Ok(())
}
