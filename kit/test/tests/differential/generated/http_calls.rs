//! HTTP calls.

use crate::module::{call_headers, pairs};
use crate::scenario::ID;

use super::groups::{BAD, Group, changing};

pub fn groups() -> Vec<Group> {
    let text = |text: &str| format!("@\"{text}\"");
    let good = call_headers("/call");
    let more = text(&pairs(&[
        (":method", "POST"),
        (":path", "/call"),
        (":authority", ID),
        ("a", "1"),
        ("A", "2"),
        ("content-length", "1"),
    ]));
    let without = |name: &str| {
        let all = [(":method", "GET"), (":path", "/call"), (":authority", ID)];
        let fields: Vec<_> = all
            .into_iter()
            .filter(|(other, _)| *other != name)
            .collect();
        text(&pairs(&fields))
    };
    let http_calls = vec![
        format!("@\"service\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"service\" {more} @\"body\" #0 #0 #5000 #8"),
        format!(
            "@\"service\" {good} @\"body\" @\"{}\" #5000 #8",
            pairs(&[("trailer", "call")])
        ),
        format!(
            "@\"service\" {good} @\"\" @\"{}\" #5000 #8",
            pairs(&[("trailer", "call")])
        ),
        format!("@\"missing\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"dead\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"empty\" {good} @\"\" #0 #0 #5000 #8"),
        format!("@\"service\" {} @\"\" #0 #0 #5000 #8", without(":method")),
        format!("@\"service\" {} @\"\" #0 #0 #5000 #8", without(":path")),
        format!(
            "@\"service\" {} @\"\" #0 #0 #5000 #8",
            without(":authority")
        ),
        "@\"service\" #0 #0 @\"\" #0 #0 #5000 #8".to_owned(),
        format!("@\"service\" {good} @\"\" #0 #0 #0 #8"),
        format!("@\"service\" {good} @\"\" #0 #0 #0x7fffffff #8"),
        format!("@\"service\" {good} @\"\" #0 #0 #0x80000000 #8"),
        format!("@\"service\" {good} @\"\" #0 #0 #-1 #8"),
        format!("@\"service\" {good} @\"\" #0 #0 #5000 {BAD}"),
        format!("@\"service\" {good} #0x7fffffff #1 #0 #0 #5000 #8"),
        "@\"service\" @\"abc\" @\"\" #0 #0 #5000 #8".to_owned(),
        format!("#0x7fffffff #1 {good} @\"\" #0 #0 #5000 #8"),
    ];
    let elsewhere = [
        "create_plugin",
        "vm_start",
        "configure",
        "create_stream",
        "request_body",
        "response_headers",
        "response_trailers",
        "call_response",
        "queue_ready",
        "log",
        "done_stream",
        "delete_stream",
        "done_plugin",
        "delete_plugin",
    ];
    vec![
        changing("http_call", &["request_headers"], &[], http_calls.clone()),
        changing(
            "http_call",
            &elsewhere,
            &[],
            [0, 4, 6]
                .into_iter()
                .filter_map(|index| http_calls.get(index).cloned()),
        ),
    ]
}
