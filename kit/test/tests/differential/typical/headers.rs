//! Extensions that change headers and trailers.

use crate::messages::{Reply, Request};
use crate::module::{Module, Out, pairs, probe};
use crate::scenario::Scenario;

pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![
        get(
            "headers.append_to_response",
            on_response("$proxy_add_header_map_value #2 @\"x-new\" @\"value\""),
        ),
        get(
            "headers.replace_in_response",
            on_response("$proxy_replace_header_map_value #2 @\"content-type\" @\"a/b\""),
        ),
        get(
            "headers.remove_from_response",
            on_response("$proxy_remove_header_map_value #2 @\"content-type\""),
        ),
        get(
            "headers.status",
            on_response("$proxy_replace_header_map_value #2 @\":status\" @\"418\""),
        ),
        get(
            "headers.no_status",
            on_response("$proxy_remove_header_map_value #2 @\":status\""),
        ),
        get(
            "headers.invalid_status",
            on_response("$proxy_replace_header_map_value #2 @\":status\" @\"abc\""),
        ),
        get(
            "headers.empty_response",
            on_response("$proxy_set_header_map_pairs #2 #0 #0"),
        ),
        get(
            "headers.cookies",
            on_response("$proxy_add_header_map_value #2 @\"set-cookie\" @\"a=1\"")
                .on(
                    "proxy_on_response_headers",
                    &say("$proxy_add_header_map_value #2 @\"set-cookie\" @\"b=2\""),
                )
                .on("proxy_on_response_headers", &show(2)),
        ),
        get(
            "headers.server",
            on_response("$proxy_add_header_map_value #2 @\"server\" @\"own\""),
        )
        .unfiltered(),
        get(
            "headers.append_to_request",
            on_request("$proxy_add_header_map_value #0 @\"X-New\" @\"Value\""),
        ),
        get(
            "headers.rewrite",
            on_request("$proxy_replace_header_map_value #0 @\":path\" @\"/new?a=b\"")
                .on(
                    "proxy_on_request_headers",
                    &say("$proxy_replace_header_map_value #0 @\":authority\" @\"new\""),
                )
                .on(
                    "proxy_on_request_headers",
                    &say("$proxy_replace_header_map_value #0 @\":method\" @\"PUT\""),
                ),
        ),
        get(
            "headers.no_path",
            on_request("$proxy_remove_header_map_value #0 @\":path\""),
        ),
        get(
            "headers.no_method",
            on_request("$proxy_remove_header_map_value #0 @\":method\""),
        ),
        get(
            "headers.no_authority",
            on_request("$proxy_remove_header_map_value #0 @\":authority\""),
        ),
        get(
            "headers.empty_request",
            on_request("$proxy_set_header_map_pairs #0 #0 #0"),
        ),
        get(
            "headers.all_of_request",
            on_request(&format!(
                "$proxy_set_header_map_pairs #0 @\"{}\"",
                pairs(&[
                    (":method", "GET"),
                    (":path", "/"),
                    (":authority", "a"),
                    (":scheme", "http"),
                    ("z", "1"),
                    ("y", "2"),
                    ("z", "3")
                ])
            )),
        ),
        get(
            "headers.not_ascii",
            on_response("$proxy_add_header_map_value #2 @\"x-new\" @\"\u{e9}\u{1f600}\""),
        ),
        get(
            "headers.line_break",
            on_response("$proxy_add_header_map_value #2 @\"x-new\" @\"a\\nb: c\""),
        ),
        get(
            "headers.order",
            Module::new()
                .on("proxy_on_request_headers", &show(0))
                .on("proxy_on_response_headers", &show(2)),
        ),
    ];
    // Envoy keeps only one field of some names.
    for (name, map) in [
        ("x-other", 0),
        ("x-forwarded-host", 0),
        ("accept", 0),
        ("content-type", 2),
        ("cache-control", 2),
        ("vary", 2),
        ("x-other", 2),
    ] {
        let callback = ["proxy_on_request_headers", "", "proxy_on_response_headers"][map];
        let add = |value: u8| {
            say(&format!(
                "$proxy_add_header_map_value #{map} @\"{name}\" @\"{value}\""
            ))
        };
        let get_value = probe(
            &format!("$proxy_get_header_map_value #{map} @\"{name}\" @out"),
            &[Out::Bytes(0, 4)],
        );
        let replace = say(&format!(
            "$proxy_replace_header_map_value #{map} @\"{name}\" @\"3\""
        ));
        let module = Module::new()
            .on(callback, &(add(1) + &add(2) + &get_value))
            .on(callback, &show(map));
        scenarios.push(get(&format!("headers.twice.{name}.{map}"), module.clone()));
        let module = module.on(callback, &(replace + &get_value + &show(map)));
        scenarios.push(get(&format!("headers.replace_two.{name}.{map}"), module));
    }
    scenarios.extend(trailers());
    scenarios
}

