//! The module's rules: what a proxy needs to load it and to call it.

use proxy_wasm_module::host::{Function, WASI_MODULES};
use proxy_wasm_module::proposals::Proxy;
use proxy_wasm_module::{Item, Module};

use crate::report::{ModuleFacts, Report, excerpt};

/// The ABI versions that present proxies speak with a module of today.
const SPOKEN: [&str; 2] = ["0.2.0", "0.2.1"];

/// What a VM may start with before it is remarkable, in bytes: the Go SDK's modules stay below.
const LARGE_MEMORY: u64 = 16 * 1024 * 1024;

/// The most findings of one kind that are listed.
const MOST: usize = 20;

/// Checks a module's bytes and notes its facts.
pub fn check(report: &mut Report, place: &str, bytes: &[u8]) {
    let module = match Module::read(bytes) {
        Ok(module) => module,
        Err(error) => {
            report.error(
                place,
                error.to_string(),
                "compile it anew for wasm32, as a core module",
            );
            return;
        }
    };
    abi(report, place, &module);
    exports(report, place, &module);
    imports(report, place, &module);
    proposals(report, place, &module);
    if let Some(memory) = module.memory()
        && memory.initial > LARGE_MEMORY
    {
        report.warning(
            place,
            format!("it starts with {} bytes of memory", memory.initial),
            "give it less (a smaller stack, no large static data): each of a proxy's workers has \
             a VM of its own",
        );
    }
    let memory = module.memory();
    report.module = Some(ModuleFacts {
        path: place.to_owned(),
        bytes: module.size,
        abi: module.abi.clone(),
        callbacks: module.callbacks().map(str::to_owned).collect(),
        proposals: module.proposals.iter().map(|need| need.name).collect(),
        oldest: oldest(&module).since(),
        memory: memory.map(|memory| memory.initial),
        memory_bound: memory.and_then(|memory| memory.maximum),
    });
}

fn oldest(module: &Module) -> Proxy {
    module
        .proposals
        .iter()
        .map(|need| need.oldest)
        .max()
        .unwrap_or(Proxy::Envoy1_17)
}

fn abi(report: &mut Report, place: &str, module: &Module) {
    const REMEDY: &str = "build it with a Proxy-Wasm SDK for ABI 0.2.1";
    if module.abi.is_empty() {
        let problem = "it exports no proxy_abi_version_…, so it speaks no Proxy-Wasm ABI";
        report.error(place, problem, REMEDY);
    }
    for version in module.abi.iter().take(MOST) {
        if version == "0.1.0" {
            let problem = "it speaks ABI 0.1.0, which 0.2.0 replaced in 2020";
            report.error(place, problem, REMEDY);
        } else if !SPOKEN.contains(&version.as_str()) {
            report.error(
                place,
                format!("it speaks ABI {}, which no proxy does", excerpt(version)),
                REMEDY,
            );
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

fn exports(report: &mut Report, place: &str, module: &Module) {
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
            "export one of them: the proxy hands over headers and configuration through it",
        );
    }
    let mut wrong = 0;
    for export in &module.exports {
        let Some(expected) = Function::callback(&export.name) else {
            continue;
        };
        let fits = match &export.item {
            Item::Function(signature) => expected.matches(signature),
            _ => false,
        };
        if !fits {
            wrong += 1;
            if wrong <= MOST {
                report.error(
                    place,
                    format!(
                        "its export {} is {}, and proxies call it as {}",
                        expected.name,
                        export.item,
                        expected.signature()
                    ),
                    "build it with an SDK for ABI 0.2.1",
                );
            }
        }
    }
    let has = |name| module.export(name).is_some();
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

fn imports(report: &mut Report, place: &str, module: &Module) {
    let mut wrong = 0;
    for import in &module.imports {
        let full = format!("{}.{}", import.module, import.name);
        let offered = Function::offered(&import.module, &import.name);
        let fits = match (&import.item, offered) {
            (Item::Function(signature), Some(function)) => function.matches(signature),
            _ => false,
        };
        if fits {
            continue;
        }
        if matches!(import.item, Item::Memory(_) | Item::Other("table")) {
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
        if wrong > MOST {
            continue;
        }
        match offered {
            Some(function) => report.error(
                place,
                format!(
                    "it imports {full} as {}, and proxies offer it as {}",
                    import.item,
                    function.signature()
                ),
                "build it with an SDK for ABI 0.2.1",
            ),
            None => report.error(
                place,
                format!("it imports {}, which no proxy offers", excerpt(&full)),
                advice(&import.module, &import.name),
            ),
        }
    }
    if wrong > MOST {
        report.error(
            place,
            format!("{} more imports are of that kind", wrong - MOST),
            "mend the ones above first",
        );
    }
}

/// How an import that no proxy offers usually came in.
fn advice(module: &str, name: &str) -> &'static str {
    if module == "env" && name == "abort" {
        "compile AssemblyScript with --use abort=abort_proc_exit"
    } else if WASI_MODULES.contains(&module) {
        "leave out what reaches for files, sockets or threads: a proxy offers a small part of WASI"
    } else if module.starts_with("__wbindgen") || module == "wbg" {
        "leave out the crate that is made for browsers (wasm-bindgen); cargo tree shows what \
         brings it in"
    } else if module.starts_with("wasi:") {
        "compile for WASI preview 1 or for no WASI: proxies know no later one"
    } else {
        "remove the call, or link the library that defines it"
    }
}

fn proposals(report: &mut Report, place: &str, module: &Module) {
    for need in &module.proposals {
        let Some(refusing) = need.oldest.refusing() else {
            continue;
        };
        let remedy = if need.name == "reference-types" {
            "if it is to run there, encode it anew without long table indexes, as extension shrink and wasm-opt do"
        } else {
            "if it is to run there, compile without this feature"
        };
        report.warning(
            place,
            format!(
                "it needs the proposal {} (V8 {}), so {refusing} will not load it",
                need.name, need.v8
            ),
            remedy,
        );
    }
}
