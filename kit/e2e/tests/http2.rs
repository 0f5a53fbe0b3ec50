//! Responses over HTTP/2, which the client of `proxy_wasm_test` does not support.

use anyhow::{Context, Result};
use proxy_wasm_e2e::{LARGE, module_path, run, start_upstream};
use proxy_wasm_test::envoy::{Configuration, Envoy};

/// The status line and the headers of the response, and the length of its body.
fn get(url: &str) -> Result<(String, usize)> {
    let arguments = [
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--http2-prior-knowledge",
        "--output",
        "/dev/null",
        "--dump-header",
        "-",
        "--write-out",
        "%{size_download}",
        url,
    ];
    let output = run("curl", &arguments)?;
    let (head, length) = output.rsplit_once('\n').context("no head")?;
    Ok((head.to_owned(), length.parse()?))
}

#[test]
#[cfg_attr(missing_curl, ignore = "needs curl: install it")]
fn every_kind_of_response_has_the_header() -> Result<()> {
    let configuration = Configuration::Text("test".to_owned());
    let envoy = Envoy::start(&module_path(), &configuration, start_upstream()?)?;
    for (path, status, length) in [
        ("/direct", 403, "direct".len()),
        ("/status/204", 204, 0),
        ("/status/404", 404, 0),
        ("/status/500", 500, 0),
        ("/large", 200, LARGE),
        ("/streamed", 200, 10 * "part 0\n".len()),
    ] {
        let (head, received) = get(&envoy.url(path))?;
        assert!(head.starts_with(&format!("HTTP/2 {status}")), "{head}");
        let lines = head.lines();
        let values: Vec<_> = lines
            .filter_map(|line| line.strip_prefix("custom-header: "))
            .collect();
        assert_eq!(values, ["test"], "{path}");
        assert_eq!(received, length, "{path}");
    }
    Ok(())
}
