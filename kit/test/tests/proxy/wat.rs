//! Modules for the tests: one that holds no more than a test is about.
//!
//! A test writes the bodies of the callbacks that it needs. What it mentions is imported: `$proxy_…`
//! from `env`, `$wasi_…` from WASI. Three abbreviations keep the bodies short:
//!
//! - `@"text"` is the address and the length of a text;
//! - `@out` is two addresses for return values, and `@result` the address and length found there;
//! - `#7` is `(i32.const 7)`.
//!
//! `(call $say @"text")` logs a text, and `(call $number #7)` a number.

use std::fmt::Write;

use proxy_wasm_test::{Error, Options, Proxy};

/// An address at which no module of these tests has memory.
pub const BAD: &str = "#0x7fffffff";

/// Puts the headers of a call at the address 100: `:method` GET, `:path` / and `:authority` a.
pub const CALL_HEADERS: &str = r#"(func $point (param $text i32) (param i32)
    (i32.store #100 #3)
    (i32.store #104 #7) (i32.store #108 #3)
    (i32.store #112 #5) (i32.store #116 #1)
    (i32.store #120 #10) (i32.store #124 #1)
    (memory.copy #128 (local.get $text) #33))
  (func $headers (call $point @":method\0GET\0:path\0/\0:authority\0a\0"))"#;

/// The callbacks: the names of their parameters, and what they return when a body returns nothing.
const CALLBACKS: [(&str, &str, Option<u32>); 19] = [
    ("_initialize", "", None),
    ("_start", "", None),
    ("main", "$count $arguments", Some(0)),
    ("proxy_on_context_create", "$id $parent", None),
    ("proxy_on_vm_start", "$id $size", Some(1)),
    ("proxy_on_configure", "$id $size", Some(1)),
    ("proxy_on_tick", "$id", None),
    ("proxy_on_request_headers", "$id $count $end", Some(0)),
    ("proxy_on_request_body", "$id $size $end", Some(0)),
    ("proxy_on_request_trailers", "$id $count", Some(0)),
    ("proxy_on_response_headers", "$id $count $end", Some(0)),
    ("proxy_on_response_body", "$id $size $end", Some(0)),
    ("proxy_on_response_trailers", "$id $count", Some(0)),
    (
        "proxy_on_http_call_response",
        "$id $call $headers $body $trailers",
        None,
    ),
    ("proxy_on_queue_ready", "$id $queue", None),
    ("proxy_on_done", "$id", Some(1)),
    ("proxy_on_log", "$id", None),
    ("proxy_on_delete", "$id", None),
    ("run", "", None),
];

/// The parameters of the host calls; all return a number but `proc_exit`.
const HOST_CALLS: [(&str, &str); 51] = [
    ("proxy_log", "iii"),
    ("proxy_get_log_level", "i"),
    ("proxy_set_effective_context", "i"),
    ("proxy_done", ""),
    ("proxy_get_current_time_nanoseconds", "i"),
    ("proxy_set_tick_period_milliseconds", "i"),
    ("proxy_get_buffer_bytes", "iiiii"),
    ("proxy_get_buffer_status", "iii"),
    ("proxy_set_buffer_bytes", "iiiii"),
    ("proxy_get_header_map_size", "ii"),
    ("proxy_get_header_map_pairs", "iii"),
    ("proxy_set_header_map_pairs", "iii"),
    ("proxy_get_header_map_value", "iiiii"),
    ("proxy_add_header_map_value", "iiiii"),
    ("proxy_replace_header_map_value", "iiiii"),
    ("proxy_remove_header_map_value", "iii"),
    ("proxy_continue_stream", "i"),
    ("proxy_close_stream", "i"),
    ("proxy_get_status", "iii"),
    ("proxy_send_local_response", "iiiiiiii"),
    ("proxy_http_call", "iiiiiiiiii"),
    ("proxy_grpc_call", "iiiiiiiiiiii"),
    ("proxy_grpc_stream", "iiiiiiiii"),
    ("proxy_grpc_send", "iiii"),
    ("proxy_grpc_cancel", "i"),
    ("proxy_grpc_close", "i"),
    ("proxy_set_shared_data", "iiiii"),
    ("proxy_get_shared_data", "iiiii"),
    ("proxy_register_shared_queue", "iii"),
    ("proxy_resolve_shared_queue", "iiiii"),
    ("proxy_enqueue_shared_queue", "iii"),
    ("proxy_dequeue_shared_queue", "iii"),
    ("proxy_define_metric", "iiii"),
    ("proxy_record_metric", "il"),
    ("proxy_increment_metric", "il"),
    ("proxy_get_metric", "ii"),
    ("proxy_get_property", "iiii"),
    ("proxy_set_property", "iiii"),
    ("proxy_call_foreign_function", "iiiiii"),
    ("wasi_fd_write", "iiii"),
    ("wasi_fd_fdstat_get", "ii"),
    ("wasi_fd_read", "iiii"),
    ("wasi_fd_prestat_get", "ii"),
    ("wasi_path_open", "iiiiilliii"),
    ("wasi_clock_time_get", "ili"),
    ("wasi_random_get", "ii"),
    ("wasi_environ_sizes_get", "ii"),
    ("wasi_environ_get", "ii"),
    ("wasi_args_sizes_get", "ii"),
    ("wasi_args_get", "ii"),
    ("wasi_proc_exit", "i"),
];

/// All host calls, with their parameters: `i` has 32 bits, and `l` has 64.
pub fn host_calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    HOST_CALLS
        .into_iter()
        .filter(|(name, _)| *name != "wasi_path_open")
}

/// Logs a text, and a number in decimal.
const SAY: &str = "(func $say (param i32 i32)
    (drop (call $proxy_log (i32.const 2) (local.get 0) (local.get 1))))";
const NUMBER: &str = "(func $number (param $number i32) (local $place i32)
    (local.set $place (i32.const 1024))
    (loop $digits
      (local.set $place (i32.sub (local.get $place) (i32.const 1)))
      (i32.store8 (local.get $place)
        (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
      (br_if $digits (local.get $number)))
    (call $say (local.get $place) (i32.sub (i32.const 1024) (local.get $place))))";

/// Grows the memory for each allocation that does not fit, and gives 0 when it cannot.
const ALLOCATE: &str = r#"(global $heap (mut i32) (i32.const 65536))
  (func $allocate (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (global.get $heap) (local.get $size)))
    (if (i32.gt_u (local.get $end) (i32.mul (memory.size) (i32.const 65536)))
      (then (if (i32.eq (i32.const -1)
          (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 65536)))))
        (then (return (i32.const 0))))))
    (global.get $heap)
    (global.set $heap (local.get $end)))"#;

