use anyhow::Result;
use proxy_wasm_e2e::recipe;
use proxy_wasm_test::{Error, Options, Proxy, Reply, Stream, http};

use crate::{envoy, refusal};

const CONFIGURATION: &str =
    r#"{"sessions": "upstream", "permissions": "upstream", "timeout_milliseconds": 200}"#;

fn load() -> Result<Proxy, Error> {
    Proxy::load(recipe("two_calls"))?.configure(CONFIGURATION)
}

/// A request that waits for the first service.
fn send(proxy: &Proxy) -> Result<Stream, Error> {
    proxy.request("GET", "/").header("x-session", "s").send()
}

/// Responds to the only open call.
fn respond(proxy: &Proxy, path: &str, reply: impl Into<Reply>) -> Result<(), Error> {
    let calls = proxy.http_calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].headers.values(":path"), [path]);
    proxy.respond_to_call(calls[0].id, reply)
}

#[test]
fn second_call_gets_the_response_of_the_first() -> Result<(), Error> {
    let proxy = load()?;
    let stream = send(&proxy)?;
    assert_eq!(proxy.http_calls()[0].headers.values("x-session"), ["s"]);
    respond(&proxy, "/user", Reply::new(200).body("alice"))?;
    assert!(stream.is_request_paused());
    assert_eq!(proxy.http_calls()[0].headers.values("x-user"), ["alice"]);
    respond(&proxy, "/permission", 200)?;
    let upstream = stream.upstream().expect("the request was forwarded");
    assert_eq!(upstream.headers.values("x-user"), ["alice"]);
    assert_eq!(stream.respond(200)?.status(), 200);
    Ok(())
}

#[test]
fn each_request_waits_for_its_own_calls() -> Result<(), Error> {
    let proxy = load()?;
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

#[test]
fn client_without_permission_does_not_reach_the_upstream() -> Result<(), Error> {
    let proxy = load()?;
    let stream = send(&proxy)?;
    respond(&proxy, "/user", Reply::new(200).body("alice"))?;
    respond(&proxy, "/permission", 403)?;
    assert_eq!(stream.upstream(), None);
    assert_eq!(stream.finish()?.status(), 403);

    let stream = send(&proxy)?;
    respond(&proxy, "/user", 401)?;
    assert_eq!(stream.finish()?.status(), 403);
    assert!(proxy.http_calls().is_empty());
    Ok(())
}

#[test]
fn request_is_not_forwarded_without_a_response_of_both_services() -> Result<(), Error> {
    for second in [false, true] {
        for fail in [Proxy::fail_call, Proxy::reset_call] {
            let proxy = load()?;
            let stream = send(&proxy)?;
            if second {
                respond(&proxy, "/user", Reply::new(200).body("alice"))?;
            }
            fail(&proxy, proxy.http_calls()[0].id)?;
            assert_eq!(stream.upstream(), None);
            assert_eq!(stream.finish()?.status(), 503);
        }
    }
    let proxy = Options::new()
        .missing_cluster("upstream")
        .load(recipe("two_calls"))?
        .configure(CONFIGURATION)?;
    assert_eq!(proxy.request("GET", "/").respond(200)?.status(), 503);
    Ok(())
}

#[test]
fn incomplete_configuration_is_rejected() {
    let refusal = refusal("two_calls", r#"{"sessions": "upstream"}"#);
    assert!(refusal.contains("missing field `permissions`"), "{refusal}");
}

#[test]
fn calls_are_made_in_sequence_in_envoy() -> Result<()> {
    let envoy = envoy("two_calls", CONFIGURATION)?;
    let url = envoy.url("/echo/x-user");
    for (session, status, body) in [
        ("alice", 200, "alice"),
        ("bob", 403, "access denied\n"),
        ("", 403, "access denied\n"),
    ] {
        let response = http::get_with(&url, &[("x-session", session)])?;
        let observed = String::from_utf8_lossy(&response.body);
        assert_eq!((response.status, &*observed), (status, body), "{session}");
    }
    Ok(())
}
