//! Cases, run with small modules in the embedded proxy and in Envoy.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use proxy_wasm_test::Module;
use proxy_wasm_test::cases::{self, CaseOutcome, Cases};
use serde_json::Value;

/// Appends `custom-header` to responses, with the configuration as its value.
const APPEND: &str = include_str!("append_header.wat");

/// Calls a gRPC service.
const GRPC: &str = include_str!("grpc_call.wat");

/// Writes cases to a file.
fn write(yaml: &str) -> Result<(tempfile::TempDir, PathBuf)> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("cases.yaml");
    fs::write(&path, yaml)?;
    Ok((directory, path))
}

/// Runs cases in the embedded proxy.
fn run(module: &str, yaml: &str) -> Result<Vec<CaseOutcome>> {
    let (_directory, path) = write(yaml)?;
    let mut outcomes = Vec::new();
    Cases::read(path)?.run_embedded(&Module::from(module), |outcome| outcomes.push(outcome))?;
    Ok(outcomes)
}

/// Runs one case in the embedded proxy, and returns what its report has.
fn report(module: &str, yaml: &str) -> Result<(bool, Value)> {
    let outcomes = run(module, yaml)?;
    ensure!(outcomes.len() == 1, "{} cases", outcomes.len());
    Ok((outcomes[0].has_passed(), outcomes[0].to_json()))
}

#[test]
fn case_passes_if_everything_that_it_mentions_is_as_expected() -> Result<()> {
    let yaml = "
- case: the header is appended after the upstream's
  configuration: {a: [1, 2], b: null}
  request: {method: POST, path: /a?b, headers: {x-a: [1, 2]}, body: [one, two], trailers: {x-t: 1}}
  upstream: {status: 201, headers: {custom-header: upstream}, body: [he, llo], trailers: {x-end: 1}}
  expect:
    response:
      status: 201
      headers: {Custom-Header: [upstream, '{\"a\":[1,2],\"b\":null}'], content-length: []}
      absent: x-other
      body: {matches: '^he.*o$'}
      trailers: {x-end: {contains: 1}}
      local: false
    upstream_request:
      method: POST
      path: /a?b
      headers: {host: localhost, ':authority': localhost, x-a: [1, {matches: '^2$'}]}
      body: onetwo
      trailers: {x-t: 1}
    forwarded: true
    reset: false
    host_calls: {proxy_add_header_map_value: 1, proxy_log: 0}
    fuel_at_most: 1000
";
    let (has_passed, report) = report(APPEND, yaml)?;
    assert!(has_passed, "{report:#}");
    Ok(())
}

#[test]
fn each_difference_is_a_failure_with_both_values() -> Result<()> {
    let yaml = "
- case: nothing is as expected
  configuration: x
  request: {path: /}
  upstream: {body: hello}
  expect:
    response: {status: 404, headers: {custom-header: [x, y], x-a: 1}, absent: custom-header, body: {json: 1}}
    upstream_request: {method: POST, path: {contains: a}, body: b}
    forwarded: false
    reset: true
    held: request
    log: a line
    metrics: {m: 1}
    host_calls: {proxy_log: 1}
    fuel_at_most: 1
";
    let (has_passed, report) = report(APPEND, yaml)?;
    assert!(!has_passed);
    let failures = report["failures"].as_array().expect("failures");
    let names: Vec<_> = failures
        .iter()
        .map(|failure| &failure["expectation"])
        .collect();
    assert_eq!(
        names,
        [
            "response.status",
            "response.headers.custom-header",
            "response.headers.x-a",
            "response.absent.custom-header",
            "response.body",
            "upstream_request.method",
            "upstream_request.path",
            "upstream_request.body",
            "forwarded",
            "reset",
            "held",
            "fuel_at_most",
            "log",
            "metrics.m",
            "host_calls.proxy_log",
        ]
    );
    assert_eq!(failures[0]["expected"], "404");
    assert_eq!(failures[0]["observed"], "200");
    assert_eq!(failures[1]["expected"], "[x, y]");
    assert_eq!(failures[1]["observed"], "[x]");
    Ok(())
}