/// The first address of texts; what lies before it is for return values.
const TEXTS: usize = 2048;

/// A module under construction.
#[derive(Clone)]
pub struct Wat {
    version: &'static str,
    parts: String,
}

impl Wat {
    /// A module of ABI 0.2.1 that does nothing.
    pub fn new() -> Self {
        Self {
            version: "0_2_1",
            parts: String::new(),
        }
    }

    /// Another version of the ABI, `0_2_0` for example.
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// A callback. Where its body returns nothing, it returns 0 (continue) or, asked for a
    /// success, 1.
    pub fn on(mut self, callback: &str, body: &str) -> Self {
        let (_, names, result) = CALLBACKS
            .into_iter()
            .find(|(name, ..)| *name == callback)
            .unwrap_or_else(|| panic!("no callback {callback}"));
        let parameters: String = names
            .split_whitespace()
            .map(|name| format!("(param {name} i32)"))
            .collect();
        let returns = result.map_or("", |_| "(result i32)");
        let default = result.map_or(String::new(), |value| format!("(i32.const {value})"));
        let _ = writeln!(
            self.parts,
            "(func (export \"{callback}\") {parameters} {returns} {body} {default})"
        );
        self
    }

    /// Anything else: globals, functions, tables.
    pub fn with(mut self, part: &str) -> Self {
        self.parts.push_str(part);
        self.parts.push('\n');
        self
    }

