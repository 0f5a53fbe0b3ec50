use super::*;
use crate::ModuleInfo;
use crate::strip;

/// The analysis build of an extension that implements only `on_tick`.
const ANALYSIS_BUILD: &str = r#"(module
    (func $"proxy_wasm::traits::Context::on_done")
    (func $"<example::Root as proxy_wasm::traits::RootContext>::on_tick"))"#;

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect(text)
}

fn decisions(shrunk: &Shrunk) -> Vec<String> {
    shrunk.decisions.iter().map(ToString::to_string).collect()
}

/// A module that gets longer when it is encoded again: the function that is called most often gets
/// the last index, which takes two bytes in each call.
fn growing_module() -> Vec<u8> {
    let calls = "local.get 0 call $often ".repeat(10);
    let functions: String = (0..200)
        .map(|number| {
            format!("(func (export \"f{number}\") (param i32) {calls} i32.const {number} drop)")
        })
        .collect();
    wasm(&format!(
        r#"(module
            (func $often (export "proxy_on_log") (param i32))
            (func (export "proxy_on_delete") (param i32) local.get 0 call $often)
            {functions}
            (@custom "producers" "\00"))"#
    ))
}

#[test]
fn module_that_would_grow_is_unchanged() {
    let module = growing_module();
    let analysis_build = wasm(ANALYSIS_BUILD);
    let (rewritten, _) = rewrite(&module, None).expect("rewritten");
    assert!(measure(&rewritten).expect("valid").bytes > measure(&module).expect("valid").bytes);

    for analysis_build in [None, Some(analysis_build.as_slice())] {
        let shrunk = shrink(&module, analysis_build).expect("shrunk");
        assert!(shrunk.is_unchanged);
        assert_eq!(
            strip(&shrunk.module).expect("valid"),
            strip(&module).expect("valid")
        );
        assert_eq!(shrunk.after, shrunk.before);
        assert_eq!(measure(&shrunk.module).expect("valid"), shrunk.before);
        assert!(shrunk.decisions.iter().all(|d| d.reason.is_kept()));
    }
}

#[test]
fn unchanged_module_keeps_only_its_names() {
    let module = growing_module();
    let shrunk = shrink(&module, None).expect("shrunk");
    assert!(shrunk.is_unchanged);
    assert!(shrunk.module.len() < module.len());
    let names = |module: &[u8]| {
        let module = decode(module).expect("valid");
        let first = module.funcs.iter().next();
        first.and_then(|function| function.name.clone())
    };
    assert_eq!(names(&shrunk.module).as_deref(), Some("often"));
}

#[test]
fn unchanged_module_exports_callbacks_that_nothing_implements() {
    let shrunk = shrink(&growing_module(), Some(&wasm(ANALYSIS_BUILD))).expect("shrunk");
    assert_eq!(
        decisions(&shrunk),
        [
            "kept:    proxy_on_delete, because the SDK frees contexts in it",
            "kept:    proxy_on_log, because the original module is smaller",
        ]
    );
    let module = ModuleInfo::read(&shrunk.module).expect("valid");
    assert!(module.export("proxy_on_log").is_some());
}

#[test]
fn callbacks_that_nothing_implements_are_removed() {
    let module = wasm(
        r#"(module
            (func (export "proxy_on_tick") (param i32))
            (func (export "proxy_on_log") (param i32) local.get 0 drop)
            (func (export "proxy_on_something") (param i32 i32))
            (func (export "proxy_on_delete") (param i32) i32.const 1 drop))"#,
    );
    let shrunk = shrink(&module, Some(&wasm(ANALYSIS_BUILD))).expect("shrunk");
    assert!(!shrunk.is_unchanged);
    assert_eq!(
        decisions(&shrunk),
        [
            "kept:    proxy_on_delete, because the SDK frees contexts in it",
            "removed: proxy_on_log, because nothing implements it",
            "kept:    proxy_on_something, because it is not known whether the extension implements it",
            "kept:    proxy_on_tick, because <example::Root as proxy_wasm::traits::RootContext>\
             ::on_tick implements it",
        ]
    );
    assert_eq!((shrunk.before.exports, shrunk.after.exports), (4, 3));
    assert!(shrunk.after.bytes < shrunk.before.bytes);
}

#[test]
fn callback_that_receives_responses_is_kept() {
    let module = wasm(
        r#"(module
            (import "env" "proxy_grpc_call" (func $call (param i32) (result i32)))
            (func (export "proxy_on_tick") (param i32) local.get 0 call $call drop)
            (func (export "proxy_on_http_call_response") (param i32))
            (func (export "proxy_on_grpc_close") (param i32) i32.const 1 drop))"#,
    );
    let shrunk = shrink(&module, Some(&wasm(ANALYSIS_BUILD))).expect("shrunk");
    assert_eq!(
        decisions(&shrunk)[..2],
        [
            "kept:    proxy_on_grpc_close, because it receives the response to a host call that the \
             module makes",
            "removed: proxy_on_http_call_response, because nothing implements it",
        ]
    );
}

#[test]
fn every_callback_is_kept_if_no_names_of_the_sdk_are_found() {
    let module = wasm(r#"(module (func (export "proxy_on_log") (param i32)))"#);
    for names in [None, Some(wasm("(module (func $main))"))] {
        let shrunk = shrink(&module, names.as_deref()).expect("shrunk");
        assert_eq!(
            decisions(&shrunk),
            ["kept:    proxy_on_log, because it is not known whether the extension implements it"]
        );
    }
}

#[test]
fn error_names_the_module_that_is_not_valid() {
    let module = wasm("(module (func))");
    let error = |module: &[u8], analysis_build: Option<&[u8]>| {
        let error = shrink(module, analysis_build).expect_err("an error");
        error.to_string()
    };
    let cut = &module[..module.len() - 1];
    assert_eq!(
        error(b"text", None),
        "it does not begin with the bytes `\\0asm`, as WebAssembly does"
    );
    assert!(error(cut, None).starts_with("it is not valid WebAssembly: "));
    assert!(
        error(&module, Some(cut))
            .starts_with("its analysis build cannot be read: it is not valid WebAssembly: ")
    );
}

#[test]
fn addresses_after_the_end_do_not_panic() {
    let module = wasm(
        r#"(module
            (memory (export "memory") 1)
            (data (i32.const -2) "abcdefgh")
            (data (i32.const -12) "abcdefghijklmnopq")
            (table (export "table") 2 funcref)
            (elem (i32.const -1) $f $f)
            (func $f (export "f")))"#,
    );
    shrink(&module, None).expect("shrunk");
}
