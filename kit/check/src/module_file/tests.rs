use super::*;

/// A module that exports as little as a proxy accepts, and what a test adds.
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
    check(&mut report, "a.wasm", &wat::parse_str(&text).expect(&text));
    report
}

fn findings(marker: &str, imports: &str, exports: &str) -> Vec<String> {
    let report = report(marker, imports, exports);
    report.findings.iter().map(ToString::to_string).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn imports_of_go_1_24_pass() {
    let imports = r#"
        (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff"
            (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_fdstat_set_flags"
            (func (param i32 i32) (result i32)))"#;
    let report = report("0_2_1", imports, "");
    assert_eq!(report.findings, []);
    assert_eq!(
        report.module.expect("a module").oldest,
        "Envoy 1.33, Istio 1.25, no release of Maistra"
    );
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
            "error: a.wasm: its export main is (i64), and proxies call it as (i32, i32) -> i32; \
             build it with an SDK for ABI 0.2.1"
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
             i32, and proxies offer it as (i32, i32, i32, i32) -> i32; remove the code that calls \
             it, or compile it for WASI preview 1"
        ]
    );
}
