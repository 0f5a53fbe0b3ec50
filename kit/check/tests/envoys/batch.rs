//! Runs real Envoys that load many modules at once.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use proxy_wasm_test::envoy::admin::POLL;
use proxy_wasm_test::envoy::process::{Launch, Process};
use proxy_wasm_test::envoy::updates::{Counts, TIMEOUT, Updates};
use proxy_wasm_test::envoy::{Configuration, resources};
use proxy_wasm_test::{Error, http};
use serde_json::json;

use crate::case::ModuleCase;

/// The number of modules that one Envoy loads. It needs about 3 MB of memory for each.
const SIZE: usize = 50;

/// Whether this Envoy loads each of the modules, and serves requests with it.
pub fn outcomes(envoy: &Path, cases: &[&ModuleCase]) -> Vec<bool> {
    let (crashing, others): (Vec<usize>, Vec<usize>) =
        (0..cases.len()).partition(|index| cases[*index].crashes);
    let mut outcomes = vec![false; cases.len()];
    // Each module that crashes Envoy gets an Envoy of its own.
    let batches = others
        .chunks(SIZE)
        .chain(crashing.chunks(1))
        .map(<[usize]>::to_vec);
    for batch in batches {
        let modules: Vec<&ModuleCase> = batch.iter().map(|index| cases[*index]).collect();
        match load(envoy, &modules) {
            Ok((loaded, _)) => {
                for (index, is_loaded) in batch.iter().zip(loaded) {
                    outcomes[*index] = is_loaded;
                }
            }
            Err(_) if batch.len() == 1 => {}
            Err(log) => {
                let name = modules
                    .iter()
                    .find(|case| load(envoy, &[case]).is_err())
                    .map(|case| &case.name);
                panic!("{} crashes with {name:?}:\n{log}", envoy.display());
            }
        }
    }
    outcomes
}

/// The log of this Envoy when it loads one module.
pub fn log(envoy: &Path, case: &ModuleCase) -> String {
    match load(envoy, &[case]) {
        Ok((_, log)) => log,
        Err(log) => format!("It crashes:\n{log}"),
    }
}

/// Whether an Envoy loads each module and serves requests with it, and the log. If Envoy crashes,
/// only the log.
fn load(envoy: &Path, cases: &[&ModuleCase]) -> Result<(Vec<bool>, String), String> {
    let directory = tempfile::tempdir().expect("a directory");
    let routes = [json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}})];
    let listeners: Vec<_> = (0..)
        .zip(cases)
        .map(|(number, case)| {
            let module = directory.path().join(format!("{number}.wasm"));
            fs::write(&module, &case.module).expect("a module");
            let filter = resources::wasm_filter(&module, "root", &Configuration::Absent);
            resources::http_listener(&number.to_string(), 0, &routes, &[filter])
        })
        .collect();
    let file = directory.path().join("listeners.json");
    let bootstrap = directory.path().join("bootstrap.json");
    let write = |path, json: serde_json::Value| fs::write(path, json.to_string());
    write(&file, resources::discovery_response(&listeners)).expect("listeners");
    write(&bootstrap, resources::bootstrap(&file, 0, ("127.0.0.1", 1))).expect("a bootstrap");
    let launch = Launch {
        binary: envoy,
        bootstrap: &bootstrap,
        directory: directory.path(),
        workers: 1,
        drain_seconds: 1,
        arguments: Vec::new(),
    };
    let mut process = match Process::start(launch.command(), directory.path(), TIMEOUT) {
        Ok(process) => process,
        Err(error) => {
            let log = error.to_string();
            assert!(log.contains("Envoy exited while it started"), "{log}");
            return Err(log);
        }
    };
    let deadline = Instant::now() + TIMEOUT;
    let served = loop {
        let served = serve(&process, cases.len());
        let log = process.log_from(0);
        match served {
            _ if process.status().is_some() => return Err(log),
            Ok(served) => break served,
            // Envoy has crashed, or is busy.
            Err(error) => assert!(Instant::now() < deadline, "{error}:\n{log}"),
        }
        thread::sleep(POLL);
    };
    Ok((served, process.log_from(0)))
}

/// Whether each listener exists and responds.
fn serve(process: &Process, count: usize) -> Result<Vec<bool>, Error> {
    Updates::new(process.admin().clone(), 1).wait(&Counts::default())?;
    let addresses = process.admin().listener_addresses()?;
    let responds = |number: usize| {
        let Some(address) = addresses.get(&number.to_string()) else {
            return Ok(false);
        };
        Ok(http::get(&format!("http://{address}/"))?.status == 200)
    };
    (0..count).map(responds).collect()
}
