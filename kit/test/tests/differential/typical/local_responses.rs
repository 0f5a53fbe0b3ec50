//! Extensions that respond themselves.

use crate::messages::{Reply, Request};
use crate::module::{Module, pairs, probe};
use crate::scenario::Scenario;

const CALLBACKS: [&str; 6] = [
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
];

pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for callback in CALLBACKS {
        let place = callback.trim_start_matches("proxy_on_");
        for action in [0, 1] {
            let module = Module::new().on(callback, &format!("{} (return #{action})", denied()));
            let name = |kind: &str| format!("local.{kind}.{place}.{action}");
            let upstream = Reply::hello().trailer("trailer", "response");
            let request = |method: &str| Request::new(method, "/");
            let post = Request::post(&["request"]).trailer("trailer", "request");
            for (kind, request) in [
                ("get", request("GET")),
                ("head", request("HEAD")),
                ("post", post.clone()),
                ("grpc", post.field("content-type", "application/grpc")),
            ] {
                let scenario = Scenario::new(name(kind), &module.wat());
                scenarios.push(scenario.upstream(upstream.clone()).request(request));
            }
        }
    }
    for (status, grpc_status) in [
        (200, -1),
        (200, 0),
        (400, -1),
        (401, -1),
        (404, -1),
        (429, -1),
        (500, -1),
        (503, -1),
        (403, 5),
        (403, 17),
        (999, -1),
    ] {
        let send = probe(
            &format!(
                "$proxy_send_local_response #{status} @\"details\" @\"a %20\\n text\" #0 #0 #{grpc_status}"
            ),
            &[],
        );
        let module = Module::new().on("proxy_on_request_headers", &(send + "(return #1)"));
        scenarios.push(
            Scenario::new(format!("local.grpc.{status}.{grpc_status}"), &module.wat())
                .request(Request::post(&["x"]).field("content-type", "application/grpc+proto")),
        );
    }
    let redirect = probe(
        &format!(
            "$proxy_send_local_response #302 @\"\" @\"\" @\"{}\" #-1",
            pairs(&[
                ("location", "https://example.com/"),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2")
            ])
        ),
        &[],
    );
    let on_request = |body: &str| Module::new().on("proxy_on_request_headers", body);
    let get =
        |name: &str, module: Module| Scenario::new(name, &module.wat()).request(Request::get());
    scenarios.extend([
        get("local.redirect", on_request(&(redirect + "(return #1)"))),
        get(
            "local.two",
            on_request(
                &(denied()
                    + &probe(
                        "$proxy_send_local_response #500 @\"\" @\"second\" #0 #0 #-1",
                        &[],
                    )
                    + "(return #1)"),
            ),
        ),
        get(
            "local.and_continue",
            on_request(&(denied() + &probe("$proxy_continue_stream #0", &[]) + "(return #1)")),
        ),
        get(
            "local.and_close",
            on_request(&(denied() + &probe("$proxy_close_stream #0", &[]) + "(return #1)")),
        ),
        get(
            "local.changed_on_the_way",
            on_request(&(denied() + "(return #1)")).on(
                "proxy_on_response_headers",
                &probe(
                    "$proxy_replace_header_map_value #2 @\":status\" @\"418\"",
                    &[],
                ),
            ),
        ),
        get(
            "local.in_both_directions",
            on_request(&(denied() + "(return #1)"))
                .on("proxy_on_response_headers", &(denied() + "(return #1)")),
        ),
        get(
            "local.held_on_the_way",
            on_request(&(denied() + "(return #1)")).on("proxy_on_response_headers", "(return #1)"),
        ),
        get(
            "local.body_changed",
            on_request(&(denied() + "(return #1)")).on(
                "proxy_on_response_body",
                &probe("$proxy_set_buffer_bytes #1 #0 #-1 @\"DENIED\"", &[]),
            ),
        ),
    ]);
    scenarios
}

fn denied() -> String {
    probe(
        "$proxy_send_local_response #403 @\"details\" @\"denied\" #0 #0 #-1",
        &[],
    )
}
