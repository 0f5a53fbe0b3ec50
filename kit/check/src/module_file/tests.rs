use super::*;
use crate::consumers;

/// The report on a module that exports as little as a proxy accepts, and what a test adds.
fn report(marker: &str, imports: &str, exports: &str) -> Report {
    let text = format!(
        r#"(module
            {imports}
            (memory (export "memory") 1)
            (func (export "malloc") (param i32) (result i32) i32.const 0)
            (func (export "proxy_on_tick") (param i32))
            (func (export "proxy_abi_version_{marker}"))
            {exports})"#
    );
    let mut report = Report::default();
    let module = wat::parse_str(&text).expect(&text);
    let readers = consumers::all();
    let oldest = check(&mut report, &readers, "a.wasm", &module);
    report.read(&readers, "a.wasm", oldest);
    report.conclude()
}

fn findings(marker: &str, imports: &str, exports: &str) -> Vec<String> {
    let report = report(marker, imports, exports);
    report.findings.iter().map(ToString::to_string).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn imports_of_go_1_24_pass_where_envoy_has_them() {
    let imports = r#"
        (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff"
            (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_fdstat_set_flags"
            (func (param i32 i32) (result i32)))"#;
    let report = report("0_2_1", imports, "");
    let lines: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "error: a.wasm: it imports wasi_snapshot_preview1.sched_yield, \
             wasi_snapshot_preview1.poll_oneoff, wasi_snapshot_preview1.fd_fdstat_set_flags, which \
             Envoy offers since 1.33, so these releases reject it: Envoy 1.32 and older, Istio 1.24 \
             and older, Envoy Gateway 1.2 and older, and every release of Maistra with \
             ServiceMeshExtension; to run it there, remove the code that calls it, or use an older \
             compiler or SDK (rejected by maistra)"
        ]
    );
    let since: Vec<_> = report
        .consumers
        .iter()
        .map(|verdict| verdict.since)
        .collect();
    assert_eq!(since, [Some("1.33"), Some("1.25"), Some("1.3"), None]);
    assert_eq!(report.module.expect("a module").oldest, "1.33");
}

#[test]
fn import_that_came_with_a_new_envoy_is_rejected_by_meshes_with_older_ones() {
    let import = r#"(import "wasi_snapshot_preview1" "sock_shutdown"
        (func (param i32 i32) (result i32)))"#;
    let report = report("0_2_1", import, "");
    let accepts: Vec<_> = report
        .consumers
        .iter()
        .map(|verdict| (verdict.accepts, verdict.since, verdict.reasons.len()))
        .collect();
    let rejects = (false, None, 1);
    assert_eq!(
        accepts,
        [
            (true, Some("1.39"), 0),
            rejects,
            (true, Some("1.9"), 0),
            rejects
        ]
    );
}

#[test]
fn first_known_marker_counts() {
    let later = r#"(func (export "proxy_abi_version_0_1_0"))"#;
    assert_eq!(
        findings("0_2_1", "", later),
        [
            "warning: a.wasm: it exports the markers of 2 ABI versions; export only one \
             proxy_abi_version_…: each proxy selects one by its own rule"
        ]
    );
    let unknown = findings("0_3_0", "", later);
    assert!(unknown.iter().all(|line| line.starts_with("warning: ")));
    assert!(unknown[0].contains("ABI 0.1.0"), "{unknown:?}");
}

#[test]
fn marker_must_be_a_function_and_memory_with_another_name_is_a_warning() {
    let text = r#"(module (memory (export "m") 1) (func (export "proxy_on_tick") (param i32))
        (func (export "malloc") (param i32) (result i32) i32.const 0)
        (global (export "proxy_abi_version_0_2_1") i32 (i32.const 0)))"#;
    let mut report = Report::default();
    let module = wat::parse_str(text).expect(text);
    check(&mut report, &consumers::all(), "a.wasm", &module);
    let lines: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "error: a.wasm: its export for ABI 0.2.1 is not a function; build it with a Proxy-Wasm \
             SDK for ABI 0.2.1",
            "warning: a.wasm: it exports its memory under a name other than \"memory\", which only V8 \
             accepts; export it as \"memory\""
        ]
    );
}

