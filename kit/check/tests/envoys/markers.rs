//! Markers of ABI versions.

use crate::case::{ALLOCATOR, LOG, MEMORY, ModuleCase};

/// Imports that only some ABI versions have.
const IMPORTS: [&str; 4] = [
    "",
    r#"(import "env" "proxy_get_log_level" (func (param i32) (result i32)))"#,
    r#"(import "env" "proxy_continue_request" (func (result i32)))"#,
    r#"(import "env" "proxy_continue_stream" (func (param i32) (result i32)))"#,
];

/// Exports that are not markers, or unusual ones.
const ITEMS: [&str; 5] = [
    r#"(global (export "proxy_abi_version_0_2_1") i32 (i32.const 0))"#,
    r#"(export "proxy_abi_version_0_2_1" (memory 0))"#,
    r#"(table (export "proxy_abi_version_0_2_1") 1 funcref)"#,
    r#"(func (export "proxy_abi_version_0_2_1") (param i64 f32) (result f64) f64.const 0)"#,
    r#"(func (export "Proxy_abi_version_0_2_1"))"#,
];

fn marker(version: &str) -> String {
    format!(r#"(func (export "proxy_abi_version_{version}"))"#)
}

pub fn cases() -> Vec<ModuleCase> {
    let mut cases = Vec::new();
    let mut add = |import: &str, markers: &str| {
        let name = format!("{import} {markers}");
        cases.push(ModuleCase::new(name, &[import, MEMORY, ALLOCATOR, markers]));
    };
    for versions in [
        &[][..],
        &["0_1_0"],
        &["0_2_0"],
        &["0_2_1"],
        &["0_3_0"],
        &["0_2_1_"],
        &["0_3_0", "0_2_1"],
        &["0_2_1", "0_3_0"],
        &["0_1_0", "0_2_1"],
        &["0_2_1", "0_1_0"],
        &["0_2_0", "0_2_1"],
        &["0_2_1", "0_2_0"],
        &["0_1_0", "0_2_0", "0_2_1"],
    ] {
        let markers: String = versions.iter().copied().map(marker).collect();
        for import in IMPORTS {
            add(import, &markers);
        }
    }
    let known = marker("0_1_0");
    for item in ITEMS {
        add("", item);
        for import in IMPORTS {
            add(import, &[&known, item].concat());
            add(import, &[item, &known].concat());
        }
    }
    add(LOG, r#"(export "proxy_abi_version_0_2_1" (func $log))"#);
    cases
}
