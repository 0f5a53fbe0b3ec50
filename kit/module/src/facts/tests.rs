use super::*;

fn read(wat: &str) -> Module {
    Module::read(&wat::parse_str(wat).expect(wat)).expect(wat)
}

fn error(bytes: &[u8]) -> String {
    Module::read(bytes).expect_err("an error").to_string()
}

fn needs(wat: &str) -> Vec<&'static str> {
    read(wat).proposals.iter().map(|need| need.name).collect()
}

#[test]
fn the_facts_of_a_module() {
    let module = read(
        r#"(module
            (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
            (memory (export "memory") 2 3)
            (table (export "table") 1 funcref)
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_tick") (param i32))
        )"#,
    );
    assert_eq!(module.abi, ["0.2.1"]);
    assert_eq!(
        module.memory(),
        Some(Memory {
            initial: 131_072,
            maximum: Some(196_608)
        })
    );
    assert_eq!(module.callbacks().collect::<Vec<_>>(), ["proxy_on_tick"]);
    assert_eq!(module.imports[0].name, "proxy_log");
    assert_eq!(module.imports[0].item.to_string(), "(i32, i32, i32) -> i32");
    assert_eq!(module.export("table"), Some(&Item::Other("table")));
    assert!(module.proposals.is_empty());
}

#[test]
fn each_proposal_is_found_alone() {
    for (name, text) in [
        (
            "mutable-globals",
            r#"(module (global (export "g") (mut i32) (i32.const 0)))"#,
        ),
        (
            "sign-extension",
            "(module (func (param i32) (result i32) local.get 0 i32.extend8_s))",
        ),
        ("threads", "(module (memory 1 1 shared))"),
        (
            "saturating-float-to-int",
            "(module (func (param f32) (result i32) local.get 0 i32.trunc_sat_f32_s))",
        ),
        (
            "bulk-memory",
            "(module (memory 1) (func i32.const 0 i32.const 0 i32.const 0 memory.fill))",
        ),
        (
            "multi-value",
            "(module (func (result i32 i32) i32.const 0 i32.const 0))",
        ),
        ("simd", "(module (func v128.const i32x4 0 0 0 0 drop))"),
        (
            "legacy-exceptions",
            "(module (func try nop catch_all nop end))",
        ),
        ("reference-types", "(module (func (param externref)))"),
        ("tail-calls", "(module (func $f return_call $f))"),
        (
            "extended-constants",
            "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
        ),
        ("multi-memory", "(module (memory 1) (memory 1))"),
        ("memory64", "(module (memory i64 1))"),
    ] {
        assert_eq!(needs(text), [name], "{text}");
    }
}

#[test]
fn what_rests_on_another_proposal_names_both() {
    assert_eq!(
        needs("(module (type $s (struct)) (func (param (ref null $s))))"),
        ["reference-types", "gc"]
    );
    assert!(needs("(module (tag) (func throw 0))").contains(&"exceptions"));
}

#[test]
fn a_long_table_index_needs_reference_types() {
    let mut module = wat::parse_str(
        "(module (type (func)) (table 1 funcref) (func i32.const 0 call_indirect (type 0)))",
    )
    .expect("a module");
    assert!(Module::read(&module).expect("valid").proposals.is_empty());

    // call_indirect, type 0, table 0 in one byte: in five, the code and its section grow by four.
    let at = module
        .windows(3)
        .position(|bytes| bytes == [0x11, 0, 0])
        .expect("the instruction");
    module.splice(at + 2..at + 3, [0x80, 0x80, 0x80, 0x80, 0]);
    let body = at - 4;
    module[body] += 4;
    module[body - 2] += 4;
    let needs: Vec<_> = Module::read(&module)
        .expect("still valid")
        .proposals
        .iter()
        .map(|need| need.name)
        .collect();
    assert_eq!(needs, ["reference-types"]);
}

#[test]
fn the_proposals_are_in_order() {
    let version = |text: &str| -> Vec<u32> {
        text.split('.')
            .map(|part| part.parse().expect(text))
            .collect()
    };
    for pair in proposals::PROPOSALS.windows(2) {
        assert!(version(pair[0].v8) <= version(pair[1].v8), "{pair:?}");
        assert!(pair[0].oldest <= pair[1].oldest, "{pair:?}");
    }
}

#[test]
fn what_is_no_module_is_an_error() {
    assert!(error(b"").contains("begin"));
    assert!(error(b"#!/bin/sh").contains("begin"));
    assert!(error(b"\0asm").contains("not valid"));
    assert!(error(b"\0asm\x0d\0\x01\0").contains("component"));
    assert!(error(b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f").contains("not valid"));
    let error = error(&wat::parse_str("(module (func (result i32)))").expect("text"));
    assert!(error.contains("not valid"), "{error}");
    assert!(error.contains("offset"), "{error}");
}

#[test]
fn a_proposal_of_no_proxy_is_an_error() {
    let wide = "(module (func (param i64 i64 i64 i64) (result i64 i64) \
                local.get 0 local.get 1 local.get 2 local.get 3 i64.add128))";
    let error = error(&wat::parse_str(wide).expect(wide));
    assert!(error.contains("no proxy"), "{error}");
}

#[test]
fn every_truncation_of_a_module_is_read_without_a_panic() {
    let module = wat::parse_str(
        r#"(module
            (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_1"))
            (data (i32.const 0) "bytes"))"#,
    )
    .expect("a module");
    for length in 0..module.len() {
        // A cut between two sections may leave a valid module.
        drop(Module::read(&module[..length]));
        let mut flipped = module.clone();
        flipped[length] ^= 0xff;
        drop(Module::read(&flipped));
    }
}
