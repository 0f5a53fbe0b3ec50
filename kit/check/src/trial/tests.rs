use super::*;

const PARTS: &str = r#"
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_abi_version_0_2_1"))
    (data (i32.const 0) "a word")
    (func $say (param $level i32)
      (drop (call $log (local.get $level) (i32.const 0) (i32.const 6))))"#;

/// A module that can `call $say` with a log level, and the fields that a test adds.
fn module(added: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (import "env" "proxy_get_buffer_bytes"
          (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_get_property"
          (func $property (param i32 i32 i32 i32) (result i32)))
        {PARTS} {added})"#
    );
    wat::parse_str(&text).expect(&text)
}

fn start(added: &str) -> (Trial, Option<TrialProblem>) {
    run(&module(added), &TrialSettings::default())
}

fn configure(added: &str, configuration: &str) -> (Trial, Option<TrialProblem>) {
    let settings = TrialSettings {
        configuration: Some(configuration.as_bytes().to_vec()),
        ..TrialSettings::default()
    };
    run(&module(added), &settings)
}

/// Checks that the problem is an error, and returns its text.
#[track_caller]
fn error((trial, problem): (Trial, Option<TrialProblem>)) -> (Trial, String) {
    let problem = problem.expect("a problem");
    assert!(problem.is_error, "{problem:?}");
    assert_eq!(trial.not_tried, None);
    (trial, format!("{}; {}", problem.what, problem.how))
}

/// Checks that there is no error, and returns why the module was not tried.
#[track_caller]
fn not_tried((trial, problem): (Trial, Option<TrialProblem>)) -> (Option<TrialProblem>, String) {
    assert!(!problem.as_ref().is_some_and(|problem| problem.is_error));
    (problem, trial.not_tried.expect("a reason"))
}

#[test]
fn module_without_callbacks_starts() {
    let (trial, problem) = start("");
    assert!(problem.is_none());
    let expected = Trial {
        started: Some(true),
        ..Trial::default()
    };
    assert_eq!(trial, expected);
}

#[test]
fn trap_is_an_error_with_what_the_module_logged() {
    for name in ["_initialize", "_start"] {
        let (trial, text) = error(start(&format!(
            "(func (export \"{name}\") (call $say (i32.const 5)) unreachable)"
        )));
        assert_eq!(
            text,
            format!(
                "the module's {name} traps: wasm `unreachable` instruction executed; it logs \
                 \"a word\"; fix the error in its log"
            )
        );
        assert_eq!(trial.started, Some(false));
        let line = TrialLogLine {
            level: "critical",
            message: "a word".to_owned(),
        };
        assert_eq!(trial.log, [line]);
    }
    let (_, text) = error(start(
        "(func (export \"proxy_on_vm_start\") (param i32 i32) (result i32) unreachable)",
    ));
    assert_eq!(
        text,
        "the module's proxy_on_vm_start traps: wasm `unreachable` instruction executed; it logs \
         nothing; load it in a test with proxy-wasm-test, whose error has a backtrace"
    );
}

#[test]
fn trap_and_host_call_in_the_start_section_are_errors() {
    for (body, expected) in [
        (
            "unreachable",
            "the module's start section traps: wasm `unreachable` instruction executed; it logs \
             nothing; ",
        ),
        (
            "(call $say (i32.const 2))",
            "the module does not load: its start section calls proxy_log: Envoy crashes when it \
             loads such a module; move the code to `_initialize`",
        ),
    ] {
        let (trial, text) = error(start(&format!("(func $begin {body}) (start $begin)")));
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(trial.started, Some(false));
    }
    let (_, text) = error(start("(data (i32.const 65536) \"x\")"));
    assert!(text.contains("a data segment does not fit"), "{text}");
}

#[test]
fn start_that_returns_false_is_an_error() {
    let (trial, text) = error(start(
        "(func (export \"proxy_on_vm_start\") (param i32 i32) (result i32)
           (call $say (i32.const 2)) i32.const 0)",
    ));
    assert_eq!(
        text,
        "the module's proxy_on_vm_start returns false, so a proxy does not load it; it logs \
         \"a word\"; return true for every VM configuration"
    );
    assert_eq!(trial.started, Some(false));
}

/// Accepts a configuration that begins with an `a`.
const READS: &str = r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $buffer (i32.const 7) (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 20)))
    (call $say (i32.const 4))
    (i32.eq (i32.load8_u (i32.load (i32.const 16))) (i32.const 97)))"#;

#[test]
fn configuration_is_accepted_or_rejected() {
    let (trial, problem) = configure(READS, "a text");
    assert!(problem.is_none());
    assert_eq!((trial.started, trial.configured), (Some(true), Some(true)));
    assert_eq!(trial.log.len(), 1);

    let (trial, text) = error(configure(READS, "b"));
    assert_eq!(
        text,
        "the module rejects the configuration; it logs \"a word\"; write a configuration that it \
         accepts"
    );
    assert_eq!((trial.started, trial.configured), (Some(true), Some(false)));
    assert_eq!(trial.log.len(), 1);

    let (trial, _) = start(READS);
    assert_eq!((trial.started, trial.configured), (Some(true), None));
}

