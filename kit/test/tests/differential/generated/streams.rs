//! Host calls that act on a stream or its body.

use crate::module::pairs;

use super::groups::{BODIES, Group, STREAM, changing, each, reading, strings};

/// The callbacks that are not those of a message.
const ELSEWHERE: &[&str] = &[
    "create_plugin",
    "vm_start",
    "configure",
    "tick",
    "create_stream",
    "call_response",
    "queue_ready",
    "log",
    "done_stream",
    "delete_stream",
    "done_plugin",
    "delete_plugin",
];

pub fn groups() -> Vec<Group> {
    let ranges = [
        "#0 #0 @\"new\"",
        "#0 #1 @\"new\"",
        "#0 #100 @\"new\"",
        "#0 #-1 @\"new\"",
        "#1 #0 @\"new\"",
        "#1 #1 @\"new\"",
        "#1 #-1 @\"new\"",
        "#100 #0 @\"new\"",
        "#-1 #0 @\"new\"",
        "#-1 #-1 @\"new\"",
        "#0 #100 @\"\"",
        "#0 #0 @\"\"",
        "#0 #8 @\"new\"",
        "#8 #0 @\"new\"",
        "#9 #0 @\"new\"",
        "#0 #9 @\"new\"",
        "#0 #100 @\"something that is longer\"",
        "#0 #0 #0x7fffffff #1",
    ];
    let mut groups = vec![
        changing("set_buffer_bytes", BODIES, &[], each([0, 1], &ranges)),
        reading(
            "set_buffer_bytes",
            &[],
            each(
                [2, 3, 4, 5, 6, 7, 8, 9, 100, -1],
                &["#0 #0 @\"new\"", "#0 #100 @\"new\"", "#1 #1 @\"new\""],
            ),
        ),
        changing(
            "send_local_response",
            STREAM,
            &[],
            vec![
                "#403 @\"details\" @\"denied\" #0 #0 #-1".to_owned(),
                "#200 @\"\" @\"\" #0 #0 #-1".to_owned(),
                "#418 @\"\" @\"\" #0 #0 #7".to_owned(),
                "#0 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#99 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#101 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#600 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#204 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#304 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#65536 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                "#-1 @\"\" @\"text\" #0 #0 #-1".to_owned(),
                format!(
                    "#403 @\"\" @\"text\" @\"{}\" #-1",
                    pairs(&[("a", "b"), ("content-type", "c/d"), ("content-length", "1")])
                ),
                format!(
                    "#403 @\"\" @\"\" @\"{}\" #-1",
                    pairs(&[(":status", "200"), ("x y", "b"), ("A", "b")])
                ),
                "#403 @\"\" @\"text\" @\"abc\" #-1".to_owned(),
                "#403 #0x7fffffff #1 @\"text\" #0 #0 #-1".to_owned(),
                "#403 @\"\" #0x7fffffff #1 #0 #0 #-1".to_owned(),
                "#403 @\"\" @\"\" #0x7fffffff #1 #-1".to_owned(),
                "#403 @\"a b\\nc\" @\"text\" #0 #0 #16".to_owned(),
            ],
        ),
        changing(
            "send_local_response",
            ELSEWHERE,
            &[],
            strings(&["#403 @\"details\" @\"denied\" #0 #0 #-1"]),
        ),
        changing(
            "continue_stream",
            STREAM,
            &[],
            strings(&["#0", "#1", "#2", "#3", "#4", "#-1"]),
        ),
        changing(
            "close_stream",
            STREAM,
            &[],
            strings(&["#0", "#1", "#2", "#3", "#4", "#-1"]),
        ),
    ];
    groups.push(changing(
        "continue_stream",
        ELSEWHERE,
        &[],
        strings(&["#0", "#1", "#2", "#4"]),
    ));
    groups.push(changing(
        "close_stream",
        ELSEWHERE,
        &[],
        strings(&["#0", "#1", "#2", "#4"]),
    ));
    groups
}
