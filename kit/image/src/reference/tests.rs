use super::*;

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

#[test]
fn reference_is_split_into_registry_and_repository() {
    let by_digest = format!("localhost/a@{DIGEST}");
    let by_both = format!("registry.example/a:1@{DIGEST}");
    for (text, registry, repository) in [
        ("registry.example/team/a:1", "registry.example", "team/a"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000", "a"),
        ("[::1]:5000/a-b/c__d:V1.0_x", "[::1]:5000", "a-b/c__d"),
        (&by_digest, "localhost", "a"),
        (&by_both, "registry.example", "a"),
    ] {
        let reference = ImageReference::parse(text).expect(text);
        assert_eq!(reference.registry(), registry);
        assert_eq!(reference.repository(), repository);
        assert_eq!(reference.to_string(), text);
        assert_eq!(
            reference.with_digest(DIGEST),
            format!("{registry}/{repository}@{DIGEST}")
        );
    }
}

#[test]
fn invalid_reference_is_rejected() {
    let long_tag = format!("registry.example/a:{}", "x".repeat(129));
    for (text, problem) in [
        ("", "has no registry"),
        ("a", "has no registry"),
        ("a:1", "has no registry"),
        ("team/a:1", "has no registry"),
        ("registry.example:80 /a", "not a host name"),
        ("registry.example/", "has no repository"),
        ("registry.example/:1", "has no repository"),
        ("registry.example/team//a:1", "lower-case"),
        ("registry.example/-a:1", "lower-case"),
        ("registry.example/a:.1", "a tag"),
        ("registry.example/a:1:2", "a tag"),
        (&long_tag, "a tag"),
        ("registry.example/a@sha256:00", "a digest"),
        ("registry.example/a@latest", "a digest"),
    ] {
        let error = ImageReference::parse(text).expect_err(text).to_string();
        assert!(error.contains(problem), "{error}");
        assert!(error.ends_with("; write REGISTRY/TEAM/NAME:TAG"), "{error}");
    }
}

#[test]
fn error_has_the_correct_form() {
    let upper_case = DIGEST.to_uppercase();
    let lower_case = format!("registry.example/a@{DIGEST}");
    for (text, problem, correct) in [
        (
            "oci://registry.example/a:1",
            "it has a scheme",
            "registry.example/a:1",
        ),
        (
            "https://registry.example/A:1",
            "it has a scheme",
            "registry.example/a:1",
        ),
        (
            "registry.example/Team/a:1",
            "lower-case",
            "registry.example/team/a:1",
        ),
        (
            "registry.example/a:",
            "its tag is empty",
            "registry.example/a:TAG",
        ),
        (
            "registry.example/a:1.0.0+b",
            "a tag",
            "registry.example/a:1.0.0_b",
        ),
        (
            &format!("registry.example/a@{upper_case}"),
            "a digest",
            &lower_case,
        ),
    ] {
        let error = ImageReference::parse(text).expect_err(text).to_string();
        assert!(error.contains(problem), "{error}");
        assert!(error.ends_with(&format!("; write {correct}")), "{error}");
    }
}

#[test]
fn tag_and_digest_are_optional() {
    let parse = |text: &str| ImageReference::parse(text).expect(text);
    let both = parse(&format!("registry.example/a:1@{DIGEST}"));
    assert_eq!((both.tag(), both.digest()), (Some("1"), Some(DIGEST)));
    let none = parse("registry.example/a");
    assert_eq!((none.tag(), none.digest()), (None, None));
}

#[test]
fn only_registries_on_this_machine_are_local() {
    let is_local = |registry: &str| {
        ImageReference::parse(&format!("{registry}/a"))
            .expect(registry)
            .is_local()
    };
    for local in [
        "localhost",
        "localhost:5000",
        "127.0.0.1:5000",
        "127.1.2.3",
        "[::1]:5000",
    ] {
        assert!(is_local(local), "{local}");
    }
    for remote in [
        "registry.example",
        "127.0.0.1.registry.example",
        "localhost.example:5000",
        "10.0.0.1:5000",
    ] {
        assert!(!is_local(remote), "{remote}");
    }
}
