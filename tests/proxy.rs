//! The module that ships, in the embedded proxy.
#![cfg(not(target_family = "wasm"))]

use extension_kit::proxy::{Error, Proxy, Reply};
use extension_kit::testing::extension;

#[test]
fn a_response_gets_the_header() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure(r#"{"custom-header": "test"}"#)?;
    let response = proxy.request("GET", "/").respond(200)?;
    assert_eq!(response.header("custom-header"), ["test"]);
    Ok(())
}

#[test]
fn figures() -> Result<(), Error> {
    let _ = Proxy::load(extension())?;
    let start = std::time::Instant::now();
    let proxy = Proxy::load(extension())?.configure(r#"{"custom-header": "test"}"#)?;
    println!("load {:?}", start.elapsed());
    let response = proxy.request("GET", "/").respond(200)?;
    println!("{} {:?}", response.fuel(), response.host_calls());
    let start = std::time::Instant::now();
    for _ in 0..100_000 {
        proxy
            .request("GET", "/")
            .respond(Reply::new(200).body("x"))?;
    }
    println!(
        "100k requests {:?} pages {}",
        start.elapsed(),
        proxy.memory_pages()
    );
    let start = std::time::Instant::now();
    for _ in 0..10_000 {
        proxy.reconfigure(r#"{"custom-header": "test", "b": ["c", "d"]}"#)?;
        let _ = proxy.reconfigure(r#"{"custom-header": "test", "b": ["c", 1]}"#);
    }
    println!(
        "20k reconfigure {:?} pages {}",
        start.elapsed(),
        proxy.memory_pages()
    );
    println!("{:?}", proxy.log().last());
    Ok(())
}
