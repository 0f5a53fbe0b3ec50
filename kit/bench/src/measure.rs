//! Counts the instructions of the extension and of the filters that it is compared with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proxy_wasm_test::envoy::find_or_fetch;

use crate::build::{self, Build};
use crate::cli::Arguments;
use crate::report::BenchReport;
use crate::subject::{
    DYNAMIC_MODULE, EXT_PROC, Filter, HEADER_MUTATION, LUA, Subject, THIS_EXTENSION, Workload,
};
use crate::{baseline, callgrind, dynamic_module, ext_proc, load, plot};

/// Counts the instructions of all filters. After each filter, the figures so far are written as
/// JSON and SVG.
///
/// # Errors
///
/// If the extension is not built; if Envoy, the load generator or callgrind is missing (the message
/// says how to get it); or if Envoy rejects a module or a request fails.
pub fn run(build: &Build, arguments: &Arguments) -> Result<BenchReport> {
    load::check_installed()?;
    callgrind::check_installed()?;
    let output = build.output();
    fs::create_dir_all(&output)
        .with_context(|| format!("cannot create the directory {}", output.display()))?;
    let envoy = find_or_fetch()?;
    let mut runs = Vec::new();
    for &headers in &arguments.headers {
        let workload = Workload::new(headers, arguments.configuration.as_deref())
            .with_root_id(&arguments.root_id);
        let subjects = subjects(build, &workload, &arguments.modules)?;
        runs.push((workload, subjects));
    }

    eprintln!("Counting instructions: no filter");
    let without_filter = callgrind::count(&envoy, &Filter::None, &Workload::new(0, None))
        .context("Envoy without a filter cannot be measured")?;
    let mut report = BenchReport::new(without_filter.per_request);
    for (workload, subjects) in &runs {
        let headers = workload.headers.len();
        for Subject { name, filter } in subjects {
            eprintln!("Counting instructions: {name}, headers: {headers}");
            let count = callgrind::count(&envoy, filter, workload)
                .with_context(|| format!("{name} cannot be measured"))?;
            report.add(name, headers, count.appended, count.per_request);
            write(&report, &output)?;
        }
    }
    Ok(report)
}

/// All filters that are measured, the references first.
fn subjects(build: &Build, workload: &Workload, modules: &[PathBuf]) -> Result<Vec<Subject>> {
    let headers = &workload.headers;
    let module = |name: &str, bytes: Vec<u8>| -> Result<Filter> {
        let path = build
            .output()
            .join(format!("{name}-{}.wasm", headers.len()));
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Filter::Module(path))
    };
    let shipped = build.shipped()?;
    let one_callback = module("one-callback", baseline::one_callback(headers)?)?;
    let same_callbacks = baseline::same_callbacks(&build::read(&shipped)?, headers)?;
    let same_callbacks = module("same-callbacks", same_callbacks)?;
    let not_shrunk = module("not-shrunk", build.not_shrunk()?)?;
    let mut subjects = vec![
        Subject::new(HEADER_MUTATION, Filter::HeaderMutation),
        Subject::new(
            DYNAMIC_MODULE,
            Filter::DynamicModule(dynamic_module::build()?),
        ),
        Subject::new(LUA, Filter::Lua),
        Subject::new(EXT_PROC, Filter::ExtProc(ext_proc::start(headers)?)),
        Subject::new("by hand, one callback", one_callback),
        Subject::new("by hand, same callbacks", same_callbacks),
        Subject::new("not shrunk", not_shrunk),
        Subject::new(THIS_EXTENSION, Filter::Module(shipped)),
    ];
    for module in modules {
        let name = module.display().to_string();
        let path = fs::canonicalize(module).with_context(|| format!("cannot read {name}"))?;
        subjects.push(Subject::new(&name, Filter::Module(path)));
    }
    Ok(subjects)
}

fn write(report: &BenchReport, output: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    for (name, text) in [("cost.json", json), ("cost.svg", plot::draw(report)?)] {
        let path = output.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
