//! Memories and tables.

use crate::case::{ALLOCATOR, CALL_LOG, LOG, MARKER, MEMORY, ModuleCase};

/// Types of memories.
const MEMORIES: [&str; 18] = [
    "0",
    "0 0",
    "1 1",
    "1 65536",
    "16384",
    "16385",
    "16384 65536",
    "65536",
    "1 1 shared",
    "1 65536 shared",
    "16385 16385 shared",
    "i64 1",
    "i64 1 1 shared",
    "i64 16384",
    "i64 16385",
    "i64 1 262144",
    "i64 1 262145",
    "1 (pagesize 1)",
];

/// Types of tables.
const TABLES: [&str; 16] = [
    "0 funcref",
    "1 1 funcref",
    "10000000 funcref",
    "10000001 funcref",
    "1 10000000 funcref",
    "1 10000001 funcref",
    "1 2147483647 funcref",
    "1 2147483648 funcref",
    "1 externref",
    "10000001 externref",
    "i64 1 funcref",
    "i64 10000001 funcref",
    "i64 1 4294967296 funcref",
    "1 anyref",
    "1 exnref",
    "1 (ref null $type)",
];

fn memories() -> Vec<ModuleCase> {
    const EXPORT: &str = r#"(export "memory" (memory 0))"#;
    let mut cases = Vec::new();
    let mut add = |imports: &str, memories: &str| {
        let name = format!("{imports} {memories}");
        cases.push(ModuleCase::new(
            name,
            &[imports, memories, MARKER, ALLOCATOR],
        ));
    };
    for memory in MEMORIES {
        let import = format!(r#"(import "env" "memory" (memory {memory}))"#);
        add("", &format!(r#"(memory (export "memory") {memory})"#));
        add("", &format!("(memory {memory})"));
        add("", &format!("{MEMORY} (memory {memory})"));
        add(&import, "");
        add(&import, EXPORT);
        add(&import, MEMORY);
    }
    for memories in [
        r#"(memory (export "m") 1)"#,
        r#"(memory (export "memory") 1) (export "m" (memory 0))"#,
        r#"(memory (export "m") 1) (memory (export "memory") 1)"#,
        r#"(memory (export "memory") 1) (memory (export "m") 1)"#,
        r#"(memory (export "memory") 1) (memory (export "m") i64 1)"#,
        r#"(global (export "memory") i32 (i32.const 0)) (memory (export "m") 1)"#,
        r#"(func (export "memory"))"#,
    ] {
        add("", memories);
        add(LOG, &[memories, CALL_LOG].concat());
    }
    const IMPORT: &str = r#"(import "env" "memory" (memory 1))"#;
    add(&[LOG, IMPORT].concat(), CALL_LOG);
    add(&[LOG, IMPORT].concat(), &[MEMORY, CALL_LOG].concat());
    add(r#"(import "env" "proxy_log" (memory 1))"#, "");
    let two = r#"(import "env" "a" (memory 1)) (import "env" "b" (memory 1))"#;
    add(two, EXPORT);
    // These crash Envoy: a host call writes to address 0 of the process, or V8 uses memory that has
    // been freed.
    let crashes = |case: &ModuleCase| {
        case.name.contains(two) || case.name.contains(r#"(func (export "memory"))"#)
    };
    cases
        .into_iter()
        .map(|case| {
            let crashes = crashes(&case);
            case.crashing(crashes)
        })
        .collect()
}

fn tables() -> Vec<ModuleCase> {
    const TYPE: &str = "(type $type (func))";
    let mut cases = Vec::new();
    for table in TABLES {
        let is_foreign = ["anyref", "exnref", "$type"]
            .iter()
            .any(|name| table.contains(name));
        let has_high_limit = table.contains("2147483648") || table.contains("4294967296");
        for (item, crashes) in [
            (format!("(table {table})"), false),
            (
                format!(r#"(table (export "t") {table})"#),
                is_foreign || has_high_limit,
            ),
            (
                format!(r#"(import "env" "t" (table {table}))"#),
                is_foreign || has_high_limit,
            ),
        ] {
            let fields = [TYPE, &item, MEMORY, MARKER, ALLOCATOR];
            cases.push(ModuleCase::new(item.clone(), &fields).crashing(crashes));
        }
    }
    for import in [
        r#"(import "env" "proxy_log" (table 1 funcref))"#,
        r#"(import "env" "t" (table 1 (ref func)))"#,
    ] {
        cases.push(ModuleCase::with(import));
    }
    cases.push(ModuleCase::with(
        r#"(table (export "t") 1 (ref func) (ref.func 0))"#,
    ));
    let two = r#"(import "env" "a" (table 1 funcref)) (import "env" "b" (table 1 funcref))"#;
    cases.push(ModuleCase::with(two).crashing(true));
    cases
}

pub fn cases() -> Vec<ModuleCase> {
    [memories(), tables()].into_iter().flatten().collect()
}
