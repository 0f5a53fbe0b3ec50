//! Host calls that read, and log.

use crate::module::Out;

use super::groups::{BAD, Group, NUMBER, Probe, VALUE, each, reading, strings};
use super::places::PLACES;

pub fn groups() -> Vec<Group> {
    const MAPS: [i32; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, -1];
    let mut buffer_status = each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, -1], &["#8 #12"]);
    buffer_status.extend(each([7], &[format!("{BAD} #12"), format!("#8 {BAD}")]));
    let ranges = [
        "#0 #0 @out",
        "#0 #5 @out",
        "#1 #2 @out",
        "#3 #100 @out",
        "#100 #1 @out",
        "#5 #0 @out",
        "#0 #-1 @out",
        "#1 #-1 @out",
        "#-1 #1 @out",
        "#-1 #-1 @out",
        "#0 #0x7fffffff @out",
    ];
    let mut buffer_bytes = each([0, 1, 4, 6, 7], &ranges);
    let others = ["#0 #0 @out", "#0 #5 @out", "#1 #-1 @out"];
    buffer_bytes.extend(each([2, 3, 5, 8, 9, 100, -1], &others));
    buffer_bytes.extend(each(
        [7],
        &[format!("#0 #5 {BAD} #4"), format!("#0 #5 #0 {BAD}")],
    ));
    let mut map_size = each(MAPS, &["#8"]);
    map_size.extend(each([0], &[BAD]));
    // Responses to calls contain times.
    let mut map_pairs = each(
        MAPS.into_iter().filter(|map| ![4, 6].contains(map)),
        &["@out"],
    );
    map_pairs.extend(each([0], &[format!("{BAD} #4"), format!("#0 {BAD}")]));
    let names = [
        "@\"name\" @out",
        "@\"NAME\" @out",
        "@\"none\" @out",
        "@\"\" @out",
        "@\"trailer\" @out",
        "@\":path\" @out",
        "@\":status\" @out",
        "@\"host\" @out",
        "@\":authority\" @out",
    ];
    let mut map_value = each([0, 1, 2, 3, 6, 7], &names);
    map_value.extend(each([4, 5, 8, 100, -1], &["@\"name\" @out"]));
    map_value.extend(each(
        [0],
        &[
            format!("{BAD} #4 @out"),
            format!("@\"name\" {BAD} #4"),
            format!("@\"name\" #0 {BAD}"),
        ],
    ));
    let log = [0, 1, 2, 3, 4, 5, 6, 100, -1];
    let mut log = each(log, &["@\"text\""]);
    log.extend(each(
        [2],
        &[
            "@\"\"",
            "#0x7fffffff #1",
            "#0 #-1",
            "#131072 #0",
            "#131072 #1",
        ],
    ));
    // The buffer 8, the arguments of a foreign function, is the one that was read last.
    const READ: &str = "#0 #100 @out";
    let last_buffers = [0, 1, 4, 5, 6, 7].map(|buffer| {
        let calls = [
            (
                format!("$proxy_get_buffer_bytes #{buffer} {READ}"),
                vec![VALUE],
            ),
            (format!("$proxy_get_buffer_bytes #8 {READ}"), vec![VALUE]),
            (
                "$proxy_set_buffer_bytes #8 #0 #2 @\"new\"".to_owned(),
                vec![],
            ),
            (
                format!("$proxy_get_buffer_bytes #{buffer} {READ}"),
                vec![VALUE],
            ),
        ];
        Probe {
            calls: calls.to_vec(),
        }
    });
    vec![
        Group {
            name: "last_buffer".to_owned(),
            is_single: true,
            places: PLACES.to_vec(),
            probes: last_buffers.into(),
        },
        reading("get_log_level", &[NUMBER], strings(&["#8", BAD])),
        reading("get_current_time_nanoseconds", &[], strings(&["#8", BAD])),
        reading(
            "get_buffer_status",
            &[NUMBER, Out::Number(12)],
            buffer_status,
        ),
        reading("get_buffer_bytes", &[VALUE], buffer_bytes),
        reading("get_header_map_size", &[NUMBER], map_size),
        reading("get_header_map_pairs", &[VALUE], map_pairs),
        reading("get_header_map_value", &[VALUE], map_value),
        reading(
            "get_status",
            &[NUMBER, VALUE],
            vec![
                "#8 @out".to_owned(),
                format!("{BAD} @out"),
                format!("#8 {BAD} #4"),
                format!("#8 #0 {BAD}"),
            ],
        ),
        reading("log", &[], log),
        reading("done", &[], strings(&[""])),
        reading(
            "set_tick_period_milliseconds",
            &[],
            strings(&["#1000000", "#-1", "#0"]),
        ),
    ]
}
