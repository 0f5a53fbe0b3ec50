//! Memories and tables: the limits of Envoy and of its V8.

use proxy_wasm_module::{Import, Item, Memory, Table};

use super::checked_module::CheckedModule;
use crate::report::excerpt;

/// The initial memory in bytes above which there is a warning. Modules of the Go SDK are below it.
const LARGE_MEMORY: u64 = 16 * 1024 * 1024;

/// The maximum initial memory in bytes, a limit of Envoy.
const MAX_MEMORY: u64 = 16_384 * 65_536;

/// The maximum limit that a 64-bit memory may declare, in bytes.
const MAX_MEMORY_LIMIT: u64 = 16 * 1024 * 1024 * 1024;

/// The maximum initial number of elements of a table.
const MAX_TABLE: u64 = 10_000_000;

pub fn check(checked: &mut CheckedModule) {
    let module = checked.module;
    checked.errors("memories", module.memories.iter().filter_map(memory));
    checked.errors("tables", module.tables.iter().filter_map(table));
    imported(checked);
    if let Some(memory) = module.memory_in_envoy()
        && (LARGE_MEMORY + 1..=MAX_MEMORY).contains(&memory.initial)
    {
        checked.warning(
            format!("it starts with {} bytes of memory", memory.initial),
            "reduce it (a smaller stack, less static data): each worker thread of a proxy has its \
             own VM",
        );
    }
}

fn memory(memory: &Memory) -> Option<(String, &'static str)> {
    if memory.initial > MAX_MEMORY {
        return Some((
            format!("it starts with {} bytes of memory", memory.initial),
            "reduce it to 1 GiB at most, the limit of Envoy",
        ));
    }
    let limit = memory.maximum.filter(|limit| *limit > MAX_MEMORY_LIMIT)?;
    Some((
        format!("its memory can grow to {limit} bytes"),
        "declare 16 GiB at most, the limit of V8",
    ))
}

fn table(table: &Table) -> Option<(String, &'static str)> {
    (table.initial > MAX_TABLE).then(|| {
        (
            format!("it starts with a table of {} elements", table.initial),
            "reduce it to 10000000 at most, the limit of V8",
        )
    })
}

/// Envoy creates the memory and the table that a module imports: one of each, of the simplest type.
fn imported(checked: &mut CheckedModule) {
    const REMEDY: &str =
        "let the module define it and export it (no --import-memory, no --import-table)";
    let is_memory: fn(&&Import) -> bool = |import| matches!(import.item, Item::Memory(_));
    let is_table: fn(&&Import) -> bool = |import| matches!(import.item, Item::Table(_));
    let imports = &checked.module.imports;
    for (is_kind, kind) in [(is_memory, "memories"), (is_table, "tables")] {
        let count = imports.iter().filter(is_kind).count();
        if count > 1 {
            let problem = format!("it imports {count} {kind}, but V8 offers only one");
            checked.error(problem, REMEDY);
        }
        let Some(import) = imports.iter().find(is_kind) else {
            continue;
        };
        let name = format!("{}.{}", import.module, import.name);
        let problem = format!("it imports {} as {}", excerpt(&name), import.item);
        if let Some(reason) = why_not_created(&import.item) {
            checked.error(format!("{problem} {reason}, which no proxy offers"), REMEDY);
        } else {
            checked.warning(format!("{problem}, which only V8 offers"), REMEDY);
        }
    }
}

/// Why Envoy does not create a memory or a table.
fn why_not_created(item: &Item) -> Option<String> {
    match item {
        Item::Memory(memory) if memory.is_shared => Some("that is shared".to_owned()),
        Item::Memory(Memory { is_64: true, .. }) | Item::Table(Table { is_64: true, .. }) => {
            Some("with 64-bit addresses".to_owned())
        }
        Item::Table(table) => {
            if let Some(unknown) = item.type_unknown_to_v8() {
                return Some(format!("of the type {unknown}"));
            }
            if !table.is_nullable {
                return Some("whose elements are never null".to_owned());
            }
            let limit = table.maximum.filter(|limit| *limit > MAX_TABLE)?;
            Some(format!("of up to {limit} elements"))
        }
        _ => None,
    }
}
