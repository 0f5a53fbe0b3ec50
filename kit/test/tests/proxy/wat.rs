//! Modules for the tests, each with only what its test needs.
//!
//! A test writes the bodies of the callbacks that it needs. What it mentions is imported:
//! `$proxy_…` from `env`, `$wasi_…` from WASI. Three abbreviations keep the bodies short:
//!
//! - `@"text"` is the address and the length of a text;
//! - `@out` is two addresses for return values, and `@result` the address and length found there;
//! - `#7` is `(i32.const 7)`.
//!
//! `(call $say @"text")` logs a text, and `(call $number #7)` a number. Parameters of callbacks
//! have the names of the ABI, such as `$body_size`.

use std::fmt::Write;

use proxy_wasm_abi::{
    AbiVersion, Function, HOST_CALLS, HOST_MODULE, WASI_FUNCTIONS, WASI_MODULES, callback,
};
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

/// The host calls and WASI functions, by the names by which a body calls them.
pub fn host_functions() -> impl Iterator<Item = (String, &'static Function)> {
    let host_calls = HOST_CALLS.iter().map(|call| (call.name.to_owned(), call));
    let wasi = WASI_FUNCTIONS.iter();
    let wasi = wasi.map(|function| (format!("wasi_{}", function.name), function));
    host_calls.chain(wasi)
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

/// Grows the memory for each allocation that does not fit. Returns 0 if the memory cannot grow.
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
    version: AbiVersion,
    parts: String,
}

impl Wat {
    /// A module of ABI 0.2.1 that does nothing.
    pub fn new() -> Self {
        Self {
            version: AbiVersion::V0_2_1,
            parts: String::new(),
        }
    }

    /// Another version of the ABI, for the callbacks that follow.
    pub fn version(mut self, version: AbiVersion) -> Self {
        self.version = version;
        self
    }

    /// A callback. If its body does not return, the callback returns 0 (continue), or 1 (success)
    /// from `proxy_on_vm_start`, `proxy_on_configure` and `proxy_on_done`.
    pub fn on(mut self, name: &str, body: &str) -> Self {
        let callback = callback(name, self.version)
            .unwrap_or_else(|| panic!("ABI {} has no callback {name}", self.version));
        let signature = signature(callback);
        let default = match (callback.signature.result, name) {
            (None, _) => "",
            (_, "proxy_on_vm_start" | "proxy_on_configure" | "proxy_on_done") => "(i32.const 1)",
            _ => "(i32.const 0)",
        };
        let _ = writeln!(
            self.parts,
            "(func (export \"{name}\") {signature} {body} {default})"
        );
        self
    }

    /// Anything else: globals, functions, tables.
    pub fn with(mut self, part: &str) -> Self {
        self.parts.push_str(part);
        self.parts.push('\n');
        self
    }

    /// An import that nothing calls, by the name by which a body would call it.
    pub fn importing(self, name: &str) -> Self {
        self.with(&format!("(elem declare func ${name})"))
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
        let words: Vec<_> = parts
            .split(|c: char| !(c.is_ascii_alphanumeric() || "$_".contains(c)))
            .filter_map(|word| word.strip_prefix('$'))
            .collect();
        let imports: String = host_functions()
            .filter(|(name, _)| words.contains(&name.as_str()))
            .map(|(name, function)| import(&name, function))
            .collect();
        let data: String = texts.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!(
            r#"(module {imports}
  (func (export "{}"))
  (memory (export "memory") 2)
  (data (i32.const {TEXTS}) "{data}")
  {ALLOCATE}
  {parts})"#,
            self.version.marker()
        )
    }

    /// The module in an embedded proxy, without a configuration.
    pub fn load(&self) -> Result<Proxy, Error> {
        Proxy::load(self.text())
    }

    /// The module in an embedded proxy with these options.
    pub fn load_with(&self, options: Options) -> Result<Proxy, Error> {
        options.load(self.text())
    }
}

/// The import of a function, by the name by which a body calls it.
fn import(name: &str, function: &Function) -> String {
    let module = if name.starts_with("wasi_") {
        WASI_MODULES[0]
    } else {
        HOST_MODULE
    };
    let signature = signature(function);
    let item = function.name;
    format!("(import \"{module}\" \"{item}\" (func ${name} {signature}))\n")
}

/// The parameters, with their names, and the result.
fn signature(function: &Function) -> String {
    let mut text = String::new();
    for parameter in function.signature.parameters {
        let _ = write!(text, "(param ${} {})", parameter.name, parameter.value_type);
    }
    if let Some(result) = function.signature.result {
        let _ = write!(text, "(result {result})");
    }
    text
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

/// Logs what each of these host calls returns, in one callback of a request with body and trailers
/// whose response has both as well.
pub fn results(callback: &str, host_calls: &[&str]) -> Result<Vec<String>, Error> {
    results_with("", callback, host_calls)
}

/// As `results`, with other functions of the module besides host calls.
pub fn results_with(
    functions: &str,
    callback: &str,
    host_calls: &[&str],
) -> Result<Vec<String>, Error> {
    let body: String = host_calls
        .iter()
        .map(|host_call| format!("(call $number (call {host_call}))\n"))
        .collect();
    let proxy = Wat::new()
        .with(functions)
        .on(callback, &body)
        .load()?
        .configure("configured")?;
    whole_request(&proxy)?;
    Ok(said(&proxy))
}

/// Sends a request with two chunks of body and a trailer, and responds with as many.
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
