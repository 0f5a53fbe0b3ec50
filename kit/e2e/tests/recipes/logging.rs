use proxy_wasm_e2e::recipe;
use proxy_wasm_test::{Error, Proxy};

#[test]
fn clients_cannot_add_log_lines_or_end_the_vm() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("logging"))?.configure("")?;
    let request = proxy.request("GET", "/");
    request.header(":path", b"/\n[error] \xff").respond(200)?;
    // Envoy does not forward such a path.
    let line = proxy.log().pop().expect("a line");
    let expected = "[Warn] GET /\\n[error] \u{fffd} 503 0 ms";
    assert_eq!(line.to_string(), expected);
    Ok(())
}