#[test]
fn failure_is_shown_with_expected_and_observed_side_by_side_and_the_log() -> Result<()> {
    let yaml = "- {case: not so, request: {}, expect: {response: {status: 201}}}";
    let text = run(APPEND, yaml)?[0].to_string();
    assert!(
        text.starts_with("test not so (embedded) ... FAILED\n  "),
        "{text}"
    );
    assert!(text.contains("cases.yaml:1\n"), "{text}");
    let line = text.lines().find(|line| line.contains("expected: 201"));
    assert!(
        line.is_some_and(|line| line.ends_with("  observed: 200")),
        "{text}"
    );
    assert!(text.ends_with("the log is empty"), "{text}");
    Ok(())
}

#[test]
fn case_without_expectations_reports_what_was_observed() -> Result<()> {
    let yaml = "
- case: observed
  configuration: x
  request: {path: /a, trailers: {x-t: 1}}
  upstream: {body: hello}
";
    let (has_passed, mut report) = report(APPEND, yaml)?;
    assert!(has_passed);
    let fuel = report["observed"]["fuel"].take();
    assert!(fuel.as_u64().is_some_and(|fuel| fuel > 0), "{fuel}");
    assert_eq!(
        report["observed"],
        serde_json::json!({
            "accepted": true,
            "error": null,
            "responses": [{
                "status": 200,
                "headers": [["content-length", "5"], ["custom-header", "x"]],
                "body": "hello",
                "trailers": [],
            }],
            "upstream_requests": [{
                "method": "GET",
                "path": "/a",
                "headers": [["host", "localhost"]],
                "body": "",
                "trailers": [["x-t", "1"]],
            }],
            "log": [],
            "fuel": null,
        })
    );
    let keys: Vec<_> = report.as_object().expect("an object").keys().collect();
    let expected = [
        "case", "failures", "file", "line", "observed", "passed", "proxy", "skipped",
    ];
    assert_eq!(keys, expected);
    Ok(())
}

/// A module that rejects every configuration and logs `no`.
const REJECTING: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (func (export "proxy_abi_version_0_2_1"))
    (memory (export "memory") 1)
    (data (i32.const 8) "no")
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $log (i32.const 4) (i32.const 8) (i32.const 2)))
        (i32.const 0)))"#;

#[test]
fn rejected_configuration_is_a_failure_unless_it_is_expected() -> Result<()> {
    for (expect, has_passed) in [
        ("{rejected: no}", true),
        ("{rejected: 'n'}", true),
        ("{rejected: yes}", false),
        ("{}", false),
    ] {
        let yaml = format!("- {{case: a, configuration: x, expect: {expect}}}");
        assert_eq!(report(REJECTING, &yaml)?.0, has_passed, "{expect}");
    }
    let (has_passed, report) = report(REJECTING, "- {case: a, request: {}}")?;
    assert!(has_passed);
    assert_eq!(report["observed"]["accepted"], false);
    assert_eq!(report["observed"]["error"], "no");
    assert_eq!(report["observed"]["log"][0]["level"], "error");
    Ok(())
}

#[test]
fn accepted_configuration_is_a_failure_if_it_should_be_rejected() -> Result<()> {
    let (has_passed, _) = report(APPEND, "- {case: a, expect: {rejected: ''}}")?;
    assert!(!has_passed);
    Ok(())
}

#[test]
fn call_that_no_case_describes_is_reported_if_nothing_is_expected() -> Result<()> {
    let (has_passed, report) = report(GRPC, "- {case: a, request: {}}")?;
    assert!(has_passed);
    let error = report["observed"]["error"].to_string();
    assert!(error.contains("gRPC a.B/C to the cluster grpc"), "{error}");
    assert!(report["observed"]["responses"][0].is_null());
    Ok(())
}

#[test]
fn trap_is_a_failure_with_its_backtrace() -> Result<()> {
    let module = r#"(module
        (func (export "proxy_abi_version_0_2_1"))
        (memory (export "memory") 1)
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
        (func $broken (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (unreachable)))"#;
    let (has_passed, report) = report(module, "- {case: a, request: {}, expect: {}}")?;
    assert!(!has_passed);
    let error = report["observed"]["error"].to_string();
    assert!(
        error.contains("proxy_on_request_headers trapped"),
        "{error}"
    );
    assert!(error.contains("at broken"), "{error}");
    Ok(())
}

#[test]
fn proxy_responds_if_the_upstream_fails() -> Result<()> {
    let yaml = "
- case: failures
  configuration: x
  steps:
    - request: {path: /}
      upstream: {failure: unreachable}
      expect: {response: {status: 503, headers: {custom-header: x}, local: true}}
    - request: {path: /}
      upstream: {status: 200, body: cut off, failure: reset}
      expect: {reset: true}
";
    let (has_passed, report) = report(APPEND, yaml)?;
    assert!(has_passed, "{report:#}");
    Ok(())
}

