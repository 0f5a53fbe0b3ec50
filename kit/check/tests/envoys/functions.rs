//! Host calls, WASI functions, and callbacks: one at a time, for each ABI version, with the right
//! signature and with wrong ones.

use std::collections::BTreeSet;

use proxy_wasm_abi::{
    AbiVersion, CALLBACKS, Function, HOST_CALLS, HOST_MODULE, WASI_FUNCTIONS, WASI_MODULES,
    callback,
};

use crate::case::{ALLOCATOR, MEMORY, ModuleCase};

/// Parameters and results, as in the text format.
#[derive(Clone, PartialEq, Eq)]
struct TextSignature {
    parameters: Vec<String>,
    results: Vec<String>,
}

impl TextSignature {
    fn of(function: &Function) -> Self {
        let signature = function.signature;
        let types = signature.parameters.iter();
        Self {
            parameters: types.map(|it| it.value_type.to_string()).collect(),
            results: signature.result.iter().map(ToString::to_string).collect(),
        }
    }

    /// Similar signatures that are wrong.
    fn others(&self) -> Vec<Self> {
        let mut others = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut other = self.clone();
            change(&mut other);
            others.push(other);
        };
        let exchange = |types: &mut Vec<String>| {
            if let Some(first) = types.first_mut() {
                *first = if first == "i32" { "i64" } else { "i32" }.to_owned();
            }
        };
        add(&|it| it.parameters.push("i32".to_owned()));
        if self.results.is_empty() {
            add(&|it| it.results.push("i32".to_owned()));
        } else {
            add(&|it| it.results.clear());
            add(&|it| exchange(&mut it.results));
            add(&|it| it.results.push("i32".to_owned()));
        }
        if !self.parameters.is_empty() {
            add(&|it| {
                it.parameters.pop();
            });
            add(&|it| exchange(&mut it.parameters));
        }
        others
    }

    fn text(&self) -> String {
        let parameters = self.parameters.iter().map(|it| format!("(param {it})"));
        let results = self.results.iter().map(|it| format!("(result {it})"));
        parameters.chain(results).collect()
    }
}

/// The signatures to try for an ABI version: those that the function has in any version, and wrong
/// ones. To save time, only the newest version gets all wrong ones.
fn signatures(table: &[Function], name: &str, version: AbiVersion) -> Vec<TextSignature> {
    let rows = table.iter().filter(|function| function.name == name);
    let mut signatures: Vec<_> = rows.map(TextSignature::of).collect();
    let mut others = signatures
        .iter()
        .flat_map(TextSignature::others)
        .collect::<Vec<_>>();
    if version != AbiVersion::V0_2_1 {
        others.truncate(1);
    }
    signatures.append(&mut others);
    signatures
}

fn names(table: &[Function]) -> BTreeSet<&'static str> {
    table.iter().map(|function| function.name).collect()
}

