use super::*;

#[test]
fn a_reference_names_its_registry() {
    for (reference, registry, repository) in [
        ("registry.example/team/a:1", "registry.example", "team/a"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000", "a"),
        ("localhost/a@sha256:00", "localhost", "a"),
    ] {
        let target = Target::of(reference).expect(reference);
        assert_eq!(target.registry, registry);
        assert_eq!(target.repository, repository);
    }
    for bad in [
        "",
        "a",
        "a:1",
        "team/a:1",
        "registry.example/",
        "registry.example/:1",
    ] {
        let error = Target::of(bad).expect_err(bad).to_string();
        assert!(error.contains("write REGISTRY/TEAM/NAME:TAG"), "{error}");
    }
}

#[test]
fn this_machine_alone_is_spoken_to_without_tls() {
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