#[test]
fn more_memory_than_envoy_allows_is_an_error() {
    let with = |pages: u32| {
        let text = format!("(module (memory (export \"memory\") {pages}))");
        let mut report = Report::default();
        let module = wat::parse_str(&text).expect(&text);
        check(&mut report, &consumers::all(), "a.wasm", &module);
        let is_memory = |line: &String| line.contains("bytes of memory");
        let lines = report.findings.iter().map(ToString::to_string);
        lines.filter(is_memory).collect::<Vec<_>>().join("\n")
    };
    assert!(with(16_384).starts_with("warning: "));
    assert!(with(16_385).starts_with("error: "));
}

#[test]
fn module_over_256_mib_is_rejected_by_istio_and_envoy_gateway() {
    let mut report = Report::default();
    check_length(&mut report, &consumers::all(), "a.wasm", 256 << 20);
    assert_eq!(report.findings, []);
    check_length(&mut report, &consumers::all(), "a.wasm", (256 << 20) + 1);
    assert_eq!(report.findings[0].rejected_by, ["istio", "envoy-gateway"]);
}

#[test]
fn host_calls_are_those_of_the_abi_version() {
    let log_level = r#"(import "env" "proxy_get_log_level" (func (param i32) (result i32)))"#;
    assert_eq!(findings("0_2_1", log_level, ""), NONE);
    assert_eq!(
        findings("0_2_0", log_level, ""),
        [
            "error: a.wasm: it imports env.proxy_get_log_level, which proxies offer only to ABI \
             0.2.1; build it with an SDK for ABI 0.2.1"
        ]
    );
    let continue_request = r#"(import "env" "proxy_continue_request" (func (result i32)))"#;
    assert_eq!(
        findings("0_2_1", continue_request, ""),
        [
            "error: a.wasm: it imports env.proxy_continue_request, which proxies offer only to \
             ABI 0.1.0; build it with an SDK for ABI 0.2.1"
        ]
    );
    assert_eq!(findings("0_1_0", continue_request, "").len(), 1);
}

#[test]
fn callbacks_are_those_of_the_abi_version() {
    let export = |parameters: &str| {
        format!(
            r#"(func (export "proxy_on_request_headers") (param {parameters}) (result i32)
                i32.const 0)"#
        )
    };
    let (two, three) = (export("i32 i32"), export("i32 i32 i32"));
    for (marker, right, wrong, signature) in [
        ("0_1_0", &two, &three, "(i32, i32) -> i32"),
        ("0_2_0", &three, &two, "(i32, i32, i32) -> i32"),
    ] {
        let signature = format!("proxies call it as {signature}");
        let all = |exports: &str| findings(marker, "", exports).join("\n");
        assert!(!all(right).contains("proxies call it"), "{marker}");
        assert!(all(wrong).contains(&signature), "{marker}");
    }
}

#[test]
fn export_that_proxies_ignore_may_have_any_signature() {
    let main = r#"(func (export "main") (param i64))"#;
    let initialize = r#"(func (export "_initialize"))"#;
    assert_eq!(findings("0_2_1", "", main), NONE);
    assert_eq!(
        findings("0_2_1", "", &[initialize, main].concat()),
        [
            "error: a.wasm: its export main is (i64), but proxies call it as (i32, i32) -> i32 \
             since \
             Envoy 1.18; build it with an SDK for ABI 0.2.1"
        ]
    );
    let allocate = r#"(func (export "proxy_on_memory_allocate"))"#;
    assert_eq!(findings("0_2_1", "", allocate), NONE);
}

#[test]
fn function_of_wasi_with_another_signature_is_an_error() {
    let import = r#"(import "wasi_unstable" "path_symlink"
        (func (param i32 i32 i32 i32 i32) (result i32)))"#;
    assert_eq!(
        findings("0_2_1", import, ""),
        [
            "error: a.wasm: it imports wasi_unstable.path_symlink as (i32, i32, i32, i32, i32) -> \
             i32, but proxies offer it as (i32, i32, i32, i32) -> i32; remove the code that calls \
             it, or compile it for WASI preview 1"
        ]
    );
}

