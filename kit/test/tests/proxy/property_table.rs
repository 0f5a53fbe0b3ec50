//! The table of properties in the documentation, and a module that reads them.

use crate::wat::Wat;

/// The documentation of the properties, which tests in properties.rs check.
const DOCUMENTATION: &str = include_str!("../../src/properties.md");

/// Where a property exists as soon as Envoy has connected to the upstream, which takes a while.
pub const CONNECTED: &str = "upstream (in Envoy, once it has connected)";

/// The callbacks of [`whole_request`], and those of the plugin, in the order in which they are called.
pub const CALLBACKS: [&str; 11] = [
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_log",
    "proxy_on_done",
    "proxy_on_delete",
];

/// A row of the table in the documentation.
pub struct Row {
    pub path: String,
    pub kind: &'static str,
    pub exists: &'static str,
    pub default: &'static str,
}

pub fn rows() -> Vec<Row> {
    let (_, table) = DOCUMENTATION
        .split_once("| property | type | exists | default |\n|---|---|---|---|\n")
        .expect("a table");
    let lines = table.lines().take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [path, kind, exists, default] = cells[..] else {
                panic!("a row without exactly four cells: {line}");
            };
            Row {
                path: path.trim_matches('`').replace('.', "\\0"),
                kind,
                exists,
                default,
            }
        })
        .collect()
}

impl Row {
    /// The path as a test sets it.
    pub fn parts(&self) -> Vec<&str> {
        self.path.split("\\0").collect()
    }

    /// Whether the documentation says that it exists in a callback.
    pub fn exists_in(&self, callback: &str) -> bool {
        let place = |name: &str| {
            let name = format!("proxy_on_{name}");
            CALLBACKS.iter().position(|other| *other == name)
        };
        let since = |name: &str| place(callback.trim_start_matches("proxy_on_")) >= place(name);
        let is_logging = callback == "proxy_on_log";
        match self.exists {
            "always" => true,
            "stream" => since("request_headers"),
            "request headers" => callback == "proxy_on_request_headers" || is_logging,
            "upstream" | CONNECTED => since("request_body"),
            "response" => since("response_headers"),
            "response headers" => callback == "proxy_on_response_headers" || is_logging,
            "response trailers" => callback == "proxy_on_response_trailers" || is_logging,
            "response end" => since("response_trailers"),
            "end" => since("log"),
            other => panic!("an unknown place: {other}"),
        }
    }

    /// Whether the documentation gives no default for this path.
    pub fn is_unset(&self) -> bool {
        self.default.contains("unset")
            || self.default.starts_with("what the extension")
            || self.default.starts_with("the values")
    }

    /// The default, if it is always the same.
    pub fn fixed(&self) -> Option<String> {
        let text = match self.default {
            "empty" => "",
            default => default.strip_prefix('`')?.strip_suffix('`')?,
        };
        let is_map_or_text = !text.contains('`') && !text.starts_with(':');
        is_map_or_text.then(|| match self.kind {
            "map" => "\0\0\0\0".to_owned(),
            _ => text.to_owned(),
        })
    }
}

/// A module that reads properties in these callbacks. It logs the value of each, or the name of the
/// status, in one line.
pub fn reader(callbacks: &[&str], rows: &[Row], is_text: bool) -> Wat {
    let reads: String = rows
        .iter()
        .map(|row| {
            let value = match row.kind {
                "int" | "duration" | "timestamp" if !is_text => {
                    "(call $number (i32.wrap_i64 (i64.load (i32.load #0))))"
                }
                "bool" if !is_text => "(call $number (i32.load8_u (i32.load #0)))",
                _ => "(call $say @result)",
            };
            let path = &row.path;
            format!(
                "(local.set $status (call $proxy_get_property @\"{path}\" @out))
                 (if (i32.eqz (local.get $status)) (then {value})
                   (else (if (i32.eq (local.get $status) #1) (then (call $say @\"NOT_FOUND\"))
                     (else (if (i32.eq (local.get $status) #3)
                       (then (call $say @\"SERIALIZATION_FAILURE\"))
                       (else (call $number (local.get $status))))))))"
            )
        })
        .collect();
    let probe = format!("(func $probe (local $status i32) {reads})");
    callbacks
        .iter()
        .fold(Wat::new().with(&probe), |wat, callback| {
            wat.on(callback, "(call $probe)")
        })
}