/// The cases of a gRPC service.
const GRPC_CASES: &str = "
- case: the service responds
  request: {path: /}
  grpc_calls:
    - cluster: grpc
      expect: {service: a.B, method: C, message: question}
      response: {message: answer, delay: 10ms}
  expect: {response: {status: 200}, log: {level: info, message: {matches: '^answer$'}}}

- case: the service fails
  request: {path: /}
  grpc_calls: [{cluster: grpc, response: {status: 7, status_message: denied}}]
  expect: {response: {status: 200}, log: {level: warn, message: failed}}

- case: the service is late
  request: {path: /}
  grpc_calls: [{cluster: grpc, response: {timeout: true}}]
  expect: {response: {status: 200}, log: failed}
";

#[test]
fn service_responds_to_grpc_calls() -> Result<()> {
    for outcome in run(GRPC, GRPC_CASES)? {
        assert!(outcome.has_passed(), "{outcome}");
    }
    Ok(())
}

#[test]
fn call_that_no_case_describes_is_a_failure_and_so_is_a_call_that_is_not_made() -> Result<()> {
    let text = run(GRPC, "- {case: a, request: {}, expect: {held: request}}")?[0].to_string();
    assert!(text.contains("another call: gRPC a.B/C"), "{text}");
    let yaml = "- {case: a, request: {}, calls: [{cluster: nobody}], expect: {}}";
    let text = run(APPEND, yaml)?[0].to_string();
    assert!(text.contains("a call to the cluster nobody"), "{text}");
    Ok(())
}

#[test]
fn test_of_cases_fails_with_the_report() -> Result<()> {
    let (_directory, path) = write("- {case: not so, request: {}, expect: {forwarded: false}}")?;
    let failed = cases::check(&Module::from(APPEND), &path).expect_err("a failure");
    let text = format!("{failed:?}");
    assert!(text.contains("0 passed; 1 failed"), "{text}");
    assert!(text.contains("test not so (embedded) ... FAILED"), "{text}");
    let (_directory, path) = write("# nothing\n")?;
    let failed = cases::check(&Module::from(APPEND), &path).expect_err("no case");
    assert!(format!("{failed:?}").contains("there is no case"));
    Ok(())
}

#[cfg(feature = "envoy")]
mod in_envoy {
    use proxy_wasm_test::cases::Recorder;
    use proxy_wasm_test::envoy::{Configuration, Envoy};
    use proxy_wasm_test::{Reply, Upstream, http};

    use super::*;

    /// Runs cases in Envoy.
    fn run(module: &str, yaml: &str) -> Result<Vec<CaseOutcome>> {
        let (directory, path) = write(yaml)?;
        let wasm = directory.path().join("module.wasm");
        fs::write(&wasm, wat::parse_str(module)?)?;
        let mut outcomes = Vec::new();
        Cases::read(path)?.run_in_envoy(&wasm, |outcome| outcomes.push(outcome))?;
        Ok(outcomes)
    }

    #[test]
    fn service_responds_to_grpc_calls_in_envoy() -> Result<()> {
        for outcome in run(GRPC, GRPC_CASES)? {
            assert!(outcome.has_passed(), "{outcome}");
        }
        Ok(())
    }

