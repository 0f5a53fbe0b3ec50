//! The template's module in several listeners of one Envoy, each with its own configuration.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use proxy_wasm_e2e::print_line;
use proxy_wasm_e2e::reconfigure::{builder, ensure_rejects, ensure_responds_with, text};
use proxy_wasm_test::envoy::Envoy;
use proxy_wasm_test::http;

/// A listener: its name, the root ID and the configuration of its plugin, and the values of the
/// header.
type Listener = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const WORKERS: u32 = 3;

/// Listeners whose plugins have the same or different root IDs and configurations in a VM.
const LISTENERS: [Listener; 6] = [
    ("plain", "one", "plain", &["plain"]),
    ("same-root-id", "one", "other", &["other"]),
    ("other-root-id", "two", "plain", &["plain"]),
    ("same-in-all", "one", "plain", &["plain"]),
    (
        "without-root-id",
        "",
        r#"{"custom-header": ["1", "2"]}"#,
        &["1", "2"],
    ),
    ("nothing", "", "{}", &[]),
];

fn start_listeners() -> Result<Envoy> {
    let builder = builder()?.workers(WORKERS);
    let envoy = LISTENERS
        .iter()
        .fold(builder, |builder, (name, root_id, configuration, _)| {
            builder.listener(name, root_id, &text(configuration))
        })
        .start()?;
    // One VM for each worker and for the main thread, and the base VM that they are cloned from.
    let vms = "wasm.envoy.wasm.runtime.v8.active";
    assert_eq!(envoy.stats(vms)?[vms], u64::from(WORKERS) + 2);
    Ok(envoy)
}

/// Sends requests to all listeners, each on a new connection, while `work` runs. Returns their
/// number. Fails if a response does not have the values that its listener must have.
fn while_sending_requests(
    envoy: &mut Envoy,
    expected: impl Fn(&Listener, &[&str]) -> bool + Sync,
    work: impl FnOnce(&mut Envoy) -> Result<()>,
) -> Result<u64> {
    let stop = AtomicBool::new(false);
    let send_requests = |listener: &Listener, url: &str| -> Result<u64> {
        let mut requests = 0;
        let mut wrong = None;
        while !stop.load(Ordering::Relaxed) {
            let response = http::get(url)?;
            if response.status != 200 || !expected(listener, &response.header("custom-header")) {
                wrong.get_or_insert(response);
            }
            requests += 1;
        }
        ensure!(wrong.is_none(), "{listener:?} responded with {wrong:?}");
        Ok(requests)
    };
    let mut urls = Vec::new();
    for listener in &LISTENERS {
        urls.push((listener, envoy.url_of(listener.0, "/")?));
    }
    thread::scope(|scope| {
        let clients: Vec<_> = urls
            .iter()
            .chain(&urls)
            .map(|(listener, url)| scope.spawn(|| send_requests(listener, url)))
            .collect();
        let result = work(envoy);
        stop.store(true, Ordering::Relaxed);
        let requests = clients
            .into_iter()
            .map(|client| client.join().expect("no panic"))
            .sum::<Result<u64>>()?;
        result?;
        Ok(requests)
    })
}

#[test]
fn listeners_in_one_vm_keep_their_own_configurations() -> Result<()> {
    let mut envoy = start_listeners()?;
    let connections: Vec<String> = LISTENERS
        .iter()
        .flat_map(|(name, ..)| {
            (0..WORKERS)
                .map(move |worker| format!("listener.{name}.worker_{worker}.downstream_cx_total"))
        })
        .collect();
    let requests = while_sending_requests(
        &mut envoy,
        |(.., expected), values| values == *expected,
        |envoy| Ok(envoy.wait_for_rise(&connections, 20)?),
    )?;
    print_line(&format!(
        "{} listeners in one VM for each of {WORKERS} workers: {requests} requests, each with the configuration of its own listener",
        LISTENERS.len()
    ));
    Ok(())
}

#[test]
fn update_of_one_listener_does_not_change_the_others() -> Result<()> {
    const UPDATED: &str = "same-root-id";
    const UPDATES: u64 = 20;
    let mut envoy = start_listeners()?;
    let responses: Vec<String> = LISTENERS
        .iter()
        .map(|(name, ..)| format!("http.{name}.downstream_rq_2xx"))
        .collect();
    let requests = while_sending_requests(
        &mut envoy,
        |(name, _, _, expected), values| match values {
            [value] if *name == UPDATED => *value == "plain" || value.starts_with("other"),
            _ => values == *expected,
        },
        |envoy| {
            let mut last_good = "other".to_owned();
            for update in 1..=UPDATES {
                if update % 4 == 0 {
                    ensure_rejects(envoy, UPDATED, update / 4)?;
                } else {
                    // An update with an even number has the configuration of another listener.
                    last_good = match update % 2 {
                        0 => "plain".to_owned(),
                        _ => format!("other-{update}"),
                    };
                    envoy.update_listener(UPDATED, &text(&last_good))?;
                }
                ensure_responds_with(&envoy.url_of(UPDATED, "/")?, &last_good)?;
                envoy.wait_for_rise(&responses, 10)?;
            }
            Ok(())
        },
    )?;
    print_line(&format!(
        "{UPDATES} updates of one listener of {}: {requests} requests, each with the configuration of its own listener",
        LISTENERS.len()
    ));
    Ok(())
}
