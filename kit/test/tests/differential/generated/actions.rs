//! What callbacks return, and streams that an extension continues later.

use crate::messages::{Reply, Request};
use crate::module::{Module, call_headers};
use crate::scenario::Scenario;

use super::groups::STREAM;

pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for place in STREAM {
        let callback = format!("proxy_on_{place}");
        for action in [1, 2, 3, 4, 100, -1] {
            let module = Module::new().on(&callback, &format!("(return #{action})"));
            let name = format!("return.{place}.{action}");
            scenarios.push(whole(Scenario::new(&name, &module.wat())));
            let stops = Scenario::new(format!("{name}.stop"), &module.wat());
            scenarios.push(whole(stops.stops_iteration()));
            // The same, without trailers.
            let short = Scenario::new(format!("{name}.short"), &module.wat());
            if !place.ends_with("trailers") {
                scenarios.push(short.request(Request::post(&["request ", "body"])));
            }
        }
        scenarios.extend(continued_later(place));
        scenarios.extend(continued_at_once(place));
    }
    for (place, callback) in [
        ("vm_start", "proxy_on_vm_start"),
        ("configure", "proxy_on_configure"),
        ("done", "proxy_on_done"),
    ] {
        for result in [0, 2, -1] {
            let module = Module::new().on(callback, &format!("(return #{result})"));
            let name = format!("return.{place}.{result}");
            scenarios.push(whole(Scenario::new(name, &module.wat())));
        }
    }
    scenarios
}

/// A callback that continues the message that it is called for.
fn continued_at_once(place: &str) -> Vec<Scenario> {
    let stream = i32::from(place.starts_with("response"));
    let mut scenarios = Vec::new();
    for action in [0, 1] {
        let body = format!("(drop (call $proxy_continue_stream #{stream})) (return #{action})");
        let module = Module::new().on(&format!("proxy_on_{place}"), &body);
        let name = format!("at_once.{place}.{action}");
        if place.ends_with("trailers") {
            scenarios.push(whole(Scenario::new(&name, &module.wat())));
            continue;
        }
        let post = Scenario::new(format!("{name}.post"), &module.wat());
        scenarios.push(post.request(Request::post(&["request ", "body"])));
        let get = Scenario::new(format!("{name}.get"), &module.wat());
        scenarios.push(get.request(Request::get()));
        let short = Scenario::new(format!("{name}.short"), &module.wat());
        scenarios.push(short.upstream(Reply::new(204)).request(Request::get()));
    }
    scenarios
}

/// A callback that holds the stream until the response to an HTTP call arrives.
fn continued_later(place: &str) -> Vec<Scenario> {
    let stream = i32::from(place.starts_with("response"));
    let calls = format!(
        "(global.set $stream (local.get $stream_context_id))
         (if (i32.eqz (global.get $has_called)) (then
           (global.set $has_called #1)
           (drop (call $proxy_http_call @\"service\" {} #0 #0 #0 #0 #5000 #0))))",
        call_headers("/")
    );
    let mut scenarios = Vec::new();
    for action in [0, 1, 2, 3] {
        let module = Module::new()
            .with("(global $stream (mut i32) (i32.const 0))")
            .with("(global $has_called (mut i32) (i32.const 0))")
            .on(
                &format!("proxy_on_{place}"),
                &format!("{calls} (return #{action})"),
            )
            .on(
                "proxy_on_http_call_response",
                &format!(
                    "(drop (call $proxy_set_effective_context (global.get $stream)))
                     (drop (call $proxy_continue_stream #{stream}))"
                ),
            );
        let name = format!("later.{place}.{action}");
        let scenario = Scenario::new(&name, &module.wat());
        scenarios.push(whole(scenario.clone()));
        let stops = Scenario::new(format!("{name}.stop"), &module.wat());
        scenarios.push(whole(stops.stops_iteration()));
    }
    scenarios
}

/// Body and trailers in both directions.
fn whole(scenario: Scenario) -> Scenario {
    scenario
        .upstream(
            Reply::new(200)
                .field("name", "response")
                .body("response ")
                .body("body")
                .trailer("trailer", "response"),
        )
        .request(
            Request::post(&["request ", "body"])
                .field("name", "request")
                .trailer("trailer", "request"),
        )
}