#[test]
fn trap_while_configuring_is_an_error() {
    let (trial, text) = error(configure(
        "(func (export \"proxy_on_configure\") (param i32 i32) (result i32)
           (call $say (i32.const 2)) (call $say (i32.const 5)) unreachable)",
        "",
    ));
    assert!(text.contains("proxy_on_configure traps"), "{text}");
    // The message quotes errors rather than other lines.
    assert_eq!(text.matches("a word").count(), 1, "{text}");
    assert_eq!((trial.started, trial.configured), (Some(true), Some(false)));
    assert_eq!(trial.log.len(), 2);
}

#[test]
fn endless_start_is_a_warning_within_bounded_time() {
    let (problem, why) = not_tried(start("(func (export \"_initialize\") (loop br 0))"));
    let problem = problem.expect("a warning");
    assert_eq!(
        problem.what,
        "the module's _initialize did not return within 1000000000 instructions, so it may never \
         return"
    );
    assert_eq!(
        why,
        "_initialize did not return within 1000000000 instructions"
    );
}

#[test]
fn limit_of_the_embedded_proxy_is_not_an_error() {
    let (problem, why) = not_tried(start(
        "(func (export \"_initialize\")
           (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable)",
    ));
    assert!(problem.is_none());
    assert_eq!(
        why,
        "_initialize needs more memory than the embedded proxy has"
    );
    let (problem, why) = not_tried(start("(func $again (export \"_initialize\") call $again)"));
    assert!(problem.is_none());
    assert!(why.contains("call stack"), "{why}");
    let large = vec![0; MAX_LENGTH + 1];
    let (problem, why) = not_tried(run(&large, &TrialSettings::default()));
    assert!(problem.is_none());
    assert!(why.contains("67108864 bytes"), "{why}");
}

#[test]
fn what_only_envoy_can_load_is_not_tried() {
    let (problem, why) = not_tried(start("(func try nop catch_all nop end)"));
    assert!(problem.is_none());
    assert!(why.contains("which Envoy has and the interpreter"), "{why}");
}

#[test]
fn long_log_is_truncated() {
    let loud = "(func (export \"_initialize\") (local i32)
        (loop
          (drop (call $log (i32.const 2) (i32.const 0) (i32.const 5000)))
          (local.set 0 (i32.add (local.get 0) (i32.const 1)))
          (br_if 0 (i32.lt_u (local.get 0) (i32.const 1000)))))";
    let (trial, problem) = start(loud);
    assert!(problem.is_none());
    assert_eq!(trial.log.len(), 100);
    assert!(
        trial
            .log
            .iter()
            .all(|line| line.message.chars().count() == 1001)
    );
}

#[test]
fn module_gets_the_settings() {
    // Rejects a VM configuration that does not have three bytes.
    let added = "(func (export \"proxy_on_vm_start\") (param i32 i32) (result i32)
        (i32.eq (local.get 1) (i32.const 3)))";
    let settings = TrialSettings {
        vm_configuration: b"abc".to_vec(),
        ..TrialSettings::default()
    };
    assert!(run(&module(added), &settings).1.is_none());
    assert!(start(added).1.is_some());
}

#[test]
fn module_that_needs_its_root_id_starts_with_it() {
    let module = module(
        r#"(data (i32.const 64) "plugin_root_id")
        (func (export "proxy_on_context_create") (param i32 i32)
          (drop (call $property (i32.const 64) (i32.const 14) (i32.const 16) (i32.const 20)))
          (if (i32.ne (i32.load (i32.const 20)) (i32.const 3)) (then unreachable)))"#,
    );
    let tried = |root_id: Option<&str>, configuration: Option<&[u8]>| {
        let settings = TrialSettings {
            root_id: root_id.map(str::to_owned),
            configuration: configuration.map(<[u8]>::to_vec),
            ..TrialSettings::default()
        };
        run(&module, &settings)
    };
    let (trial, problem) = tried(None, None);
    assert_eq!(trial.started, None);
    let problem = problem.expect("a warning");
    assert!(!problem.is_error);
    assert!(problem.how.ends_with("pass --root-id"), "{}", problem.how);

    for (root_id, configuration) in [(Some(""), None), (None, Some(&b"{}"[..]))] {
        let (_, text) = error(tried(root_id, configuration));
        assert!(text.ends_with("pass --root-id"), "{text}");
    }
    assert!(tried(Some("abc"), None).1.is_none());
}

#[test]
fn module_that_never_starts_is_rejected_without_a_root_id() {
    let callback = "(func (export \"proxy_on_context_create\") (param i32 i32) unreachable)";
    error(start(callback));
}

#[test]
fn module_is_tried_once() {
    let mut trials = Trials::default();
    let bytes = module("");
    assert_eq!(trials.run("a", &bytes).0.started, Some(true));
    // Trials are looked up by digest, so the second module is not tried.
    assert_eq!(trials.run("a", b"").0.started, Some(true));
    assert_eq!(trials.run("b", b"").0.started, Some(false));
}