#[test]
fn callback_that_older_envoys_ignore_is_an_error_only_for_newer_ones() {
    let exports = r#"(func (export "_initialize")) (func (export "__main_void") (param f32))"#;
    let report = report("0_2_1", "", exports);
    assert_eq!(report.findings[0].rejected_by, ["envoy", "envoy-gateway"]);
    assert!(report.accepts("istio"));
    // The embedded proxy does what the newest Envoy does.
    #[cfg(feature = "trial")]
    {
        let trial = report.module.and_then(|module| module.trial);
        assert!(trial.is_some_and(|trial| trial.not_tried.is_some()));
    }
}

#[test]
fn export_that_is_not_a_function_is_not_a_callback() {
    let exports = r#"(export "proxy_on_log" (memory 0)) (export "_initialize" (memory 0))"#;
    assert_eq!(findings("0_2_1", "", exports), NONE);
}

#[test]
fn export_that_crashes_envoy_is_an_error() {
    for (export, problem) in [
        (
            r#"(func (export "e") (param v128))"#,
            r#"its export "e" has the type v128"#,
        ),
        (
            r#"(global (export "e") anyref (ref.null any))"#,
            r#"its export "e" has the type anyref"#,
        ),
        (r#"(tag (export "e"))"#, r#"its export "e" is a tag"#),
        (
            r#"(table (export "e") 1 2147483648 funcref)"#,
            r#"its export "e" is a table of up to 2147483648 elements"#,
        ),
        (
            r#"(func (export "e\00"))"#,
            r#"its export "e\0" has a name that ends with NUL"#,
        ),
    ] {
        let lines = findings("0_2_1", "", export).join("\n");
        let expected = format!("error: a.wasm: {problem}, which crashes Envoy; do not export it");
        assert!(lines.contains(&expected), "{lines}");
    }
}

#[test]
fn memories_and_tables_have_limits() {
    for (field, problem) in [
        (
            "(memory 16385)",
            "it starts with 1073807360 bytes of memory",
        ),
        (
            "(memory i64 1 262145)",
            "its memory can grow to 17179934720 bytes",
        ),
        (
            "(table 10000001 funcref)",
            "it starts with a table of 10000001 elements",
        ),
    ] {
        let lines = findings("0_2_1", "", field).join("\n");
        assert!(
            lines.contains(&format!("error: a.wasm: {problem}")),
            "{lines}"
        );
    }
}

#[test]
fn only_a_simple_memory_and_table_can_be_imported() {
    let start = |import: &str| findings("0_2_1", import, "").remove(0);
    for import in [
        r#"(import "env" "i" (memory 1))"#,
        r#"(import "env" "i" (table 1 funcref))"#,
    ] {
        let line = start(import);
        assert!(line.starts_with("warning: "), "{line}");
        assert!(line.contains("which only V8 offers"), "{line}");
        let line = start(&[import, import].concat());
        assert!(line.starts_with("error: a.wasm: it imports 2 "), "{line}");
    }
    for (import, problem) in [
        ("(memory 1 1 shared)", "a memory that is shared"),
        ("(memory i64 1)", "a memory with 64-bit addresses"),
        ("(table i64 1 funcref)", "a table with 64-bit addresses"),
        ("(table 1 anyref)", "a table of the type anyref"),
        (
            "(table 1 (ref func))",
            "a table whose elements are never null",
        ),
        (
            "(table 1 10000001 funcref)",
            "a table of up to 10000001 elements",
        ),
    ] {
        let line = start(&format!(r#"(import "env" "i" {import})"#));
        let expected =
            format!(r#"error: a.wasm: it imports "env.i" as {problem}, which no proxy offers"#);
        assert!(line.starts_with(&expected), "{line}");
    }
}

#[test]
fn names_that_envoy_cannot_read_are_an_error() {
    let names = r#"(@custom "name" "\01\09")"#;
    assert_eq!(
        findings("0_2_1", "", names),
        [
            "error: a.wasm: its name section, which has the function names, is damaged; link the \
             module again, or remove the section (wasm-strip, wasm-tools strip --all)"
        ]
    );
}

#[test]
fn errors_of_one_kind_are_listed_up_to_a_limit() {
    let exports: String = (0..30)
        .map(|number| format!(r#"(tag (export "{number}"))"#))
        .collect();
    let errors = report("0_2_1", "", &exports).errors();
    // One more counts the rest, and one is about the proposal, which the Envoys of Maistra lack.
    assert_eq!(errors, checked_module::MAX_COUNT + 2);
}
