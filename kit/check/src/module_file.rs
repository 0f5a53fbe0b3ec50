//! The rules for a module: what a proxy needs to load and to call it.

use proxy_wasm_abi::{
    AbiVersion, EnvoyVersion, Function, HOST_MODULE, WASI_MODULES, callback, host_function,
    is_looked_up,
};
use proxy_wasm_module::{Import, Item, Module};

use crate::releases;
use crate::report::{ModuleFacts, Report, excerpt};

/// A module without a marker of a known ABI version is checked as one of this version.
const DEFAULT_ABI: AbiVersion = AbiVersion::V0_2_1;

const BUILD_FOR_CURRENT_ABI: &str = "build it with an SDK for ABI 0.2.1";

/// More memory at the start than this is reported, in bytes. Modules of the Go SDK have less.
const LARGE_MEMORY: u64 = 16 * 1024 * 1024;

/// The most findings of one kind that are listed.
const MAX_COUNT: usize = 20;

/// Checks a module, and adds what it imports, exports and needs to the report.
pub fn check(report: &mut Report, place: &str, bytes: &[u8]) {
    let module = match Module::read(bytes) {
        Ok(module) => module,
        Err(error) => {
            report.error(
                place,
                error.to_string(),
                "compile it again for wasm32, as a core module",
            );
            return;
        }
    };
    let version = module.abi_version().unwrap_or(DEFAULT_ABI);
    abi(report, place, &module);
    exports(report, place, &module, version);
    imports(report, place, &module, version);
    proposals(report, place, &module);
    let memory = module.memory();
    if let Some(memory) = memory
        && memory.initial > LARGE_MEMORY
    {
        report.warning(
            place,
            format!("it starts with {} bytes of memory", memory.initial),
            "give it less (a smaller stack, no large static data): each of a proxy's workers has \
             a VM of its own",
        );
    }
    report.module = Some(ModuleFacts {
        path: place.to_owned(),
        bytes: module.size,
        abi: module.abi.clone(),
        callbacks: module.callbacks().map(str::to_owned).collect(),
        proposals: module.proposals.iter().map(|need| need.name).collect(),
        oldest: releases::since(oldest_envoy(&module, version)),
        memory: memory.map(|memory| memory.initial),
        memory_bound: memory.and_then(|memory| memory.maximum),
    });
}

/// The oldest Envoy that has all proposals and functions that a module needs.
fn oldest_envoy(module: &Module, version: AbiVersion) -> EnvoyVersion {
    let proposals = module.proposals.iter().map(|proposal| proposal.since);
    let functions = module
        .imports
        .iter()
        .filter_map(|import| offered(import, version))
        .map(|function| function.since);
    proposals
        .chain(functions)
        .max()
        .unwrap_or(EnvoyVersion::OLDEST)
}

fn abi(report: &mut Report, place: &str, module: &Module) {
    const REMEDY: &str = "build it with a Proxy-Wasm SDK for ABI 0.2.1";
    if module.abi.is_empty() {
        let problem = "it exports no proxy_abi_version_…, so it speaks no Proxy-Wasm ABI";
        report.error(place, problem, REMEDY);
    }
    for version in module.abi.iter().take(MAX_COUNT) {
        let known = AbiVersion::ALL
            .iter()
            .find(|known| known.to_string() == *version);
        match known {
            Some(AbiVersion::V0_1_0) => {
                let problem = "it speaks ABI 0.1.0, which 0.2.0 replaced in 2020";
                report.error(place, problem, REMEDY);
            }
            Some(_) => {}
            None => report.error(
                place,
                format!("it speaks ABI {}, which no proxy does", excerpt(version)),
                REMEDY,
            ),
        }
    }
    if module.abi.len() > 1 {
        report.warning(
            place,
            format!("it speaks {} ABI versions at once", module.abi.len()),
            "export one proxy_abi_version_…, or each proxy picks one by its own rule",
        );
    }
}

