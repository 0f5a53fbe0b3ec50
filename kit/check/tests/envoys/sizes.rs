//! Modules with very many, or very large, parts.

use crate::case::ModuleCase;

pub fn cases() -> Vec<ModuleCase> {
    let mut cases = Vec::new();
    let mut add = |count: usize, part: &str, fields: String| {
        let mut case = ModuleCase::with(&fields);
        case.name = format!("{count} {part}");
        cases.push(case);
    };
    for count in [50_000, 50_001] {
        let locals = "i32 ".repeat(count);
        add(count, "locals", format!("(func (local {locals}))"));
    }
    for count in [1_000, 1_001] {
        let types = "i32 ".repeat(count);
        add(count, "parameters", format!("(func (param {types}))"));
        add(
            count,
            "results",
            format!("(func (result {types}) unreachable)"),
        );
    }
    for count in [65_520, 65_521] {
        let labels = "0 ".repeat(count);
        add(
            count,
            "branches",
            format!("(func (br_table {labels} (i32.const 0)))"),
        );
    }
    for count in [100_000, 100_001] {
        add(count, "segments of data", r#"(data "")"#.repeat(count));
    }
    cases
}