fn trailers() -> Vec<Scenario> {
    let with_trailers = |name: &str, module: Module| {
        Scenario::new(name, &module.wat())
            .upstream(Reply::hello().trailer("trailer", "response"))
            .request(Request::post(&["request"]).trailer("trailer", "request"))
    };
    let without = |name: &str, module: Module| {
        let scenario = Scenario::new(name, &module.wat());
        scenario.request(Request::post(&["request"]))
    };
    let change = |map: u8| {
        say(&format!(
            "$proxy_add_header_map_value #{map} @\"x-new\" @\"value\""
        )) + &say(&format!(
            "$proxy_remove_header_map_value #{map} @\"trailer\""
        )) + &show(map.into())
    };
    let at_end = |map: u8| format!("(if (local.get $end_of_stream) (then {}))", change(map));
    vec![
        with_trailers(
            "trailers.change",
            Module::new()
                .on("proxy_on_request_trailers", &change(1))
                .on("proxy_on_response_trailers", &change(3)),
        ),
        with_trailers(
            "trailers.remove_all",
            Module::new()
                .on(
                    "proxy_on_request_trailers",
                    &say("$proxy_remove_header_map_value #1 @\"trailer\""),
                )
                .on(
                    "proxy_on_response_trailers",
                    &say("$proxy_remove_header_map_value #3 @\"trailer\""),
                ),
        ),
        without(
            "trailers.add_to_request",
            Module::new().on("proxy_on_request_body", &at_end(1)),
        ),
        without(
            "trailers.add_to_response",
            Module::new().on("proxy_on_response_body", &at_end(3)),
        ),
        without(
            "trailers.set",
            Module::new().on(
                "proxy_on_response_body",
                &format!(
                    "(if (local.get $end_of_stream) (then {}))",
                    say(&format!(
                        "$proxy_set_header_map_pairs #3 @\"{}\"",
                        pairs(&[("a", "1"), ("b", "2")])
                    ))
                ),
            ),
        ),
        get(
            "trailers.none",
            Module::new()
                .on(
                    "proxy_on_request_headers",
                    &say("$proxy_add_header_map_value #1 @\"x-new\" @\"value\""),
                )
                .on(
                    "proxy_on_response_headers",
                    &say("$proxy_add_header_map_value #3 @\"x-new\" @\"value\""),
                ),
        ),
    ]
}

fn get(name: &str, module: Module) -> Scenario {
    Scenario::new(name, &module.wat()).request(Request::get().field("x-old", "1"))
}

fn on_request(call: &str) -> Module {
    Module::new().on("proxy_on_request_headers", &say(call))
}

fn on_response(call: &str) -> Module {
    Module::new().on("proxy_on_response_headers", &say(call))
}

fn say(call: &str) -> String {
    probe(call, &[])
}

fn show(map: usize) -> String {
    probe(
        &format!("$proxy_get_header_map_pairs #{map} @out"),
        &[Out::Bytes(0, 4)],
    )
}