fn exports(report: &mut Report, place: &str, module: &Module, version: AbiVersion) {
    if module.memory().is_none() {
        report.error(
            place,
            "it exports no memory under the name memory",
            "export its memory: the proxy passes everything through it",
        );
    }
    let allocates = ["proxy_on_memory_allocate", "malloc"]
        .iter()
        .any(|name| matches!(module.export(name), Some(Item::Function(_))));
    if !allocates {
        report.error(
            place,
            "it exports neither malloc nor proxy_on_memory_allocate",
            "export one of them: the proxy passes headers and configuration through it",
        );
    }
    let has = |name: &str| module.export(name).is_some();
    let mut wrong = 0;
    for export in &module.exports {
        let Some(expected) = callback(&export.name, version) else {
            continue;
        };
        if fits(&export.item, expected) || !is_looked_up(&export.name, has) {
            continue;
        }
        wrong += 1;
        if wrong <= MAX_COUNT {
            report.error(
                place,
                format!(
                    "its export {} is {}, and proxies call it as {}",
                    expected.name, export.item, expected.signature
                ),
                BUILD_FOR_CURRENT_ABI,
            );
        }
    }
    if !module
        .callbacks()
        .any(|name| name != "proxy_on_memory_allocate")
    {
        report.warning(
            place,
            "it exports no callback, so a proxy never calls it",
            "export the proxy_on_… functions of what it is to do",
        );
    }
    if has("proxy_on_context_create") && !has("proxy_on_delete") {
        report.warning(
            place,
            "it exports proxy_on_context_create without proxy_on_delete",
            "export both: the second one frees what the first one made for each request",
        );
    }
}

fn imports(report: &mut Report, place: &str, module: &Module, version: AbiVersion) {
    let mut wrong = 0;
    for import in &module.imports {
        let offered = offered(import, version);
        if offered.is_some_and(|function| fits(&import.item, function)) {
            continue;
        }
        let full = format!("{}.{}", import.module, import.name);
        if matches!(import.item, Item::Memory(_) | Item::Table) {
            report.warning(
                place,
                format!(
                    "it imports {} as {}, which only V8 offers",
                    excerpt(&full),
                    import.item
                ),
                "let the module define it and export it (no --import-memory, no --import-table)",
            );
            continue;
        }
        wrong += 1;
        if wrong > MAX_COUNT {
            continue;
        }
        if let Some(function) = offered {
            report.error(
                place,
                format!(
                    "it imports {full} as {}, and proxies offer it as {}",
                    import.item, function.signature
                ),
                if import.module == HOST_MODULE {
                    BUILD_FOR_CURRENT_ABI
                } else {
                    "remove the code that calls it, or compile it for WASI preview 1"
                },
            );
        } else if let Some(versions) = other_versions(import) {
            report.error(
                place,
                format!("it imports {full}, which proxies offer only to ABI {versions}"),
                BUILD_FOR_CURRENT_ABI,
            );
        } else {
            report.error(
                place,
                format!("it imports {}, which no proxy offers", excerpt(&full)),
                advice(&import.module, &import.name),
            );
        }
    }
    if wrong > MAX_COUNT {
        report.error(
            place,
            format!("{} more imports are of that kind", wrong - MAX_COUNT),
            "fix the ones above first",
        );
    }
}

fn offered(import: &Import, version: AbiVersion) -> Option<&'static Function> {
    host_function(&import.module, &import.name, version)
}

/// The ABI versions that have a function of this name, if there are any.
fn other_versions(import: &Import) -> Option<String> {
    let versions: Vec<_> = AbiVersion::ALL
        .iter()
        .filter(|version| offered(import, **version).is_some())
        .map(ToString::to_string)
        .collect();
    (!versions.is_empty()).then(|| versions.join(" and "))
}

fn fits(item: &Item, function: &Function) -> bool {
    matches!(item, Item::Function(signature) if signature.matches(&function.signature))
}

/// What usually causes an import that no proxy offers, as an advice.
fn advice(module: &str, name: &str) -> &'static str {
    if module == HOST_MODULE && name == "abort" {
        "compile AssemblyScript with --use abort=abort_proc_exit"
    } else if WASI_MODULES.contains(&module) {
        "remove the code that calls it: a proxy offers only a part of WASI preview 1"
    } else if module.starts_with("__wbindgen") || module == "wbg" {
        "remove the crate that is made for browsers (wasm-bindgen); cargo tree shows what brings \
         it in"
    } else if module.starts_with("wasi:") {
        "compile for WASI preview 1 or for no WASI: proxies know no later one"
    } else {
        "remove the call, or link the library that defines it"
    }
}

fn proposals(report: &mut Report, place: &str, module: &Module) {
    for need in &module.proposals {
        let Some(older) = releases::before(need.since) else {
            continue;
        };
        let remedy = if need.name == "reference-types" {
            "if it is to run there, encode it again without long table indexes, as cargo \
             proxy-wasm shrink and wasm-opt do"
        } else {
            "if it is to run there, compile without this feature"
        };
        report.warning(
            place,
            format!(
                "it needs the proposal {} (V8 {}), so {older} will not load it",
                need.name, need.v8
            ),
            remedy,
        );
    }
}

#[cfg(test)]
mod tests;
