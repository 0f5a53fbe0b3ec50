//! Connections that end in different ways, and what typical filters of TCP do.

use crate::module::{Module, Out, call_headers, probe};
use crate::scenario::Scenario;
use crate::tcp::Side::{Client, Upstream};

pub fn scenarios() -> Vec<Scenario> {
    let traced = Module::new();
    let of = |name: &str| Scenario::tcp(name, &traced.wat());
    vec![
        of("tcp.client_ends_first")
            .connect()
            .send(Client, "one")
            .send(Client, "two")
            .send(Upstream, "three")
            .end(Client)
            .send(Upstream, "four")
            .end(Upstream),
        of("tcp.upstream_ends_first")
            .connect()
            .send(Client, "one")
            .end(Upstream)
            .send(Client, "two")
            .end(Client),
        of("tcp.upstream_speaks_first")
            .connect()
            .send(Upstream, "hello")
            .send(Client, "one")
            .end(Client)
            .end(Upstream),
        of("tcp.client_stays").connect().send(Client, "one"),
        of("tcp.nothing_is_sent")
            .connect()
            .end(Client)
            .end(Upstream),
        of("tcp.client_resets")
            .connect()
            .send(Client, "one")
            .reset(Client),
        of("tcp.client_resets_at_once").connect().reset(Client),
        of("tcp.upstream_resets")
            .connect()
            .send(Client, "one")
            .reset(Upstream),
        of("tcp.client_ends_and_resets")
            .connect()
            .send(Client, "one")
            .end(Client)
            .reset(Client),
        of("tcp.client_ends_and_resets_and_upstream_sends")
            .connect()
            .end(Client)
            .reset(Client)
            .send(Upstream, "one")
            .send(Upstream, "two"),
        of("tcp.upstream_ends_and_resets")
            .connect()
            .end(Upstream)
            .reset(Upstream),
        of("tcp.upstream_ends_and_resets_and_client_sends")
            .connect()
            .end(Upstream)
            .reset(Upstream)
            .send(Client, "one")
            .send(Client, "two"),
        of("tcp.client_ends_and_upstream_resets")
            .connect()
            .end(Client)
            .reset(Upstream),
        of("tcp.upstream_ends_and_client_resets")
            .connect()
            .end(Upstream)
            .reset(Client),
        of("tcp.two_connections")
            .connect()
            .send(Client, "one")
            .connect()
            .send(Client, "two")
            .end(Client)
            .end(Upstream),
        Scenario::tcp("tcp.without_callbacks", &Module::quiet().wat())
            .connect()
            .send(Client, "one")
            .send(Upstream, "two")
            .end(Client)
            .end(Upstream),
        Scenario::tcp(
            "tcp.client_resets_while_connection_is_held",
            &Module::new()
                .with("(global $stream (mut i32) #0)")
                .on(
                    "proxy_on_new_connection",
                    "(global.set $stream (local.get $stream_context_id))
                     (drop (call $proxy_set_tick_period_milliseconds #100)) (return #1)",
                )
                .on(
                    "proxy_on_tick",
                    "(drop (call $proxy_set_tick_period_milliseconds #0))
                     (drop (call $proxy_set_effective_context (global.get $stream)))
                     (drop (call $proxy_continue_stream #2))",
                )
                .wat(),
        )
        .connect()
        .reset(Client)
        .wait(100, "proxy_on_tick"),
        whole(Scenario::tcp(
            "tcp.extension_chooses_the_cluster",
            &routing().wat(),
        )),
        whole(Scenario::tcp(
            "tcp.http_call_holds_connection",
            &calling("proxy_on_new_connection").wat(),
        )),
        whole(Scenario::tcp(
            "tcp.http_call_holds_data",
            &calling("proxy_on_downstream_data").wat(),
        )),
    ]
}

fn whole(scenario: Scenario) -> Scenario {
    scenario
        .connect()
        .send(Client, "one")
        .send(Upstream, "two")
        .send(Client, "three")
        .end(Client)
        .send(Upstream, "four")
        .end(Upstream)
}

/// Holds what arrives until the response to an HTTP call arrives.
fn calling(callback: &str) -> Module {
    let headers = call_headers("/");
    Module::new()
        .with("(global $stream (mut i32) #0) (global $is_done (mut i32) #0)")
        .on(
            callback,
            &format!(
                "(if (global.get $is_done) (then (return #0)))
                 (if (i32.eqz (global.get $stream)) (then
                   (global.set $stream (local.get $stream_context_id))
                   {}))
                 (return #1)",
                probe(
                    &format!("$proxy_http_call @\"service\" {headers} #0 #0 #0 #0 #5000 #0"),
                    &[]
                )
            ),
        )
        .on(
            "proxy_on_http_call_response",
            &[
                "(global.set $is_done #1)".to_owned(),
                probe("$proxy_set_effective_context (global.get $stream)", &[]),
                probe(
                    "$proxy_get_buffer_bytes #2 #0 #100 @out",
                    &[Out::Bytes(0, 4)],
                ),
                probe("$proxy_continue_stream #2", &[]),
            ]
            .concat(),
        )
}

/// Chooses the cluster of a connection.
fn routing() -> Module {
    // The fields 1 and 2 of the message, and their lengths.
    let arguments = "\n\u{17}envoy.tcp_proxy.cluster\u{12}\u{3}tcp";
    Module::new()
        .on(
            "proxy_on_new_connection",
            &probe(
                &format!(
                    "$proxy_call_foreign_function @\"set_envoy_filter_state\" @\"{arguments}\" #0 #0"
                ),
                &[],
            ),
        )
        .on(
            "proxy_on_downstream_data",
            &probe(
                "$proxy_get_property @\"xds\\0cluster_name\" @out",
                &[Out::Bytes(0, 4)],
            ),
        )
}