fn marker(version: AbiVersion) -> String {
    format!(r#"(func (export "{}"))"#, version.marker())
}

fn import(module: &str, name: &str, version: AbiVersion, signature: &str) -> ModuleCase {
    ModuleCase::new(
        format!("ABI {version}: {module}.{name} {signature}"),
        &[
            &format!(r#"(import "{module}" "{name}" (func {signature}))"#),
            MEMORY,
            ALLOCATOR,
            &marker(version),
        ],
    )
}

/// A function body with which every Envoy starts: it returns success.
fn body(name: &str, results: &[String]) -> String {
    let agrees = [
        "proxy_on_vm_start",
        "proxy_on_configure",
        "proxy_on_done",
        "proxy_validate_configuration",
    ];
    let value = u8::from(agrees.contains(&name));
    results
        .iter()
        .map(|result| format!(" {result}.const {value}"))
        .collect()
}

fn export(name: &str, version: AbiVersion, signature: &TextSignature, others: &str) -> ModuleCase {
    let text = signature.text();
    let allocator = match name {
        "malloc" | "proxy_on_memory_allocate" => "",
        _ => ALLOCATOR,
    };
    ModuleCase::new(
        format!("ABI {version}: callback {name} {text} {others}"),
        &[
            MEMORY,
            allocator,
            &marker(version),
            &format!(
                r#"(func (export "{name}") {text} {})"#,
                body(name, &signature.results)
            ),
            others,
        ],
    )
}

/// Imports that no Envoy offers: unknown functions, and items that are not functions.
fn unknown() -> Vec<ModuleCase> {
    let mut cases = Vec::new();
    for (module, name) in [
        ("env", "abort"),
        ("env", "fd_write"),
        ("env", "proxy_on_log"),
        ("env", "proxy_get_shared_queue"),
        ("env", "setTempRet0"),
        ("env", "__cxa_throw"),
        ("", "proxy_log"),
        ("proxy", "proxy_log"),
        ("wasi_snapshot_preview1", "proxy_log"),
        ("wasi_snapshot_preview1", "proc_raise"),
        ("wasi_snapshot_preview1", "sock_open"),
        ("wasi_snapshot_preview2", "fd_write"),
        ("wasi", "fd_write"),
        ("wasi:cli/environment@0.2.0", "get-environment"),
        ("gojs", "runtime.wasmExit"),
        ("wbg", "__wbindgen_throw"),
    ] {
        cases.push(import(module, name, AbiVersion::V0_2_1, "(param i32)"));
    }
    for item in [
        "(global i32)",
        "(global (mut i32))",
        "(memory 1)",
        "(table 1 funcref)",
    ] {
        let import = format!(r#"(import "env" "proxy_log" {item})"#);
        let fields = [
            &import,
            ALLOCATOR,
            r#"(func (export "proxy_abi_version_0_2_1"))"#,
        ];
        cases.push(ModuleCase::new(format!("proxy_log is {item}"), &fields));
    }
    cases
}

/// Exports with the name of a callback that are not functions: proxies ignore them.
fn exported_items() -> Vec<ModuleCase> {
    let mut cases = Vec::new();
    for name in [
        "proxy_on_request_headers",
        "proxy_on_vm_start",
        "_initialize",
        "_start",
        "main",
    ] {
        for item in [
            format!(r#"(global (export "{name}") i32 (i32.const 0))"#),
            format!(r#"(table (export "{name}") 1 funcref)"#),
            format!(r#"(export "{name}" (memory 0))"#),
        ] {
            cases.push(ModuleCase::with(&item));
        }
    }
    cases
}

/// All imports of an ABI version at once, and all callbacks.
fn all(version: AbiVersion) -> Vec<ModuleCase> {
    let is_in = |function: &&Function| function.is_in(version);
    let imports: String = [
        (HOST_MODULE, HOST_CALLS),
        (WASI_MODULES[0], WASI_FUNCTIONS),
        (WASI_MODULES[1], WASI_FUNCTIONS),
    ]
    .into_iter()
    .flat_map(|(module, table)| {
        let text = move |function: &Function| {
            let signature = TextSignature::of(function).text();
            format!(
                r#"(import "{module}" "{}" (func {signature}))"#,
                function.name
            )
        };
        table.iter().filter(is_in).map(text)
    })
    .collect();
    let callbacks: String = CALLBACKS
        .iter()
        .filter(is_in)
        .map(|function| {
            let signature = TextSignature::of(function);
            let body = body(function.name, &signature.results);
            let text = signature.text();
            format!(r#"(func (export "{}") {text}{body})"#, function.name)
        })
        .collect();
    let marker = marker(version);
    vec![
        ModuleCase::new(
            format!("ABI {version}: all imports"),
            &[&imports, MEMORY, ALLOCATOR, &marker],
        ),
        ModuleCase::new(
            format!("ABI {version}: all callbacks"),
            &[MEMORY, &callbacks, &marker],
        ),
    ]
}

pub fn cases() -> Vec<ModuleCase> {
    let mut cases = unknown();
    cases.extend(exported_items());
    cases.extend(AbiVersion::ALL.iter().copied().flat_map(all));
    for version in AbiVersion::ALL.iter().copied() {
        for (module, table) in [
            (HOST_MODULE, HOST_CALLS),
            (WASI_MODULES[0], WASI_FUNCTIONS),
            (WASI_MODULES[1], WASI_FUNCTIONS),
        ] {
            for name in names(table) {
                let signatures = signatures(table, name, version);
                let case = |it: &TextSignature| import(module, name, version, &it.text());
                cases.extend(signatures.iter().map(case));
            }
        }
        for name in names(CALLBACKS) {
            for signature in signatures(CALLBACKS, name, version) {
                cases.push(export(name, version, &signature, ""));
                // With these exports, proxies look for other callbacks.
                let other = match name {
                    "main" | "__main_void" | "_start" => r#"(func (export "_initialize"))"#,
                    "proxy_on_memory_allocate" => ALLOCATOR,
                    _ => continue,
                };
                let mut case = export(name, version, &signature, other);
                case.rejected_since = callback(name, version)
                    .filter(|right| signature != TextSignature::of(right))
                    .map(|right| right.since);
                cases.push(case);
            }
        }
    }
    cases
}
