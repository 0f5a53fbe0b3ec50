//! Where the embedded proxy differs from Envoy, and why. The documentation is generated from it.

use std::fmt::Write;

/// A difference that stays.
pub struct Difference {
    /// Patterns of the names of the scenarios in which it appears. `*` is any text.
    scenarios: &'static [&'static str],
    /// Patterns of the lines that differ.
    lines: &'static [&'static str],
    /// What the embedded proxy does.
    pub embedded: &'static str,
    /// What Envoy does.
    envoy: &'static str,
    /// Why it stays.
    reason: &'static str,
}

impl Difference {
    /// Whether it explains why this line of a scenario differs.
    pub fn covers(&self, scenario: &str, line: &str) -> bool {
        let is_any = |patterns: &[&str], text: &str| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| matches(pattern, text))
        };
        is_any(self.scenarios, scenario) && is_any(self.lines, line)
    }
}

/// Whether a text matches a pattern, in which `*` is any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    let mut places = text
        .char_indices()
        .map(|(place, _)| place)
        .chain([text.len()]);
    places.any(|place| matches(rest, &text[place..]))
}

/// The list as Markdown.
pub fn document() -> String {
    let mut text = "\
Where the embedded proxy differs from Envoy 1.40, and where it follows Envoy.

<!-- Generated from tests/differential/differences.rs. To write it again:
     UPDATE=1 cargo test --features envoy,wat --test differential document -->

# Differences

The toolkit's test `differential` runs about 2,000 scenarios in both proxies, and compares log lines, messages,
metrics and what host calls return. The differences:

"
    .to_owned();
    for difference in DIFFERENCES {
        let Difference {
            embedded,
            envoy,
            reason,
            ..
        } = difference;
        let _ = writeln!(text, "- {embedded} *Envoy:* {envoy} *Why:* {reason}");
    }
    text
}

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        scenarios: &[
            "http_call.create_plugin.1",
            "http_call.vm_start.1",
            "http_call.configure.1",
        ],
        lines: &["call 2: *"],
        embedded: "There is one thread with one VM.",
        envoy: "each worker thread and the main thread have a VM, and start each plugin in it.",
        reason: "results do not depend on the order of threads.",
    },
    Difference {
        scenarios: &["time.now", "rare.monotonic_clock"],
        lines: &["log [Info] *"],
        embedded: "Time passes only when a test advances it \
            ([`Proxy::advance`](crate::Proxy::advance)), and both clocks of WASI show the same time.",
        envoy: "time passes, and the monotonic clock counts from the start of the machine.",
        reason: "results are the same in each run.",
    },
    Difference {
        scenarios: &["random.numbers"],
        lines: &["log [Info] *"],
        embedded: "Random numbers are the same in each run \
            ([`Options::random_seed`](crate::Options::random_seed)).",
        envoy: "they are random.",
        reason: "results are the same in each run.",
    },
    Difference {
        scenarios: &["log.*", "logging.levels"],
        lines: &["log [Trace] *", "log [Debug] *"],
        embedded: "Log lines of every level are kept.",
        envoy: "lines below the level of its logger `wasm` are dropped.",
        reason: "a test can assert on all of them.",
    },
    Difference {
        scenarios: &[
            "headers.server",
            "get_header_map_pairs.log",
            "get_property.log",
            "rare.added_headers",
        ],
        lines: &["*"],
        embedded: "The proxy adds no headers.",
        envoy: "it adds `server`, `date`, `x-request-id`, `x-envoy-…` and others, some of them before \
            the extension sees a message.",
        reason: "they depend on Envoy's configuration; a test can set them.",
    },
    Difference {
        scenarios: &["rare.node"],
        lines: &["log *get_property 'xds\\0node'*"],
        embedded: "The property `xds.node` has `id` and `cluster`.",
        envoy: "also its version and extensions.",
        reason: "they change with each release; a test can set them.",
    },
    Difference {
        scenarios: &["rare.connection_id"],
        lines: &["log *get_property 'connection\\0id'*"],
        embedded: "Each stream has its own connection, whose ID is the context ID.",
        envoy: "connections are numbered, and a connection carries several streams.",
        reason: "an HTTP filter sees streams, not connections.",
    },
    Difference {
        scenarios: &["rare.validated_filter_state"],
        lines: &["*"],
        embedded: "`set_envoy_filter_state` accepts every value for some keys, such as \
            `envoy.ai.llm_protocol.request`.",
        envoy: "it rejects some of these values.",
        reason: "extensions do not set them.",
    },
    Difference {
        scenarios: &[
            "call_foreign_function.*.1",
            "call_foreign_function.*.2",
            "call_foreign_function.*.3",
            "call_foreign_function.*.4",
            "call_foreign_function.*.5",
            "foreign.expression",
        ],
        lines: &["*"],
        embedded: "The foreign functions `expr_create`, `expr_evaluate`, `expr_delete`, `sign` and \
            `verify_signature` trap, unless a test provides them \
            ([`Options::foreign_function`](crate::Options::foreign_function)).",
        envoy: "they work.",
        reason: "they need a CEL interpreter and cryptography.",
    },
    Difference {
        scenarios: &["grpc.cancelled", "grpc.stream_cancelled"],
        lines: &["call 1*"],
        embedded: "If a gRPC call is cancelled in the callback that makes it, the test does not see \
            it.",
        envoy: "the service gets the call's headers.",
        reason: "the extension gets no response in either proxy.",
    },
    Difference {
        scenarios: &["grpc.dead_cluster"],
        lines: &["log *get_status*"],
        embedded: "The message of a failed gRPC call ends with `{via_upstream}`.",
        envoy: "if Envoy cannot connect, the message ends with other details.",
        reason: "the details contain errors of the operating system.",
    },
    Difference {
        scenarios: &["auth.empty_cluster", "http_call.request_headers.8"],
        lines: &["*"],
        embedded: "Every cluster has an endpoint.",
        envoy: "`proxy_http_call` to a cluster without one returns `INTERNAL_FAILURE`.",
        reason: "a test lets a call fail with [`Proxy::fail_call`](crate::Proxy::fail_call).",
    },
    Difference {
        scenarios: &["http_call.request_headers.4"],
        lines: &["call 1 trailer *"],
        embedded: "[`HttpCall::trailers`](crate::HttpCall::trailers) has the trailers of a call.",
        envoy: "it does not send them.",
        reason: "a test can assert that there are none.",
    },
    Difference {
        scenarios: &["headers.line_break"],
        lines: &["*"],
        embedded: "A header with a line break is an error.",
        envoy: "it sends the line break, so that the value can contain more headers.",
        reason: "it is a bug in the extension.",
    },
    Difference {
        scenarios: &[
            "module.atomics",
            "module.shared_memory",
            "module.exceptions",
            "module.legacy_exceptions",
            "module.function_references",
            "module.structures",
            "module.imported_tag",
        ],
        lines: &["*"],
        embedded: "Modules that use the WebAssembly proposals threads, exceptions, function references \
            or GC do not load; the error names the proposal.",
        envoy: "they load, except that an imported tag crashes it.",
        reason: "the interpreter does not support them.",
    },
    Difference {
        scenarios: &["rare.start_section_writes_nowhere"],
        lines: &["*"],
        embedded: "A module whose start section makes a host call does not load.",
        envoy: "it crashes, unless the host call returns an error before it uses the context.",
        reason: "a test fails where production would.",
    },
    Difference {
        scenarios: &["rare.resolve_dns"],
        lines: &["*"],
        embedded: "A module that imports `envoy_resolve_dns` does not load.",
        envoy: "it loads.",
        reason: "no SDK has it.",
    },
    Difference {
        scenarios: &["rare.eleven_tables"],
        lines: &["*"],
        embedded: "A module can have at most ten tables.",
        envoy: "at most 100,000.",
        reason: "it limits the memory of a test.",
    },
    Difference {
        scenarios: &["rare.100000_frames"],
        lines: &["*"],
        embedded: "A function with one parameter can call itself 80,000 times.",
        envoy: "the depth depends on how V8 compiles functions.",
        reason: "the limit is the same on every machine.",
    },
    Difference {
        scenarios: &["rare.allocator_traps"],
        lines: &["*"],
        embedded: "If the module's allocator traps, the callback ends with that trap.",
        envoy: "the host call returns `INVALID_MEMORY_ACCESS`, and the VM has failed when the callback \
            returns.",
        reason: "the trap shows where the allocator failed.",
    },
];

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn star_is_any_text() {
        for (pattern, text) in [
            ("a", "a"),
            ("*", ""),
            ("a*c", "abc"),
            ("a*c", "ac"),
            ("*é*", "aéb"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*c", "abcd"), ("*b", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
