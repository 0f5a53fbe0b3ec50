//! There are no import cycles between the files of a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use proxy_wasm_e2e::copy::contents;
use proxy_wasm_e2e::template;

/// The path of a Rust module within its crate. It is empty for the root.
type Module = Vec<String>;

/// The modules of a crate, with their source text without tests and comments.
fn modules(krate: &Path) -> Result<BTreeMap<Module, String>> {
    let mut modules = BTreeMap::new();
    for (path, (bytes, _)) in contents(&krate.join("src"))? {
        let mut module: Module = path
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let is_root = ["lib", "main"].contains(&module[0].as_str()) && module.len() == 1;
        let is_test = module.last().is_some_and(|name| name == "tests");
        if path.extension() != Some("rs".as_ref()) || is_test {
            continue;
        }
        if is_root {
            module.clear();
        }
        let text = String::from_utf8(bytes)?;
        let text = text.split("mod tests {").next();
        let lines = text.unwrap_or_default().lines();
        let code: Vec<_> = lines
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect();
        modules.insert(module, code.join("\n"));
    }
    Ok(modules)
}

/// The modules that a source text refers to by `crate::`, `super::`, or the name of a child.
fn imports(from: &Module, text: &str, modules: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut add = |base: &[String], rest: &str| {
        let parts = rest.split("::").map(|part| {
            part.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
        });
        let mut module = base.to_vec();
        for part in parts.map(String::from_iter) {
            module.push(part);
            if !modules.contains_key(&module) {
                module.pop();
                break;
            }
        }
        if module != *from {
            found.insert(module);
        }
    };
    let parent = from.split_last().map_or(&[][..], |(_, parent)| parent);
    for (prefix, base) in [("crate::", &[][..]), ("super::", parent)] {
        for (index, _) in text.match_indices(prefix) {
            let rest = &text[index + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(list) => {
                    let list = list.split('}').next().unwrap_or_default();
                    list.split(',').for_each(|item| add(base, item.trim()));
                }
                None => add(base, rest),
            }
        }
    }
    // `use child::Item` and `child::function()` in the parent.
    let children = modules.keys().filter(|module| {
        module
            .split_last()
            .is_some_and(|(_, parent)| parent == from.as_slice())
    });
    for child in children {
        let name = &child[child.len() - 1];
        let is_used = text.match_indices(&format!("{name}::")).any(|(index, _)| {
            let before = text[..index].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
        });
        if is_used {
            found.insert(child.clone());
        }
    }
    found
}

/// A cycle of imports.
fn cycle(graph: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    fn visit(
        module: &Module,
        graph: &BTreeMap<Module, BTreeSet<Module>>,
        path: &mut Vec<Module>,
        done: &mut BTreeSet<Module>,
    ) -> Option<Vec<Module>> {
        if let Some(start) = path.iter().position(|other| other == module) {
            return Some(path[start..].to_vec());
        }
        if done.contains(module) {
            return None;
        }
        path.push(module.clone());
        for next in graph.get(module).into_iter().flatten() {
            if let Some(found) = visit(next, graph, path, done) {
                return Some(found);
            }
        }
        path.pop();
        done.insert(module.clone());
        None
    }
    let mut done = BTreeSet::new();
    graph
        .keys()
        .find_map(|module| visit(module, graph, &mut Vec::new(), &mut done))
}

fn graph(krate: &Path) -> Result<BTreeMap<Module, BTreeSet<Module>>> {
    let modules = modules(krate)?;
    let graph = modules
        .iter()
        .map(|(module, text)| (module.clone(), imports(module, text, &modules)));
    Ok(graph.collect())
}

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn crates_have_no_import_cycles_between_files() -> Result<()> {
    let mut cycles = Vec::new();
    let crates = [
        "",
        "kit/abi",
        "kit/module",
        "kit/image",
        "kit/check",
        "kit/test",
        "kit/cli",
        "kit/bench",
        "kit/e2e",
    ];
    for krate in crates {
        let graph = graph(&template().join(krate))?;
        ensure!(!graph.is_empty(), "{krate} has no files");
        if let Some(cycle) = cycle(&graph) {
            let names: Vec<_> = cycle.iter().map(|module| module.join("::")).collect();
            cycles.push(format!("{krate}: {}", names.join(" -> ")));
        }
    }
    ensure!(cycles.is_empty(), "{}", cycles.join("\n"));
    Ok(())
}

#[test]
#[cfg_attr(missing_git, ignore = "needs git: install it")]
fn cycle_is_found() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let source = directory.path().join("src");
    fs::create_dir_all(source.join("a"))?;
    fs::write(source.join("lib.rs"), "mod a;\nmod b;\npub use a::A;\n")?;
    fs::write(source.join("a.rs"), "mod c;\nuse c::C;\nuse crate::b::B;\n")?;
    fs::write(source.join("a/c.rs"), "use crate::b::B; // super::A\n")?;
    fs::write(source.join("b.rs"), "")?;
    proxy_wasm_e2e::copy::commit(directory.path())?;
    assert_eq!(cycle(&graph(directory.path())?), None);
    for text in ["use crate::A;", "use crate::a::c::C;\nuse crate::{a, b};"] {
        fs::write(source.join("b.rs"), text)?;
        assert!(cycle(&graph(directory.path())?).is_some(), "{text}");
    }
    fs::write(source.join("b.rs"), "")?;
    fs::write(source.join("a/c.rs"), "use super::A;\n")?;
    assert!(cycle(&graph(directory.path())?).is_some());
    Ok(())
}
