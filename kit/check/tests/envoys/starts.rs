//! Modules that fail only when they run: the check tries them in the embedded proxy.

use crate::case::{ALLOCATOR, CALL_LOG, Case, LOG, MARKER, MEMORY};

/// A host call that a module may only make after its start.
const DONE: &str = r#"(import "env" "proxy_done" (func $done (result i32)))"#;

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "(func $f unreachable) (start $f)",
        r#"(func (export "_initialize") unreachable)"#,
        r#"(func (export "_initialize")) (func (export "_start") unreachable)"#,
        r#"(func (export "_initialize"))
            (func (export "main") (param i32 i32) (result i32) unreachable)"#,
        r#"(func (export "_start") unreachable)"#,
        r#"(func (export "_start"))
            (func (export "main") (param i32 i32) (result i32) unreachable)"#,
        r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 0)"#,
        r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)"#,
        r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) unreachable)"#,
        r#"(func (export "proxy_on_context_create") (param i32 i32) unreachable)"#,
        r#"(data (i32.const 65535) "ab")"#,
        "(table 1 funcref) (elem (i32.const 1) func 0)",
    ]
    .map(Case::with)
    .into();
    for (import, function, crashes) in [
        (LOG, CALL_LOG, false),
        (
            LOG,
            "(func $f (drop (call $log (i32.const 2) (i32.const 0) (i32.const 1)))) (start $f)",
            true,
        ),
        (
            DONE,
            r#"(func (export "_initialize") (drop (call $done)))"#,
            false,
        ),
        (DONE, "(func $f (drop (call $done))) (start $f)", true),
    ] {
        let name = format!("{import} {function}");
        let fields = [import, MEMORY, MARKER, ALLOCATOR, function];
        cases.push(Case::new(name, &fields).crashing(crashes));
    }
    cases
}
