use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn helper_gets_the_registry_and_prints_the_credentials() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let program = directory.path().join("docker-credential-test");
    fs::write(
        &program,
        r#"#!/bin/sh
case "$1 $(cat)" in
    "get registry.example") echo '{"ServerURL": "x", "Username": "me", "Secret": "sesame"}' ;;
    "get unknown.example") echo "credentials not found"; exit 1 ;;
    "get locked.example") echo "the keyring is locked"; exit 1 ;;
    "get token.example") echo '{"Username": "<token>", "Secret": "sesame"}' ;;
    *) echo "no JSON" ;;
esac
"#,
    )?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let get = |registry| get_from(&program.to_string_lossy(), registry);
    let found = get("registry.example").expect("no error");
    let expected = Credentials {
        username: "me".to_owned(),
        password: "sesame".to_owned(),
    };
    assert_eq!(found, Some(expected));
    assert_eq!(get("unknown.example").expect("no error"), None);
    let message = |registry| get(registry).expect_err("a failure").to_string();
    assert!(message("locked.example").contains("the keyring is locked"));
    assert!(message("odd.example").contains("did not print Username and Secret"));
    let token = message("token.example");
    assert!(
        token.contains("identity token") && !token.contains("sesame"),
        "{token}"
    );
    Ok(())
}
