use std::time::Duration;

use anyhow::Result;
use proxy_wasm_e2e::recipe;
use proxy_wasm_test::http;
use proxy_wasm_test::{Error, Options, Proxy};

use crate::{envoy, refusal};

fn configuration(path: &str, fail_open: bool) -> String {
    format!(
        r#"{{"cluster": "upstream", "authority": "check.example", "path": "{path}",
            "timeout_milliseconds": 200, "fail_open": {fail_open}}}"#
    )
}

fn load(fail_open: bool) -> Result<Proxy, Error> {
    Proxy::load(recipe("http_call"))?.configure(configuration("/check", fail_open))
}

#[test]
fn service_gets_the_token_of_the_client() -> Result<(), Error> {
    let proxy = load(false)?;
    let request = proxy.request("POST", "/items").header("authorization", "t");
    let stream = request.body("one item").send()?;
    assert!(stream.is_request_paused());
    assert_eq!(stream.upstream(), None);
    let call = &proxy.http_calls()[0];
    assert_eq!(call.cluster, "upstream");
    assert_eq!(call.timeout, Duration::from_millis(200));
    assert_eq!(call.headers.values(":path"), ["/check"]);
    assert_eq!(call.headers.values("authorization"), ["t"]);
    proxy.respond_to_call(call.id, 200)?;
    assert_eq!(stream.respond(201)?.status(), 201);
    Ok(())
}

#[test]
fn denied_request_is_not_forwarded() -> Result<(), Error> {
    for status in [401, 403] {
        let proxy = load(true)?;
        let stream = proxy.request("GET", "/").send()?;
        proxy.respond_to_call(proxy.http_calls()[0].id, status)?;
        assert_eq!(stream.upstream(), None);
        let response = stream.finish()?;
        assert!(response.is_local());
        assert_eq!(response.status(), 403);
        assert_eq!(response.body(), b"access denied\n");
    }
    Ok(())
}

#[test]
fn token_that_is_not_utf8_is_not_sent() -> Result<(), Error> {
    let proxy = load(false)?;
    let request = proxy.request("GET", "/").header("authorization", b"\xff");
    let _stream = request.send()?;
    assert!(
        proxy.http_calls()[0]
            .headers
            .first("authorization")
            .is_none()
    );
    Ok(())
}

/// A way in which a call can fail.
type Failure = fn(&Proxy) -> Result<(), Error>;

#[test]
fn configuration_decides_if_the_service_does_not_respond() -> Result<(), Error> {
    let failures: [Failure; 3] = [
        |proxy| proxy.fail_call(proxy.http_calls()[0].id),
        |proxy| proxy.respond_to_call(proxy.http_calls()[0].id, 500),
        |proxy| proxy.advance(Duration::from_millis(200)),
    ];
    for fail in failures {
        for fail_open in [false, true] {
            let proxy = load(fail_open)?;
            let stream = proxy.request("GET", "/").send()?;
            fail(&proxy)?;
            let status = stream.respond(200)?.status();
            assert_eq!(status, if fail_open { 200 } else { 503 });
        }
    }
    Ok(())
}

#[test]
fn unknown_cluster_is_like_no_response() -> Result<(), Error> {
    for fail_open in [false, true] {
        let options = Options::new().missing_cluster("upstream");
        let proxy = options.load(recipe("http_call"))?;
        let proxy = proxy.configure(configuration("/check", fail_open))?;
        let response = proxy.request("GET", "/").respond(200)?;
        assert_eq!(response.status(), if fail_open { 200 } else { 503 });
        assert_eq!(response.is_local(), !fail_open);
    }
    Ok(())
}

#[test]
fn invalid_configuration_is_rejected() {
    let refusal = refusal("http_call", r#"{"cluster": "upstream"}"#);
    assert!(refusal.contains("missing field `authority`"), "{refusal}");
}

#[test]
fn denied_request_is_not_forwarded_in_envoy() -> Result<()> {
    let checked = envoy("http_call", &configuration("/check", false))?;
    let url = checked.url("/");
    let good = http::get_with(&url, &[("authorization", "Bearer good")])?;
    assert_eq!((good.status, good.body.as_slice()), (200, &b"hello"[..]));
    let bad = http::get_with(&url, &[("authorization", "Bearer bad")])?;
    assert_eq!(bad.status, 403);
    assert_eq!(bad.body, b"access denied\n");
    Ok(())
}

#[test]
fn envoy_responds_with_504_after_a_timeout() -> Result<()> {
    for (fail_open, status) in [(false, 503), (true, 200)] {
        let late = envoy("http_call", &configuration("/silent", fail_open))?;
        assert_eq!(http::get(&late.url("/"))?.status, status);
        late.log_until("no response from upstream: 504")?;
    }
    Ok(())
}

#[test]
fn envoy_rejects_calls_to_an_unknown_cluster() -> Result<()> {
    let configuration = configuration("/check", false).replace("upstream", "nobody");
    let lost = envoy("http_call", &configuration)?;
    assert_eq!(http::get(&lost.url("/"))?.status, 503);
    lost.log_until("no response from nobody: BadArgument")?;
    Ok(())
}
