//! Host calls that change headers and trailers.

use crate::module::pairs;

use super::groups::{Group, Probe, VALUE, single};
use super::places::PLACES;

/// Changes of maps, each with a scenario of its own, which then reads the map; and changes in all
/// callbacks.
pub fn groups() -> Vec<Group> {
    let fields = [
        "@\"x-new\" @\"value\"",
        "@\"name\" @\"value\"",
        "@\"X-Upper\" @\"Value\"",
        "@\"\" @\"value\"",
        "@\"x-empty\" @\"\"",
        "@\"x y\" @\"a\\nb\"",
        "@\":path\" @\"/new\"",
        "@\":status\" @\"418\"",
        "@\":new\" @\"value\"",
        "@\"host\" @\"new\"",
        "@\"content-type\" @\"a/b\"",
        "@\"trailer\" @\"value\"",
        "@\"x\" #0x7fffffff #1",
    ];
    let mut groups = Vec::new();
    for (map, place) in [
        (0, "request_headers"),
        (1, "request_trailers"),
        (2, "response_headers"),
        (3, "response_trailers"),
    ] {
        let show = format!("$proxy_get_header_map_pairs #{map} @out");
        let then_show = |call: String| Probe {
            calls: vec![(call, Vec::new()), (show.clone(), vec![VALUE])],
        };
        for verb in ["add", "replace"] {
            let calls = fields
                .iter()
                .map(|field| then_show(format!("$proxy_{verb}_header_map_value #{map} {field}")));
            groups.push(single(
                format!("{verb}_header_map_value"),
                place,
                calls.collect(),
            ));
        }
        let names = [
            "name",
            "none",
            "",
            "NAME",
            ":path",
            ":method",
            ":authority",
            "host",
            ":status",
            "content-length",
            "trailer",
        ];
        let calls = names
            .iter()
            .map(|name| then_show(format!("$proxy_remove_header_map_value #{map} @\"{name}\"")));
        groups.push(single(
            "remove_header_map_value".to_owned(),
            place,
            calls.collect(),
        ));
        let request: &[_] = &[
            (":method", "PUT"),
            (":path", "/new"),
            (":authority", "new"),
            ("B", "2"),
            ("a", "1"),
            ("a", "3"),
        ];
        let maps = [
            String::new(),
            pairs(&[]),
            pairs(&[("a", "b")]),
            pairs(request),
            pairs(&[(":status", "201"), ("b", "1"), ("a", "2"), ("b", "3")]),
            pairs(&[("", "a"), ("b", ""), ("c d", "e\nf")]),
            "abc".to_owned(),
            pairs(&[("a", "b")]) + "more",
            pairs(&[("a", "b")])[..10].to_owned(),
            "\u{7f}\u{7f}\u{7f}\u{7f}".to_owned(),
        ];
        let calls = maps
            .iter()
            .map(|text| then_show(format!("$proxy_set_header_map_pairs #{map} @\"{text}\"")));
        groups.push(single(
            "set_header_map_pairs".to_owned(),
            place,
            calls.collect(),
        ));
    }
    // In all callbacks, also of maps that do not belong to them.
    let mut everywhere = Vec::new();
    for map in [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, -1] {
        for call in [
            format!("$proxy_add_header_map_value #{map} @\"x\" @\"y\""),
            format!("$proxy_replace_header_map_value #{map} @\"x\" @\"y\""),
            format!("$proxy_remove_header_map_value #{map} @\"none\""),
        ] {
            everywhere.push(Probe {
                calls: vec![(call, Vec::new())],
            });
        }
        if !(0..4).contains(&map) {
            let call = format!(
                "$proxy_set_header_map_pairs #{map} @\"{}\"",
                pairs(&[("a", "b")])
            );
            everywhere.push(Probe {
                calls: vec![(call, Vec::new())],
            });
        }
    }
    groups.push(Group {
        name: "change_header_map".to_owned(),
        is_single: false,
        places: PLACES.to_vec(),
        probes: everywhere,
    });
    groups
}
