//! The rules for a module: what a proxy needs to load and to call it.

use std::collections::BTreeMap;

use proxy_wasm_abi::{
    AbiVersion, EnvoyVersion, Function, HOST_MODULE, WASI_MODULES, callback, host_function,
    is_looked_up,
};
use proxy_wasm_image::sha256;
use proxy_wasm_module::{Import, Item, Memory, Module};

use crate::capabilities;
use crate::consumers::{Consumer, Consumers};
use crate::report::{ModuleFacts, Report, excerpt};

/// A module without a marker of a known ABI version is checked as one of this version.
const DEFAULT_ABI: AbiVersion = AbiVersion::V0_2_1;

const BUILD_FOR_CURRENT_ABI: &str = "build it with an SDK for ABI 0.2.1";

/// More memory at the start than this is reported, in bytes. Modules of the Go SDK have less.
const LARGE_MEMORY: u64 = 16 * 1024 * 1024;

/// V8 in Envoy loads no module with more memory at the start, in bytes.
const MAX_MEMORY: u64 = 16_384 * 65_536;

/// The most findings of one kind that are listed.
const MAX_COUNT: usize = 20;

/// The most names that one finding lists.
const MAX_LISTED: usize = 3;

/// Checks the module that `readers` read, and adds what it imports, exports and needs to the report.
/// Returns the oldest Envoy that loads it, if there is nothing else that is wrong.
pub fn check(
    report: &mut Report,
    readers: &[&'static Consumer],
    place: &str,
    bytes: &[u8],
) -> EnvoyVersion {
    check_length(report, readers, place, bytes.len() as u64);
    let module = match Module::read(bytes) {
        Ok(module) => module,
        Err(error) => {
            report.error(
                readers,
                place,
                error.to_string(),
                "compile it again for wasm32, as a core module",
            );
            return EnvoyVersion::OLDEST;
        }
    };
    let version = module.abi_version().unwrap_or(DEFAULT_ABI);
    abi(report, readers, place, &module);
    exports(report, readers, place, &module, version);
    imports(report, readers, place, &module, version);
    proposals(report, readers, place, &module);
    let memory = memory(&module);
    if let Some(memory) = memory {
        if memory.initial > MAX_MEMORY {
            report.error(
                readers,
                place,
                format!("it starts with {} bytes of memory", memory.initial),
                format!("give it less: V8 in Envoy allows {MAX_MEMORY}"),
            );
        } else if memory.initial > LARGE_MEMORY {
            report.warning(
                place,
                format!("it starts with {} bytes of memory", memory.initial),
                "give it less (a smaller stack, no large static data): each of a proxy's workers \
                 has a VM of its own",
            );
        }
    }
    let oldest = oldest_envoy(&module, version);
    report.module = Some(ModuleFacts {
        path: place.to_owned(),
        bytes: module.size,
        digest: sha256(bytes),
        abi: module.abi.clone(),
        callbacks: module.callbacks().map(str::to_owned).collect(),
        capabilities: capabilities::of(&module, version),
        proposals: module.proposals.iter().map(|need| need.name).collect(),
        oldest: oldest.to_string(),
        memory: memory.map(|memory| memory.initial),
        memory_bound: memory.and_then(|memory| memory.maximum),
        #[cfg(feature = "trial")]
        trial: None,
    });
    #[cfg(feature = "trial")]
    crate::trial_findings::check(report, readers, place, bytes);
    oldest
}

/// Checks the length of a module against the limit of each reader.
pub fn check_length(report: &mut Report, readers: &[&'static Consumer], place: &str, length: u64) {
    let rejecting: Consumers = readers
        .iter()
        .copied()
        .filter(|consumer| {
            consumer
                .max_module_length
                .is_some_and(|limit| length > limit)
        })
        .collect();
    if !rejecting.is_empty() {
        report.error(
            &rejecting,
            place,
            format!("it has {length} bytes"),
            "make it smaller than 256 MiB, the limit of meshes that load modules themselves",
        );
    }
}

/// The memory through which a proxy passes data: the last one that is exported, whatever its name.
fn memory(module: &Module) -> Option<Memory> {
    module
        .exports
        .iter()
        .rev()
        .find_map(|export| match export.item {
            Item::Memory(memory) => Some(memory),
            _ => None,
        })
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

fn abi(report: &mut Report, readers: &[&'static Consumer], place: &str, module: &Module) {
    const REMEDY: &str = "build it with a Proxy-Wasm SDK for ABI 0.2.1";
    let version = module.abi_version();
    if module.abi.is_empty() {
        let problem = "it exports no proxy_abi_version_…, so it speaks no Proxy-Wasm ABI";
        report.error(readers, place, problem, REMEDY);
    } else if version == Some(AbiVersion::V0_1_0) {
        report.warning(
            place,
            "it speaks ABI 0.1.0, which 0.2.0 replaced in 2020; proxies still load it",
            REMEDY,
        );
    }
    for marker in module.abi.iter().take(MAX_COUNT) {
        let known = AbiVersion::ALL
            .iter()
            .any(|known| known.to_string() == *marker);
        if known && version.is_none() {
            report.error(
                readers,
                place,
                format!("its export for ABI {marker} is not a function"),
                REMEDY,
            );
        } else if !known {
            let problem = format!("it speaks ABI {}, which no proxy does", excerpt(marker));
            if version.is_none() {
                report.error(readers, place, problem, REMEDY);
            } else {
                report.warning(place, problem, "export one proxy_abi_version_… only");
            }
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

fn exports(
    report: &mut Report,
    readers: &[&'static Consumer],
    place: &str,
    module: &Module,
    version: AbiVersion,
) {
    if memory(module).is_none() {
        let problem = "it exports no memory";
        let remedy = "export its memory as memory: the proxy passes everything through it";
        // Without host calls nothing is passed. A host call crashes Envoy.
        if module.imports.is_empty() {
            report.warning(place, problem, remedy);
        } else {
            report.error(readers, place, problem, remedy);
        }
    } else if module.memory().is_none() {
        report.warning(
            place,
            "it exports its memory under another name than memory, which only V8 accepts",
            "export it as memory",
        );
    }
    let allocates = ["proxy_on_memory_allocate", "malloc"]
        .iter()
        .any(|name| matches!(module.export(name), Some(Item::Function(_))));
    if !allocates {
        report.error(
            readers,
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
                readers,
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

fn imports(
    report: &mut Report,
    readers: &[&'static Consumer],
    place: &str,
    module: &Module,
    version: AbiVersion,
) {
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
                readers,
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
                readers,
                place,
                format!("it imports {full}, which proxies offer only to ABI {versions}"),
                BUILD_FOR_CURRENT_ABI,
            );
        } else {
            report.error(
                readers,
                place,
                format!("it imports {}, which no proxy offers", excerpt(&full)),
                advice(&import.module, &import.name),
            );
        }
    }
    if wrong > MAX_COUNT {
        report.error(
            readers,
            place,
            format!("{} more imports are of that kind", wrong - MAX_COUNT),
            "fix the ones above first",
        );
    }
    newer_imports(report, readers, place, module, version);
}

/// Reports imports that came with a release of Envoy which the newest release of some reader does
/// not have.
fn newer_imports(
    report: &mut Report,
    readers: &[&'static Consumer],
    place: &str,
    module: &Module,
    version: AbiVersion,
) {
    let mut newer: BTreeMap<EnvoyVersion, Vec<String>> = BTreeMap::new();
    for import in &module.imports {
        if let Some(function) = offered(import, version)
            && fits(&import.item, function)
        {
            let name = format!("{}.{}", import.module, import.name);
            newer.entry(function.since).or_default().push(name);
        }
    }
    for (since, mut names) in newer {
        names.dedup();
        let more = match names.len().saturating_sub(MAX_LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        names.truncate(MAX_LISTED);
        let problem = format!(
            "it imports {}{more}, which Envoy offers since {since}",
            names.join(", ")
        );
        let remedy = "if it is to run there, remove the code that calls it, or use an older \
                      compiler or SDK";
        report.needs(readers, since, false, (place, problem, remedy));
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

fn proposals(report: &mut Report, readers: &[&'static Consumer], place: &str, module: &Module) {
    for need in &module.proposals {
        let remedy = if need.name == "reference-types" {
            "if it is to run there, encode it again without long table indexes, as cargo \
             proxy-wasm shrink and wasm-opt do"
        } else {
            "if it is to run there, compile without this feature"
        };
        let problem = format!("it needs the proposal {} (V8 {})", need.name, need.v8);
        report.needs(readers, need.since, true, (place, problem, remedy));
    }
}

#[cfg(test)]
mod tests;
