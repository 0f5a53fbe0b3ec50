use super::*;

fn found(text: &str) -> Option<Credentials> {
    look_up(text.as_bytes(), "registry.example", "team/a").expect(text)
}

fn credentials(username: &str, password: &str) -> Option<Credentials> {
    Some(Credentials {
        username: username.to_owned(),
        password: password.to_owned(),
    })
}

#[test]
fn auths_of_podman_and_docker_are_read() {
    // "me:pass:word"
    assert_eq!(
        found(r#"{"auths": {"registry.example": {"auth": "bWU6cGFzczp3b3Jk"}}}"#),
        credentials("me", "pass:word")
    );
    assert_eq!(
        found(r#"{"auths": {"https://registry.example/v1/": {"auth": "bWU6cGFzczp3b3Jk"}}}"#),
        credentials("me", "pass:word")
    );
    assert_eq!(
        found(r#"{"auths": {"registry.example": {"username": "a", "password": "b"}}}"#),
        credentials("a", "b")
    );
}

#[test]
fn most_specific_repository_wins() {
    let text = r#"{"auths": {
        "registry.example": {"username": "far", "password": ""},
        "registry.example/team": {"username": "near", "password": ""},
        "registry.example/team/b": {"username": "beside", "password": ""}}}"#;
    assert_eq!(found(text), credentials("near", ""));
}

#[test]
fn no_credentials_are_found_for_another_registry() {
    for text in [
        "",
        "{}",
        r#"{"auths": {"registry.example": {}}}"#,
        r#"{"auths": {"registry.example.org": {"auth": "bWU6cGFzczp3b3Jk"}}}"#,
    ] {
        assert_eq!(found(text), None, "{text}");
    }
}

#[test]
fn credential_store_is_used_for_a_registry_with_the_name_of_the_repository() {
    let text = r#"{"credsStore": "that-does-not-exist"}"#;
    let error = look_up(text.as_bytes(), "team.example", "team").expect_err("no helper");
    let error = error.to_string();
    assert!(
        error.contains("cannot run docker-credential-that-does-not-exist"),
        "{error}"
    );
}

#[test]
fn error_of_a_damaged_file_does_not_contain_the_password() {
    for (text, part) in [
        ("{", "EOF"),
        (
            r#"{"auths": {"registry.example": {"auth": "c2VjcmV0"}}}"#,
            "auths, registry.example: auth is not NAME:PASSWORD",
        ),
        (
            r#"{"auths": {"registry.example": {"auth": "secret!"}}}"#,
            "base64",
        ),
        (
            r#"{"auths": {"registry.example": {"identitytoken": "secret"}}}"#,
            "identity token",
        ),
        (
            r#"{"credHelpers": {"registry.example": "../secret"}}"#,
            "not the name of a program",
        ),
        (
            r#"{"credsStore": "that-does-not-exist"}"#,
            "cannot run docker-credential-that-does-not-exist",
        ),
    ] {
        let error = look_up(text.as_bytes(), "registry.example", "team/a").expect_err(text);
        let error = error.to_string();
        assert!(error.contains(part), "{error}");
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
}
