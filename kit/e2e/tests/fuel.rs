//! The fuel of a request in the template's module, compared with the figures in `tests/fuel.json`.
//!
//! Fuel is the same on every machine. It changes a little from one compiler version to the next.

use std::collections::BTreeMap;
use std::{env, fs};

use anyhow::{Context, Result};
use proxy_wasm_e2e::{extension, print_line};
use proxy_wasm_test::{Error, Proxy};

const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuel.json");

/// The accepted increase, in percent of the figure.
const TOLERANCE: u64 = 10;

/// The fuel of a request if this number of headers is appended to the response.
fn fuel(headers: usize) -> Result<u64, Error> {
    let members = (0..headers).map(|index| format!(r#""x-{index}": "value""#));
    let configuration = format!("{{{}}}", members.collect::<Vec<_>>().join(", "));
    let proxy = Proxy::load(extension())?.configure(configuration)?;
    // The first request also allocates memory that later ones reuse.
    proxy.request("GET", "/").respond(200)?;
    Ok(proxy.request("GET", "/").respond(200)?.fuel())
}

#[test]
fn fuel_of_a_request_does_not_increase() -> Result<()> {
    let measured = [1, 10, 100]
        .into_iter()
        .map(|headers| Ok((headers, fuel(headers)?)))
        .collect::<Result<BTreeMap<usize, u64>>>()?;
    print_line(&format!(
        "fuel of a request, by the number of headers: {measured:?}"
    ));
    if env::var("ACCEPT_FUEL").as_deref() == Ok("true") {
        let figures = serde_json::to_string_pretty(&measured)?;
        return Ok(fs::write(FIGURES, figures + "\n")?);
    }
    let figures = fs::read_to_string(FIGURES).with_context(|| format!("cannot read {FIGURES}"))?;
    let figures: BTreeMap<usize, u64> = serde_json::from_str(&figures)
        .with_context(|| format!("{FIGURES} is not a map of figures"))?;
    for (headers, fuel) in measured {
        let figure = figures
            .get(&headers)
            .with_context(|| format!("{FIGURES} has no figure for {headers} headers"))?;
        assert!(
            fuel * 100 <= figure * (100 + TOLERANCE),
            "a request with {headers} headers needs {fuel} fuel, but {FIGURES} has {figure}. To accept \
             it, run: ACCEPT_FUEL=true cargo make test-kit --test fuel"
        );
    }
    Ok(())
}
