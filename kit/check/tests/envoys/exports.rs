//! Allocators, start functions, and types that V8's C++ API may not support.

use proxy_wasm_abi::EnvoyVersion;

use crate::case::{ALLOCATOR, MARKER, MEMORY, ModuleCase};

fn allocators() -> Vec<ModuleCase> {
    const RIGHT: &str = "(param i32) (result i32) i32.const 0";
    const WRONG: &str = "(param i64) (result i32) i32.const 0";
    let malloc = |text: &str| format!(r#"(func (export "malloc") {text})"#);
    let allocate = |text: &str| format!(r#"(func (export "proxy_on_memory_allocate") {text})"#);
    let memory = |name: &str| format!(r#"(export "{name}" (memory 0))"#);
    [
        String::new(),
        malloc(RIGHT),
        malloc(WRONG),
        malloc(""),
        allocate(RIGHT),
        allocate(WRONG),
        [malloc(RIGHT), allocate(RIGHT)].concat(),
        [allocate(RIGHT), malloc(RIGHT)].concat(),
        [malloc(RIGHT), allocate(WRONG)].concat(),
        [malloc(WRONG), allocate(RIGHT)].concat(),
        memory("malloc"),
        [memory("malloc"), allocate(RIGHT)].concat(),
        [memory("malloc"), allocate(WRONG)].concat(),
        [memory("proxy_on_memory_allocate"), malloc(RIGHT)].concat(),
        malloc(RIGHT).replace("malloc", "_malloc"),
    ]
    .map(|allocator| {
        ModuleCase::new(
            format!("allocator {allocator}"),
            &[MEMORY, MARKER, &allocator],
        )
    })
    .into()
}

/// All combinations of start functions. In each, all signatures are right, or one is wrong.
fn start_functions() -> Vec<ModuleCase> {
    const FUNCTIONS: [(&str, &str); 4] = [
        ("_initialize", ""),
        ("_start", ""),
        ("main", "(param i32 i32) (result i32) i32.const 0"),
        ("__main_void", "(result i32) i32.const 0"),
    ];
    let mut cases = Vec::new();
    for combination in 0..1 << FUNCTIONS.len() {
        let present = FUNCTIONS
            .iter()
            .enumerate()
            .filter(|(index, _)| combination & (1 << index) != 0)
            .map(|(_, function)| function);
        let names = present.clone().map(|(name, _)| *name);
        for wrong in names.chain([""]) {
            let text: String = present
                .clone()
                .map(|(name, right)| {
                    let signature = if *name == wrong { "(param f32)" } else { right };
                    format!(r#"(func (export "{name}") {signature})"#)
                })
                .collect();
            let mut case = ModuleCase::with(&text);
            if wrong == "__main_void" && text.contains("_initialize") {
                // Older releases do not look for it.
                case.rejected_since = Some(EnvoyVersion::new(1, 39));
            }
            cases.push(case);
        }
    }
    // The start section may grow the memory.
    cases.push(ModuleCase::with(
        "(func $f (drop (memory.grow (i32.const 1)))) (start $f)",
    ));
    cases
}

/// Types that V8 supports. Envoy crashes if an import or export has one that V8's C++ API does not
/// support.
fn types() -> Vec<ModuleCase> {
    const TYPES: &str = "(type $f (func)) (type $s (struct))";
    let mut cases = Vec::new();
    for (type_, value, crashes) in [
        ("f32", "f32.const 0", false),
        ("funcref", "ref.null func", false),
        ("externref", "ref.null extern", false),
        ("v128", "v128.const i32x4 0 0 0 0", true),
        ("anyref", "ref.null any", true),
        ("exnref", "ref.null exn", true),
        ("nullfuncref", "ref.null nofunc", true),
        ("(ref null $f)", "ref.null $f", true),
        ("(ref null $s)", "ref.null $s", true),
    ] {
        let mut add = |item: String, crashes: bool| {
            let fields = [TYPES, &item, MEMORY, MARKER, ALLOCATOR];
            cases.push(ModuleCase::new(item.clone(), &fields).crashing(crashes));
        };
        add(format!(r#"(func (export "e") (param {type_}))"#), crashes);
        add(
            format!(r#"(func (export "e") (result {type_}) {value})"#),
            crashes,
        );
        add(
            format!(r#"(func (export "proxy_on_log") (param {type_}))"#),
            crashes,
        );
        add(
            format!(r#"(global (export "e") {type_} ({value}))"#),
            crashes,
        );
        add(format!("(func (param {type_}))"), false);
        add(format!("(global {type_} ({value}))"), false);
        add(format!("(tag (param {type_}))"), false);
        add(
            format!(r#"(import "env" "proxy_done" (func (param {type_})))"#),
            crashes,
        );
        add(format!(r#"(import "env" "g" (global {type_}))"#), crashes);
    }
    for (item, crashes) in [
        ("(tag)", false),
        (r#"(tag (export "t"))"#, true),
        (r#"(tag (export "t") (param i32))"#, true),
        (r#"(import "env" "t" (tag))"#, true),
        (r#"(import "env" "proxy_done" (tag (param i32)))"#, true),
    ] {
        cases.push(ModuleCase::with(item).crashing(crashes));
    }
    cases
}

pub fn cases() -> Vec<ModuleCase> {
    [allocators(), start_functions(), types()]
        .into_iter()
        .flatten()
        .collect()
}
