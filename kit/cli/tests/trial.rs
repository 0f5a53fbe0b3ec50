//! `cargo proxy-wasm check`: trials in the embedded proxy, and output that cannot be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::Result;
use serde_json::{Value, json};

/// Accepts a configuration of three bytes, and logs `aye`.
const MODULE: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "aye")
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $log (i32.const 2) (i32.const 0) (i32.const 3)))
      (i32.eq (local.get 1) (i32.const 3))))"#;

/// A directory with the module as `a.wasm`, in which `from` is replaced by `to`.
fn module(from: &str, to: &str) -> Result<(tempfile::TempDir, PathBuf)> {
    assert!(MODULE.contains(from), "{from}");
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("a.wasm");
    fs::write(&path, wat::parse_str(MODULE.replacen(from, to, 1))?)?;
    Ok((directory, path))
}

fn command(arguments: &[&str], path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"));
    command.arg("check").arg(path).args(arguments);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn module_that_does_not_start_is_rejected_by_all() -> Result<()> {
    let (_directory, path) = module("i32.const 1)", "unreachable)")?;
    let output = command(&[], &path).output()?;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let problem = "a.wasm: the module's proxy_on_vm_start traps: wasm `unreachable` instruction";
    assert!(text.contains(problem), "{text}");
    assert!(text.contains("\nTrial:         the module does not start: see above\n"));
    assert_eq!(text.matches("rejects it").count(), 4, "{text}");
    Ok(())
}

#[test]
fn configuration_is_tried() -> Result<()> {
    let (directory, path) = module("", "")?;
    let file = directory.path().join("configuration");
    fs::write(&file, "abc")?;
    let file = file.to_string_lossy();
    for (arguments, code, expected) in [
        (&[][..], 0, "the module starts"),
        (
            &["--configuration", "abc"],
            0,
            "the module starts, and accepts the configuration\nLog:           info: aye",
        ),
        (
            &["--configuration-file", &file],
            0,
            "the module starts, and accepts the configuration\nLog:           info: aye",
        ),
        (
            &["--configuration", ""],
            1,
            "the module starts, and rejects the configuration: see above",
        ),
        (
            &["--configuration", "-x"],
            1,
            "the module starts, and rejects the configuration: see above",
        ),
    ] {
        let output = command(arguments, &path).output()?;
        let text = text(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(
            text.contains(&format!("\nTrial:         {expected}\n")),
            "{text}"
        );
        let error = "a.wasm: the module rejects the configuration; it logs \"aye\"; ";
        assert_eq!(text.contains(error), code == 1, "{text}");
    }
    Ok(())
}

#[test]
fn root_id_option_sets_the_root_id() -> Result<()> {
    let looks = r#"(func (export "proxy_on_context_create") (param i32 i32)
      (drop (call $property (i32.const 8) (i32.const 14) (i32.const 32) (i32.const 36)))
      (if (i32.ne (i32.load (i32.const 36)) (i32.const 3)) (then unreachable)))
    (data (i32.const 8) "plugin_root_id")
    (data (i32.const 0) "aye")"#;
    let module = MODULE
        .replace("(data (i32.const 0) \"aye\")", looks)
        .replacen(
            "(memory",
            "(import \"env\" \"proxy_get_property\"
          (func $property (param i32 i32 i32 i32) (result i32)))
        (memory",
            1,
        );
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("a.wasm");
    fs::write(&path, wat::parse_str(module)?)?;
    let output = command(&["--root-id", "abc"], &path).output()?;
    assert!(output.status.success(), "{}", text(&output));
    let hint = "if it needs its root ID, pass --root-id";
    let output = command(&[], &path).output()?;
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains(hint));
    let output = command(&["--root-id", ""], &path).output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(hint));
    Ok(())
}

#[test]
fn invalid_options_are_errors() -> Result<()> {
    let (_directory, path) = module("", "")?;
    let output = command(&["--configuration-file", "/no/file"], &path).output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("cannot read /no/file"));
    let both = ["--configuration", "a", "--configuration-file", "b"];
    let output = command(&both, &path).output()?;
    assert_eq!(output.status.code(), Some(2));
    Ok(())
}

#[test]
fn trial_is_in_the_json() -> Result<()> {
    let trial = |from: &str, to: &str, arguments: &[&str]| -> Result<Value> {
        let (_directory, path) = module(from, to)?;
        let output = command(&[&["--format", "json"], arguments].concat(), &path).output()?;
        let json: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(json["project"], Value::Null);
        Ok(json["module"]["trial"].clone())
    };
    let log = json!([{ "level": "info", "message": "aye" }]);
    assert_eq!(
        trial("", "", &[])?,
        json!({ "started": true, "configured": null, "log": [], "not_tried": null })
    );
    assert_eq!(
        trial("", "", &["--configuration", "abc"])?,
        json!({ "started": true, "configured": true, "log": log, "not_tried": null })
    );
    assert_eq!(
        trial("", "", &["--configuration", "b"])?,
        json!({ "started": true, "configured": false, "log": log, "not_tried": null })
    );
    assert_eq!(
        trial("i32.const 1)", "unreachable)", &[])?,
        json!({ "started": false, "configured": null, "log": [], "not_tried": null })
    );
    let endless = trial("i32.const 1)", "(loop br 0) unreachable)", &[])?;
    assert_eq!(endless["started"], Value::Null);
    assert_eq!(
        endless["not_tried"],
        "proxy_on_vm_start did not return within 1000000000 instructions"
    );
    // A module that the rules reject is not tried.
    assert_eq!(trial("\"malloc\"", "\"other\"", &[])?, Value::Null);
    Ok(())
}

#[test]
fn module_whose_trial_reaches_a_limit_is_accepted_with_a_warning() -> Result<()> {
    let (_directory, path) = module("i32.const 1)", "(loop br 0) unreachable)")?;
    let output = command(&[], &path).output()?;
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("\nwarning: "), "{text}");
    assert!(text.contains("\nTrial:         whether the module starts is not known: "));
    assert!(text.ends_with("Checked: 0 errors, 1 warning\n"), "{text}");
    Ok(())
}

#[test]
fn closed_output_is_not_an_error() -> Result<()> {
    let (_directory, good) = module("", "")?;
    let (_directory, bad) = module("\"malloc\"", "\"other\"")?;
    for (path, arguments, code) in [
        (&good, &["--format", "json"][..], 0),
        (&good, &["--capabilities"], 0),
        (&good, &[], 0),
        (&bad, &[], 1),
    ] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let output = command(arguments, path)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()?
            .wait_with_output()?;
        let text = text(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let status = command(&[], &bad)
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .status()?;
    assert_eq!(status.code(), Some(1));
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_an_error() -> Result<()> {
    let (_directory, path) = module("", "")?;
    let full = fs::File::options().write(true).open("/dev/full")?;
    let output = command(&[], &path).stdout(full).output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("cannot write to standard output"));
    Ok(())
}