    /// The module's text.
    pub fn text(&self) -> String {
        let mut texts = Vec::new();
        let mut parts = expand(&self.parts, &mut texts);
        if parts.contains("$number") {
            parts.push_str(NUMBER);
        }
        if parts.contains("$say") {
            parts.push_str(SAY);
        }
        let mut imports = String::new();
        for (name, parameters) in HOST_CALLS {
            let is_named = parts
                .split(|c: char| !(c.is_ascii_alphanumeric() || "$_".contains(c)))
                .any(|word| word.strip_prefix('$') == Some(name));
            if is_named {
                imports.push_str(&import(name, parameters));
            }
        }
        let data: String = texts.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!(
            r#"(module {imports}
  (func (export "proxy_abi_version_{}"))
  (memory (export "memory") 2)
  (data (i32.const {TEXTS}) "{data}")
  {ALLOCATE}
  {parts})"#,
            self.version
        )
    }

    /// The module in an embedded proxy, without a configuration.
    pub fn load(&self) -> Result<Proxy, Error> {
        Proxy::load(self.text())
    }

    /// The module in an embedded proxy that is set up otherwise.
    pub fn load_with(&self, options: Options) -> Result<Proxy, Error> {
        options.load(self.text())
    }
}

/// The import of a host call.
fn import(name: &str, parameters: &str) -> String {
    let (module, item) = match name.strip_prefix("wasi_") {
        Some(item) => ("wasi_snapshot_preview1", item),
        None => ("env", name),
    };
    let types: Vec<_> = parameters
        .chars()
        .map(|kind| if kind == 'l' { "i64" } else { "i32" })
        .collect();
    let result = if name == "wasi_proc_exit" {
        ""
    } else {
        "(result i32)"
    };
    format!(
        "(import \"{module}\" \"{item}\" (func ${name} (param {}) {result}))\n",
        types.join(" ")
    )
}

/// Writes the abbreviations out and collects the texts.
fn expand(source: &str, texts: &mut Vec<u8>) -> String {
    let source = source.replace("@out", "#0 #4").replace(
        "@result",
        "(i32.load (i32.const 0)) (i32.load (i32.const 4))",
    );
    let mut pieces = source.split("@\"");
    let mut expanded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (text, rest) = piece.split_once('"').expect("the end of a text");
        let text = text.replace("\\0", "\0").replace("\\n", "\n");
        let address = TEXTS + texts.len();
        texts.extend_from_slice(text.as_bytes());
        let _ = write!(expanded, "#{address} #{}", text.len());
        expanded.push_str(rest);
    }
    let mut pieces = expanded.split('#');
    let mut written = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .unwrap_or(piece.len());
        let (number, rest) = piece.split_at(end);
        let _ = write!(written, "(i32.const {number}){rest}");
    }
    written
}

/// What a module has logged, in order.
pub fn said(proxy: &Proxy) -> Vec<String> {
    proxy.log().into_iter().map(|line| line.message).collect()
}

/// Logs what each of these host calls answers, in one callback of a request with body and trailers
/// whose response has both as well.
pub fn answers(callback: &str, host_calls: &[&str]) -> Result<Vec<String>, Error> {
    let body: String = host_calls
        .iter()
        .map(|host_call| format!("(call $number (call {host_call}))\n"))
        .collect();
    let proxy = Wat::new()
        .on(callback, &body)
        .load()?
        .configure("configured")?;
    whole_request(&proxy)?;
    Ok(said(&proxy))
}

/// Sends a request with two pieces of body and a trailer, and answers it likewise.
pub fn whole_request(proxy: &Proxy) -> Result<proxy_wasm_test::Response, Error> {
    use proxy_wasm_test::Reply;
    let reply = Reply::new(200)
        .header("name", "response")
        .body("response ")
        .body("body")
        .trailer("trailer", "response");
    proxy
        .request("POST", "/")
        .header("name", "request")
        .body("request ")
        .body("body")
        .trailer("trailer", "request")
        .respond(reply)
}
