use std::collections::BTreeSet;
use std::thread;

use anyhow::{Result, anyhow};
use proxy_wasm_e2e::recipe;
use proxy_wasm_test::http;
use proxy_wasm_test::{Error, Proxy};

use crate::envoy;

fn number(proxy: &Proxy) -> Result<Vec<String>, Error> {
    let request = proxy.request("GET", "/").header("x-request-number", "mine");
    let upstream = request.send()?.upstream().expect("a request");
    let numbers = upstream.headers.values("x-request-number");
    Ok(numbers.iter().map(ToString::to_string).collect())
}

#[test]
fn numbers_continue_those_of_other_workers() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("shared_data"))?.configure("")?;
    assert_eq!(number(&proxy)?, ["1"]);
    assert_eq!(number(&proxy)?, ["2"]);
    proxy.set_shared_data("example.requests", 41_u64.to_le_bytes());
    assert_eq!(number(&proxy)?, ["42"]);
    Ok(())
}

#[test]
fn value_that_is_not_a_number_is_not_incremented() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("shared_data"))?.configure("")?;
    proxy.set_shared_data("example.requests", "several");
    assert!(number(&proxy)?.is_empty());
    Ok(())
}

#[test]
fn workers_in_envoy_never_use_a_number_twice() -> Result<()> {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 50;
    let envoy = envoy("shared_data", "")?;
    let url = envoy.url("/echo/x-request-number");
    let send_requests = || -> Result<Vec<u64>> {
        let number = |_| Ok(String::from_utf8(http::get(&url)?.body)?.parse()?);
        (0..REQUESTS).map(number).collect()
    };
    let numbers: Vec<Result<Vec<u64>>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(send_requests)).collect();
        let join = |client: thread::ScopedJoinHandle<_>| {
            client
                .join()
                .unwrap_or_else(|_| Err(anyhow!("a client panicked")))
        };
        clients.into_iter().map(join).collect()
    });
    let numbers: Vec<u64> = numbers.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let different: BTreeSet<u64> = numbers.iter().copied().collect();
    let expected: BTreeSet<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(different, expected);
    Ok(())
}