    #[test]
    fn expectation_that_envoy_cannot_check_is_skipped_with_the_reason() -> Result<()> {
        let outcomes = run(
            APPEND,
            "
- {case: a, request: {}, expect: {response: {local: false}, host_calls: {proxy_log: 1}, fuel_at_most: 1}}
- {case: b, request: {}, properties: {source.address: 10.0.0.1}, expect: {forwarded: false}}
",
        )?;
        let skipped = |outcome: &CaseOutcome| {
            let report = outcome.to_json();
            let skipped = report["skipped"].as_array().cloned().unwrap_or_default();
            let names = skipped
                .iter()
                .map(|skipped| skipped["expectation"].to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert!(outcomes.iter().all(CaseOutcome::has_passed));
        let expected = "\"response.local\" \"fuel_at_most\" \"host_calls.proxy_log\"";
        assert_eq!(skipped(&outcomes[0]), expected);
        assert_eq!(skipped(&outcomes[1]), "\"the case\"");
        let reason = outcomes[1].skip_reason();
        assert_eq!(reason, Some("Envoy sets the properties itself"));
        Ok(())
    }

    #[test]
    fn upstream_that_cuts_off_its_response_resets_the_client_in_envoy() -> Result<()> {
        let outcomes = run(
            APPEND,
            "
- case: a response that is cut off
  request: {path: /}
  upstream: {status: 200, body: cut off, failure: reset}
  expect: {reset: true, upstream_request: {path: /}}
",
        )?;
        assert!(outcomes[0].has_passed(), "{}", outcomes[0]);
        Ok(())
    }

    #[test]
    fn configuration_that_envoy_rejects_has_the_log_of_the_extension() -> Result<()> {
        let outcomes = run(
            REJECTING,
            "
- {case: a, configuration: x, expect: {rejected: {matches: '^no$'}, log: {level: error, message: 'no'}}}
- {case: b, configuration: x, expect: {}}
",
        )?;
        assert!(outcomes[0].has_passed(), "{}", outcomes[0]);
        assert!(!outcomes[1].has_passed());
        assert_eq!(outcomes[1].to_json()["observed"]["accepted"], false);
        Ok(())
    }

    #[test]
    fn recorded_requests_are_cases_without_secrets_that_pass_in_both_proxies() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("recorded.yaml");
        let wasm = directory.path().join("module.wasm");
        fs::write(&wasm, wat::parse_str(APPEND)?)?;
        let service = Upstream::start(|request| {
            let token = request.headers.first("authorization").unwrap_or_default();
            Reply::new(201)
                .header("set-cookie", "session=from-the-service; Path=/")
                .header("x-number", "1")
                .body([b"hello ", token].concat())
        })?;
        let address = service.address();
        let upstream = (address.ip().to_string(), address.port());
        let recorder = Recorder::start(0, upstream, &file)?;
        let configuration = "a: \"configuration\"";
        recorder.propose_configuration(Some(configuration.to_owned()));
        recorder.accept_configuration();
        let configuration = Configuration::Text(configuration.to_owned());
        let envoy = Envoy::start(&wasm, &configuration, recorder.upstream_address())?;
        let envoy_address = envoy.url("").trim_start_matches("http://").parse()?;
        recorder.set_proxy(envoy_address);

        let url = format!("http://{}", recorder.client_address());
        let secrets = [
            ("authorization", "Bearer opensesame"),
            ("cookie", "a=of-the-client"),
        ];
        let response = http::get_with(&format!("{url}/items?a=b"), &secrets)?;
        assert_eq!(response.status, 201);
        assert_eq!(response.body, b"hello Bearer opensesame");
        http::post(&format!("{url}/"), b"{\"a\": \xff}")?;
        http::head(&format!("{url}/"))?;
        let direct = http::get(&format!("{url}/direct"))?;
        assert_eq!(direct.status, 403);

        let text = fs::read_to_string(&file)?;
        for secret in ["opensesame", "of-the-client", "from-the-service"] {
            assert!(!text.contains(secret), "{text}");
        }
        let cases = Cases::read(&file)?;
        let mut outcomes = Vec::new();
        let module = Module::from(fs::read(&wasm)?);
        cases.run_embedded(&module, |outcome| outcomes.push(outcome))?;
        cases.run_in_envoy(&wasm, |outcome| outcomes.push(outcome))?;
        assert_eq!(outcomes.len(), 8);
        // The proxies of cases have no route of their own to respond to `/direct`.
        for outcome in outcomes
            .iter()
            .filter(|outcome| !outcome.case().contains("/direct"))
        {
            assert!(outcome.has_passed(), "{outcome}\n{text}");
        }
        Ok(())
    }

    #[test]
    fn response_before_the_request_is_complete_is_received_in_envoy() -> Result<()> {
        // Responds with 403 as soon as the headers have arrived.
        let module = r#"(module
            (import "env" "proxy_send_local_response"
                (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (func (export "proxy_abi_version_0_2_1"))
            (memory (export "memory") 1)
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (drop (call $respond (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
                (i32.const 1)))"#;
        let yaml = "
- case: a local response
  request: {method: POST, path: /, body: [one, two, three]}
  expect: {response: {status: 403, local: true}, forwarded: false}
";
        let mut outcomes = run(module, yaml)?;
        outcomes.extend(super::run(module, yaml)?);
        for outcome in outcomes {
            assert!(outcome.has_passed(), "{outcome}");
        }
        Ok(())
    }
}
