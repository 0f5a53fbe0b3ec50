use proxy_wasm_e2e::recipe;
use proxy_wasm_test::{Error, Proxy, Reply, Stream};

const CONFIGURATION: &str =
    r#"{"sessions": "upstream", "permissions": "upstream", "timeout_milliseconds": 200}"#;

/// A request that waits for the first service.
fn send(proxy: &Proxy) -> Result<Stream, Error> {
    proxy.request("GET", "/").header("x-session", "s").send()
}

#[test]
fn each_request_waits_for_its_own_calls() -> Result<(), Error> {
    let proxy = Proxy::load(recipe("two_calls"))?.configure(CONFIGURATION)?;
    let streams = [send(&proxy)?, send(&proxy)?];
    // The second request's response comes first.
    for index in [1, 0] {
        let call = proxy.http_calls()[index].id;
        proxy.respond_to_call(call, Reply::new(200).body(format!("user-{index}")))?;
    }
    for call in proxy.http_calls() {
        proxy.respond_to_call(call.id, 200)?;
    }
    for (index, stream) in streams.into_iter().enumerate() {
        let upstream = stream.upstream().expect("the request was forwarded");
        assert_eq!(upstream.headers.values("x-user"), [format!("user-{index}")]);
        stream.respond(200)?;
    }
    Ok(())
}
