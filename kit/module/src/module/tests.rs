use super::*;

fn read(wat: &str) -> ModuleInfo {
    ModuleInfo::read(&wat::parse_str(wat).expect(wat)).expect(wat)
}

fn error(bytes: &[u8]) -> String {
    ModuleInfo::read(bytes).expect_err("an error").to_string()
}

fn needs(wat: &str) -> Vec<&'static str> {
    read(wat).proposals.iter().map(|need| need.name).collect()
}

#[test]
fn imports_exports_and_memory_are_read() {
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
    assert_eq!(module.abi_version(), Some(AbiVersion::V0_2_1));
    let memory = module.memory().expect("a memory");
    assert_eq!(memory.initial, 131_072);
    assert_eq!(memory.maximum, Some(196_608));
    assert_eq!(module.memories, [memory]);
    assert_eq!(module.callbacks().collect::<Vec<_>>(), ["proxy_on_tick"]);
    assert_eq!(module.imports[0].name, "proxy_log");
    assert_eq!(module.imports[0].item.to_string(), "(i32, i32, i32) -> i32");
    let Some(Item::Table(table)) = module.export("table") else {
        panic!("no table: {:?}", module.exports);
    };
    assert_eq!((table.initial, table.maximum), (1, None));
    assert_eq!(module.tables, [*table]);
    assert!(module.proposals.is_empty());
}

#[test]
fn only_needed_proposals_are_found() {
    for (name, text) in [
        (
            "mutable-globals",
            r#"(module (global (export "g") (mut i32) (i32.const 0)))"#,
        ),
        (
            "sign-extension",
            "(module (func (param i32) (result i32) local.get 0 i32.extend8_s))",
        ),
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
        ("threads", "(module (memory 1 1 shared))"),
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
fn proposal_that_extends_another_one_needs_both() {
    assert_eq!(
        needs("(module (type $s (struct)) (func (param (ref null $s))))"),
        ["reference-types", "gc"]
    );
    assert_eq!(
        needs("(module (func (param exnref) (throw_ref (local.get 0))))"),
        ["reference-types", "exceptions"]
    );
}

#[test]
fn tags_belong_to_both_exception_proposals() {
    const TAG: &str = "(module (tag $t) (func throw $t)";
    assert_eq!(needs(&format!("{TAG})")), ["legacy-exceptions"]);
    let legacy = "(func try throw $t catch $t end)";
    assert_eq!(needs(&format!("{TAG} {legacy})")), ["legacy-exceptions"]);
    let current = "(func (block (try_table (catch $t 0))))";
    assert_eq!(needs(&format!("{TAG} {current})")), ["exceptions"]);
    let both = wat::parse_str(format!("{TAG} {legacy} {current})")).expect("a module");
    assert_eq!(
        ModuleInfo::read(&both).expect_err("an error"),
        Error::MixedExceptions
    );
}

#[test]
fn memory_in_envoy_is_the_last_exported_or_else_the_imported_one() {
    let initial = |text: &str| {
        let memory = read(text).memory_in_envoy();
        memory.map(|memory| memory.initial / 65536)
    };
    const IMPORT: &str = r#"(import "env" "memory" (memory 1))"#;
    assert_eq!(initial("(module (memory 1))"), None);
    assert_eq!(initial(&format!("(module {IMPORT})")), Some(1));
    let exported = r#"(memory (export "m") 2)"#;
    assert_eq!(initial(&format!("(module {IMPORT} {exported})")), Some(2));
    let two = format!(r#"(module {exported} (memory (export "memory") 3))"#);
    assert_eq!(initial(&two), Some(3));
}

#[test]
fn only_functions_are_callbacks() {
    let module = read(
        r#"(module (memory 1) (export "proxy_on_log" (memory 0)) (func (export "proxy_on_tick")))"#,
    );
    assert_eq!(module.callbacks().collect::<Vec<_>>(), ["proxy_on_tick"]);
    assert!(module.has_function("proxy_on_tick"));
    assert!(!module.has_function("proxy_on_log"));
}

#[test]
fn first_name_section_must_be_readable() {
    let readable = |section: &[u8]| {
        let module = [b"\0asm\x01\0\0\0", section].concat();
        ModuleInfo::read(&module)
            .expect("a module")
            .names_are_readable
    };
    const GOOD: &[u8] = b"\0\x08\x04name\x01\x01\x00";
    const BAD: &[u8] = b"\0\x08\x04name\x01\x02\x00";
    assert!(readable(b""));
    assert!(readable(GOOD));
    assert!(!readable(BAD));
    assert!(readable(&[GOOD, BAD].concat()));
    assert!(!readable(&[BAD, GOOD].concat()));
}

#[test]
fn long_table_index_needs_reference_types() {
    let mut module = wat::parse_str(
        "(module (type (func)) (table 1 funcref) (func i32.const 0 call_indirect (type 0)))",
    )
    .expect("a module");
    assert!(
        ModuleInfo::read(&module)
            .expect("valid")
            .proposals
            .is_empty()
    );

    // call_indirect, type 0, table 0. The table index takes five bytes instead of one, so the
    // lengths of the function and of the section grow by four.
    let at = module
        .windows(3)
        .position(|bytes| bytes == [0x11, 0, 0])
        .expect("the instruction");
    module.splice(at + 2..at + 3, [0x80, 0x80, 0x80, 0x80, 0]);
    let body = at - 4;
    module[body] += 4;
    module[body - 2] += 4;
    let needs: Vec<_> = ModuleInfo::read(&module)
        .expect("still valid")
        .proposals
        .iter()
        .map(|need| need.name)
        .collect();
    assert_eq!(needs, ["reference-types"]);
}

#[test]
fn bytes_that_are_not_a_module_are_an_error() {
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
fn proposal_that_no_proxy_supports_is_an_error() {
    let wide = "(module (func (param i64 i64 i64 i64) (result i64 i64) \
                local.get 0 local.get 1 local.get 2 local.get 3 i64.add128))";
    let error = error(&wat::parse_str(wide).expect(wide));
    assert!(error.contains("no proxy"), "{error}");
}

#[test]
fn damaged_module_does_not_panic() {
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
        drop(ModuleInfo::read(&module[..length]));
        let mut flipped = module.clone();
        flipped[length] ^= 0xff;
        drop(ModuleInfo::read(&flipped));
    }
}

#[test]
fn first_known_marker_is_the_abi_version() {
    let version = |exports: &str| {
        let module = read(&format!("(module (memory 1) (func $f) {exports})"));
        (module.abi.len(), module.abi_version())
    };
    let marker = |version: &str| format!("(export \"proxy_abi_version_{version}\" (func $f))");
    assert_eq!(version(""), (0, None));
    assert_eq!(version(&marker("0_3_0")), (1, None));
    assert_eq!(
        version(&[marker("0_3_0"), marker("0_2_0"), marker("0_2_1")].concat()),
        (3, Some(AbiVersion::V0_2_0))
    );
    assert_eq!(
        version("(export \"proxy_abi_version_0_2_1\" (memory 0))"),
        (1, None)
    );
}

#[test]
fn module_that_is_too_long_is_an_error() {
    // The operating system allocates zeroed pages on first access, and the error comes before that.
    let module = vec![0; MAX_LENGTH as usize + 1];
    let length = MAX_LENGTH + 1;
    assert_eq!(
        ModuleInfo::read(&module).expect_err("an error"),
        Error::TooLong { length }
    );
}
