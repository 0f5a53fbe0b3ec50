//! Modules for the scenarios: they log each callback with its arguments, and what host calls return.

use std::collections::BTreeMap;
use std::fmt::Write;

use proxy_wasm_abi::{AbiVersion, CALLBACKS, callback};

use crate::scenario::ID;
use crate::wat::Wat;

/// The callbacks that a module logs, whether it does anything else in them or not.
const TRACED: [&str; 24] = [
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_new_connection",
    "proxy_on_downstream_data",
    "proxy_on_downstream_connection_close",
    "proxy_on_upstream_data",
    "proxy_on_upstream_connection_close",
    "proxy_on_http_call_response",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
    "proxy_on_queue_ready",
    "proxy_on_log",
    "proxy_on_done",
    "proxy_on_delete",
];

/// Builds a line of the log from texts and numbers.
const LINE: &str = "(global $line_end (mut i32) (i32.const 40000))
  (global $status (mut i32) (i32.const 0))
  (global $kept (mut i32) (i32.const 0))
  (func $keep (if (i32.ne (i32.load (i32.const 16)) (i32.const 0xeeeeeeee))
    (then (global.set $kept (i32.load (i32.const 16))))))
  (func $text (param $from i32) (param $size i32)
    (if (i32.gt_u (local.get $size) (i32.const 4000)) (then (local.set $size (i32.const 4000))))
    (memory.copy (global.get $line_end) (local.get $from) (local.get $size))
    (global.set $line_end (i32.add (global.get $line_end) (local.get $size))))
  (func $decimal (param $number i64) (local $place i32)
    (local.set $place (i32.const 1024))
    (loop $digits
      (local.set $place (i32.sub (local.get $place) (i32.const 1)))
      (i32.store8 (local.get $place)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
      (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
      (br_if $digits (i64.ne (local.get $number) (i64.const 0))))
    (call $text (local.get $place) (i32.sub (i32.const 1024) (local.get $place))))
  (func $vector (param $text i32) (param $size i32)
    (i32.store (i32.const 128) (local.get $text)) (i32.store (i32.const 132) (local.get $size)))
  (func $end_line
    (drop (call $proxy_log (i32.const 2) (i32.const 40000)
      (i32.sub (global.get $line_end) (i32.const 40000))))
    (global.set $line_end (i32.const 40000)))
  (func $clear (memory.fill (i32.const 0) (i32.const 0xee) (i32.const 64)))
  (func $put_number (param $address i32)
    (if (i32.eq (i32.load (local.get $address)) (i32.const 0xeeeeeeee))
      (then (call $text @\" unset\"))
      (else (call $text @\" \") (call $decimal (i64.extend_i32_u (i32.load (local.get $address)))))))
  (func $put_long (param $address i32)
    (if (i64.eq (i64.load (local.get $address)) (i64.const 0xeeeeeeeeeeeeeeee))
      (then (call $text @\" unset\"))
      (else (call $text @\" \") (call $decimal (i64.load (local.get $address))))))
  (func $put_bytes (param $pointer i32) (param $size i32)
    (if (i32.eq (i32.load (local.get $pointer)) (i32.const 0xeeeeeeee))
      (then (call $text @\" unset\"))
      (else (call $text @\" '\")
        (call $text (i32.load (local.get $pointer)) (i32.load (local.get $size)))
        (call $text @\"'\")
        (if (i32.eqz (i32.load (local.get $pointer))) (then (call $text @\" at 0\"))))))";

/// A module that logs its callbacks, and does something more in some of them.
#[derive(Clone, Default)]
pub struct Module {
    bodies: BTreeMap<String, String>,
    parts: String,
    is_quiet: bool,
    version: Option<AbiVersion>,
}

impl Module {
    pub fn new() -> Self {
        Self::default()
    }

    /// Logs only what the scenario itself logs.
    pub fn quiet() -> Self {
        Self {
            is_quiet: true,
            ..Self::default()
        }
    }

    /// Sets the version of the ABI, which is 0.2.1 if not set.
    pub fn version(mut self, version: AbiVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// Does something more in a callback, after what it does there already.
    pub fn on(mut self, name: &str, body: &str) -> Self {
        let bodies = self.bodies.entry(name.to_owned()).or_default();
        bodies.push_str(body);
        bodies.push('\n');
        self
    }

    /// Anything else: globals, functions.
    pub fn with(mut self, part: &str) -> Self {
        self.parts.push_str(part);
        self.parts.push('\n');
        self
    }

    pub fn wat(&self) -> Wat {
        let version = self.version.unwrap_or(AbiVersion::V0_2_1);
        let mut wat = Wat::new().version(version).with(LINE).with(&self.parts);
        for name in TRACED.iter().filter(|_| !self.is_quiet) {
            let body = self.bodies.get(*name).map_or("", String::as_str);
            wat = wat.on(name, &format!("{} {body}", trace(name, version)));
        }
        for (name, body) in &self.bodies {
            if self.is_quiet || !TRACED.contains(&name.as_str()) {
                wat = wat.on(name, body);
            }
        }
        wat
    }
}

/// Logs a callback and its arguments.
fn trace(name: &str, version: AbiVersion) -> String {
    let Some(callback) = callback(name, version) else {
        panic!("there is no callback {name} among {}", CALLBACKS.len());
    };
    let mut text = format!("(call $text @\"{name}\")");
    // Queues are counted through all VMs of a proxy.
    let parameters = callback.signature.parameters.iter();
    for parameter in parameters.filter(|parameter| parameter.name != "queue_id") {
        let _ = write!(
            text,
            "(call $text @\" \") (call $decimal (i64.extend_i32_u (local.get ${})))",
            parameter.name
        );
    }
    text + "(call $end_line)\n"
}

/// Where a host call leaves a result. An identifier at the address 16 is kept in `$kept`.
#[derive(Clone, Copy)]
pub enum Out {
    Number(u32),
    Long(u32),
    /// The addresses of a pointer and a size.
    Bytes(u32, u32),
}

/// Makes a host call and logs what it returns, for example `$proxy_done` or
/// `$proxy_get_log_level #8`.
pub fn probe(call: &str, outs: &[Out]) -> String {
    let label = call
        .trim_start_matches('$')
        .trim_start_matches("proxy_")
        .replace("@out", "out")
        .replace("@\"", "'")
        .replace('"', "'")
        .replace('#', "")
        .replace(|character: char| character.is_ascii_control(), ".");
    let mut text = format!(
        "(call $clear) (global.set $status (call {call}))
         (call $text @\"{label} -> \") (call $decimal (i64.extend_i32_u (global.get $status)))"
    );
    // What a failed call leaves there is not logged.
    text.push_str("(call $keep) (if (i32.eqz (global.get $status)) (then ");
    for out in outs {
        let _ = match out {
            Out::Number(address) => write!(text, "(call $put_number #{address})"),
            Out::Long(address) => write!(text, "(call $put_long #{address})"),
            Out::Bytes(pointer, size) => write!(text, "(call $put_bytes #{pointer} #{size})"),
        };
    }
    text + "))(call $end_line)\n"
}

/// Fields as the ABI encodes them.
pub fn pairs(fields: &[(&str, &str)]) -> String {
    let number = |number: usize| {
        let bytes = u32::try_from(number).expect("a short text").to_le_bytes();
        bytes.map(char::from).iter().collect::<String>()
    };
    let mut text = number(fields.len());
    for (name, value) in fields {
        text += &(number(name.len()) + &number(value.len()));
    }
    for (name, value) in fields {
        text += &format!("{name}\0{value}\0");
    }
    text
}

/// The headers of an HTTP call to this path, as an argument of `proxy_http_call`.
pub fn call_headers(path: &str) -> String {
    let headers = [(":method", "GET"), (":path", path), (":authority", ID)];
    format!("@\"{}\"", pairs(&headers))
}
