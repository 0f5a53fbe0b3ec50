//! The callbacks in which host calls are made, and what makes a proxy call them.

use crate::messages::{Reply, Request};
use crate::module::{Module, call_headers, pairs};
use crate::scenario::{CALLER, ID, Scenario};

/// A callback. If plugins and streams both have it, it is two places.
#[derive(Clone, Copy)]
pub struct Place {
    pub name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// A callback of each stream with a body and trailers in both directions.
    Stream(&'static str),
    /// A callback that each plugin has, for the plugin (true) or for a stream.
    Context(&'static str, bool),
    Plugin(&'static str),
    Tick,
    CallResponse,
    QueueReady,
    /// A callback of a gRPC stream.
    Grpc(&'static str),
    /// Before the plugin exists: what the calls return is logged later.
    Initialize,
}

const fn place(name: &'static str, kind: Kind) -> Place {
    Place { name, kind }
}

pub const PLACES: [Place; 23] = [
    place("initialize", Kind::Initialize),
    place(
        "create_plugin",
        Kind::Context("proxy_on_context_create", true),
    ),
    place("vm_start", Kind::Plugin("proxy_on_vm_start")),
    place("configure", Kind::Plugin("proxy_on_configure")),
    place("tick", Kind::Tick),
    place(
        "create_stream",
        Kind::Context("proxy_on_context_create", false),
    ),
    place("request_headers", Kind::Stream("proxy_on_request_headers")),
    place("request_body", Kind::Stream("proxy_on_request_body")),
    place(
        "request_trailers",
        Kind::Stream("proxy_on_request_trailers"),
    ),
    place(
        "response_headers",
        Kind::Stream("proxy_on_response_headers"),
    ),
    place("response_body", Kind::Stream("proxy_on_response_body")),
    place(
        "response_trailers",
        Kind::Stream("proxy_on_response_trailers"),
    ),
    place("call_response", Kind::CallResponse),
    place("queue_ready", Kind::QueueReady),
    place(
        "grpc_initial_metadata",
        Kind::Grpc("proxy_on_grpc_receive_initial_metadata"),
    ),
    place("grpc_message", Kind::Grpc("proxy_on_grpc_receive")),
    place(
        "grpc_trailing_metadata",
        Kind::Grpc("proxy_on_grpc_receive_trailing_metadata"),
    ),
    place("grpc_close", Kind::Grpc("proxy_on_grpc_close")),
    place("log", Kind::Stream("proxy_on_log")),
    place("done_stream", Kind::Context("proxy_on_done", false)),
    place("delete_stream", Kind::Context("proxy_on_delete", false)),
    place("done_plugin", Kind::Context("proxy_on_done", true)),
    place("delete_plugin", Kind::Context("proxy_on_delete", true)),
];

impl Place {
    /// The places of these names.
    pub fn named(names: &[&str]) -> Vec<Self> {
        let places = PLACES.iter().filter(|place| names.contains(&place.name));
        places.copied().collect()
    }

    pub fn scenario(self, name: String, body: &str) -> Scenario {
        let module = self.module(body);
        let scenario = Scenario::new(name, &module.wat())
            .vm_configuration("vm configuration")
            .upstream(
                Reply::new(200)
                    .field("name", "response")
                    .body("response ")
                    .body("body")
                    .trailer("trailer", "response"),
            );
        let scenario = match self.kind {
            Kind::Tick => scenario.wait(10, "proxy_on_tick"),
            Kind::Grpc(_) => {
                let reply = Reply::grpc(&["message"], 0, "");
                let reply = reply.field("name", "initial").trailer("name", "trailing");
                scenario.grpc().service("/a.B/Stream", reply)
            }
            _ => scenario,
        };
        scenario.request(
            Request::post(&["request ", "body"])
                .field("name", "request")
                .trailer("trailer", "request"),
        )
    }

    fn module(self, body: &str) -> Module {
        let module = Module::new();
        match self.kind {
            Kind::Stream(callback) | Kind::Plugin(callback) => module.on(callback, body),
            Kind::Context("proxy_on_context_create", is_plugin) => {
                let parent = "(local.get $parent_context_id)";
                let condition = if is_plugin {
                    format!("(i32.eqz {parent})")
                } else {
                    parent.to_owned()
                };
                module.on(
                    "proxy_on_context_create",
                    &format!("(if {condition} (then {body}))"),
                )
            }
            // The plugin's context is the first.
            Kind::Context(callback, is_plugin) => {
                let compare = if is_plugin { "i32.eq" } else { "i32.ne" };
                let condition = format!("({compare} (local.get $context_id) (global.get $plugin))");
                module
                    .with("(global $plugin (mut i32) (i32.const 0))")
                    .on(
                        "proxy_on_configure",
                        "(global.set $plugin (local.get $plugin_context_id))",
                    )
                    .on(callback, &format!("(if {condition} (then {body}))"))
            }
            Kind::Tick => module
                .on(
                    "proxy_on_configure",
                    "(drop (call $proxy_set_tick_period_milliseconds #10))",
                )
                .on(
                    "proxy_on_tick",
                    &format!("(drop (call $proxy_set_tick_period_milliseconds #0)) {body}"),
                ),
            Kind::CallResponse => module
                .with("(global $stream (mut i32) (i32.const 0))")
                .with("(global $is_done (mut i32) (i32.const 0))")
                .on(
                    "proxy_on_request_headers",
                    &format!(
                        "(global.set $stream (local.get $stream_context_id))
                         (drop (call $proxy_http_call @\"service\" {} #0 #0 #0 #0 #5000 #0))
                         (return #1)",
                        call_headers("/")
                    ),
                )
                .on(
                    "proxy_on_http_call_response",
                    // The response to a call that the body makes is ignored.
                    &format!(
                        "(if (global.get $is_done) (then (return)))
                         (global.set $is_done #1)
                         {body}
                         (drop (call $proxy_set_effective_context (global.get $stream)))
                         (drop (call $proxy_continue_stream #0))"
                    ),
                ),
            Kind::QueueReady => module
                .with("(global $queue (mut i32) (i32.const 0))")
                .on(
                    "proxy_on_configure",
                    "(drop (call $proxy_register_shared_queue @\"queue\" #0))
                     (global.set $queue (i32.load #0))",
                )
                .on(
                    "proxy_on_request_headers",
                    "(drop (call $proxy_enqueue_shared_queue (global.get $queue) @\"item\"))",
                )
                .on("proxy_on_queue_ready", body),
            Kind::Grpc(callback) => module
                .on(
                    "proxy_on_request_headers",
                    &format!(
                        "(drop (call $proxy_grpc_stream @\"grpc\" @\"a.B\" @\"Stream\" @\"{}\" #8))
                         (drop (call $proxy_grpc_send (i32.load #8) @\"message\" #1))",
                        pairs(&[(CALLER, ID)])
                    ),
                )
                .on(callback, body),
            Kind::Initialize => {
                // Lines stay in the buffer until the plugin is configured.
                module
                    .on(
                        "_initialize",
                        &body.replace("(call $end_line)", "(call $text @\"\\n\")"),
                    )
                    .on("proxy_on_configure", "(call $end_line)")
            }
        }
    }
}
