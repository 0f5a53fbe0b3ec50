//! Shrinks release builds of the small extensions in `fixtures/examples`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use proxy_wasm_module::{Reason, Shrunk, measure, shrink, strip};
use proxy_wasm_test::{Error, Headers, Module, Proxy, Reply};
use wasmparser::{Validator, WasmFeatures};

/// Callbacks that the SDK always needs.
const ESSENTIAL: [&str; 2] = ["proxy_on_context_create", "proxy_on_delete"];

/// A fixture, the callbacks that it implements, and whether this test makes the embedded proxy call
/// them.
const FIXTURES: [(&str, &[&str], bool); 33] = [
    ("dependency", &["proxy_on_response_headers"], true),
    ("dynamic", &["proxy_on_request_headers"], true),
    ("exported_variable", &["proxy_on_tick"], true),
    ("generic", &["proxy_on_response_headers"], true),
    ("http_on_log", &["proxy_on_log"], true),
    (
        "identical_bodies",
        &["proxy_on_request_headers", "proxy_on_response_headers"],
        true,
    ),
    ("on_configure", &["proxy_on_configure"], true),
    ("on_done", &["proxy_on_done"], true),
    (
        "on_downstream_close",
        &["proxy_on_downstream_connection_close"],
        false,
    ),
    ("on_downstream_data", &["proxy_on_downstream_data"], false),
    ("on_foreign_function", &["proxy_on_foreign_function"], false),
    (
        "on_grpc_call_response",
        &["proxy_on_grpc_close", "proxy_on_grpc_receive"],
        false,
    ),
    ("on_grpc_stream_close", &["proxy_on_grpc_close"], false),
    (
        "on_grpc_stream_initial_metadata",
        &["proxy_on_grpc_receive_initial_metadata"],
        false,
    ),
    ("on_grpc_stream_message", &["proxy_on_grpc_receive"], false),
    (
        "on_grpc_stream_trailing_metadata",
        &["proxy_on_grpc_receive_trailing_metadata"],
        false,
    ),
    (
        "on_http_call_response",
        &["proxy_on_http_call_response", "proxy_on_request_headers"],
        true,
    ),
    ("on_http_request_body", &["proxy_on_request_body"], true),
    (
        "on_http_request_headers",
        &["proxy_on_request_headers"],
        true,
    ),
    (
        "on_http_request_trailers",
        &["proxy_on_request_trailers"],
        true,
    ),
    ("on_http_response_body", &["proxy_on_response_body"], true),
    (
        "on_http_response_headers",
        &["proxy_on_response_headers"],
        true,
    ),
    (
        "on_http_response_trailers",
        &["proxy_on_response_trailers"],
        true,
    ),
    ("on_new_connection", &["proxy_on_new_connection"], false),
    (
        "on_queue_ready",
        &["proxy_on_queue_ready", "proxy_on_vm_start"],
        true,
    ),
    ("on_tick", &["proxy_on_tick"], true),
    (
        "on_upstream_close",
        &["proxy_on_upstream_connection_close"],
        false,
    ),
    ("on_upstream_data", &["proxy_on_upstream_data"], false),
    ("on_vm_start", &["proxy_on_vm_start"], true),
    ("panicking", &["proxy_on_request_headers"], false),
    ("root_on_done", &["proxy_on_done"], true),
    ("root_on_log", &["proxy_on_log"], false),
    (
        "ignored_response",
        &["proxy_on_http_call_response", "proxy_on_request_headers"],
        true,
    ),
];

/// The release build of a fixture, and its analysis build.
type Builds = (Vec<u8>, Vec<u8>);

/// All fixtures by name. Cargo compiles them once.
fn fixtures() -> &'static BTreeMap<&'static str, Builds> {
    static FIXTURE_BUILDS: OnceLock<BTreeMap<&'static str, Builds>> = OnceLock::new();
    FIXTURE_BUILDS.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures");
        for profile in ["wasm", "analysis"] {
            let status = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"))
                .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"))
                .args(["cargo", "build", "--locked", "--examples"])
                .args(["--profile", profile, "--target-dir"])
                .arg(&directory)
                .status()
                .expect("the command");
            assert!(status.success(), "the fixtures do not compile");
        }
        let read = |profile: &str, name: &str| {
            let examples = directory
                .join("wasm32-unknown-unknown")
                .join(profile)
                .join("examples");
            fs::read(examples.join(format!("{name}.wasm"))).expect("a fixture")
        };
        FIXTURES
            .iter()
            .map(|(name, ..)| (*name, (read("wasm", name), read("analysis", name))))
            .collect()
    })
}

fn shrunk(name: &str) -> Shrunk {
    let (module, analysis_build) = &fixtures()[name];
    shrink(module, Some(analysis_build)).expect("a module that can be shrunk")
}

fn callbacks(shrunk: &Shrunk) -> BTreeSet<&str> {
    let kept = shrunk.decisions.iter().filter(|d| d.reason.is_kept());
    kept.map(|decision| decision.callback.as_str()).collect()
}

/// Makes the embedded proxy call many callbacks of an extension. Returns its log.
fn exercise(module: &[u8]) -> Result<Vec<String>, Error> {
    let proxy = Proxy::load(module)?.configure("configuration")?;
    let stream = proxy
        .request("POST", "/")
        .body("request")
        .trailer("a", "b")
        .send()?;
    for call in proxy.http_calls() {
        proxy.respond_to_call(call.id, 200)?;
    }
    stream.begin_response(Reply::new(200).body("response"))?;
    stream.send_response_trailers(Headers::from_iter([("c", "d")]))?;
    stream.finish()?;
    proxy.tick()?;
    proxy.advance(Duration::from_secs(1))?;
    // Most fixtures have no queue.
    let _ = proxy.enqueue("queue", "item");
    proxy.shut_down()?;
    Ok(proxy.log().into_iter().map(|line| line.message).collect())
}

#[test]
fn only_implemented_callbacks_are_kept() {
    for (name, implemented, _) in FIXTURES {
        let shrunk = shrunk(name);
        let expected: BTreeSet<_> = implemented.iter().chain(&ESSENTIAL).copied().collect();
        assert_eq!(callbacks(&shrunk), expected, "{name}");
        assert!(shrunk.after.exports < shrunk.before.exports, "{name}");
        assert!(shrunk.after.imports < shrunk.before.imports, "{name}");
        assert!(shrunk.after.bytes < shrunk.before.bytes, "{name}");
        assert_eq!(
            shrunk.after,
            measure(&shrunk.module).expect("valid"),
            "{name}"
        );
    }
}

#[test]
fn implemented_callbacks_are_called_as_before() -> Result<(), Error> {
    for (name, _, is_called) in FIXTURES {
        let (module, _) = &fixtures()[name];
        // A TCP extension does not support HTTP streams, and `panicking` traps.
        let left_out = [
            "on_downstream",
            "on_new_connection",
            "on_upstream",
            "panicking",
        ];
        if left_out.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let before = exercise(module)?;
        let after = exercise(&strip(&shrunk(name).module).expect("a module"))?;
        assert_eq!(after, before, "{name}");
        assert_eq!(!after.is_empty(), is_called, "{name}: {after:?}");
    }
    Ok(())
}

#[test]
fn used_host_calls_are_kept() {
    let imports = |name: &str| -> Vec<String> {
        let module = shrunk(name).module;
        let module = walrus::Module::from_buffer(&module).expect("a module");
        module
            .imports
            .iter()
            .map(|import| import.name.clone())
            .collect()
    };
    assert_eq!(imports("on_http_response_headers"), ["proxy_log"]);
    assert_eq!(imports("on_configure"), ["proxy_log"]);
    // This host call is made through a trait object.
    let dynamic = imports("dynamic");
    assert!(
        dynamic.contains(&"proxy_get_header_map_value".to_owned()),
        "{dynamic:?}"
    );
}

#[test]
fn response_callback_is_kept_if_the_module_makes_calls() -> Result<(), Error> {
    let shrunk = shrunk("ignored_response");
    let decision = shrunk
        .decisions
        .iter()
        .find(|decision| decision.callback == "proxy_on_http_call_response");
    assert_eq!(
        decision.map(|decision| &decision.reason),
        Some(&Reason::ReceivesResponse)
    );
    let proxy = Proxy::load(shrunk.module)?.configure("")?;
    let mut pages = 0;
    for request in 0..20_000 {
        proxy.request("GET", "/").respond(200)?;
        for call in proxy.http_calls() {
            proxy.respond_to_call(call.id, 200)?;
        }
        if request == 1_000 {
            pages = proxy.memory_pages();
        }
    }
    assert_eq!(proxy.memory_pages(), pages);
    Ok(())
}

#[test]
fn memory_of_ended_streams_is_freed() -> Result<(), Error> {
    for name in ["on_done", "on_http_response_headers"] {
        let proxy = Proxy::load(shrunk(name).module)?.configure("")?;
        let mut pages = 0;
        for request in 0..50_000 {
            proxy.request("GET", "/").respond(200)?;
            if request == 1_000 {
                pages = proxy.memory_pages();
            }
        }
        assert_eq!(proxy.memory_pages(), pages, "{name}");
    }
    Ok(())
}

#[test]
fn trap_has_function_names() -> Result<(), Error> {
    let named = shrunk("panicking").module;
    let module = Module::with_symbols(strip(&named).expect("a module"), &named);
    let proxy = Proxy::load(module)?.configure("")?;
    let Err(Error::Trap(trap)) = proxy.request("GET", "/").respond(200) else {
        panic!("it did not trap");
    };
    let text = trap.to_string();
    println!("{text}");
    assert_eq!(trap.callback, "proxy_on_request_headers");
    assert!(text.contains("unreachable"), "{text}");
    assert!(
        text.contains("as proxy_wasm::traits::HttpContext>::on_http_request_headers"),
        "{text}"
    );
    let message = &trap.log.last().expect("a line").message;
    assert!(message.contains("panicking.rs:10:"), "{message}");
    Ok(())
}

#[test]
fn every_callback_is_kept_without_an_analysis_build() {
    let (module, analysis_build) = &fixtures()["on_tick"];
    let nameless = strip(analysis_build).expect("a module");
    for analysis_build in [None, Some(nameless.as_slice())] {
        let shrunk = shrink(module, analysis_build).expect("a module that can be shrunk");
        assert_eq!(shrunk.after.exports, shrunk.before.exports);
        assert!(
            shrunk.decisions.iter().all(|decision| {
                matches!(decision.reason, Reason::Unknown | Reason::Essential(_))
            })
        );
    }
}

#[test]
fn shrunk_module_needs_only_proposals_of_old_proxies() {
    // The proposals of V8 8.8 and 9.0, as in Envoy 1.17 and 1.18.
    let features = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::FLOATS;
    for name in ["on_tick", "dynamic"] {
        let (module, _) = &fixtures()[name];
        let validate = |module: &[u8]| {
            Validator::new_with_features(features)
                .validate_all(module)
                .is_ok()
        };
        assert!(!validate(module), "{name} before it is shrunk");
        assert!(validate(&shrunk(name).module), "{name}");
    }
}

/// A module's initial memory, up to the last byte that is not zero.
fn memory(module: &[u8]) -> Vec<u8> {
    let module = walrus::Module::from_buffer(module).expect("a module");
    let mut memory = Vec::new();
    for data in module.data.iter() {
        let walrus::DataKind::Active {
            offset: walrus::ConstExpr::Value(walrus::ir::Value::I32(start)),
            ..
        } = data.kind
        else {
            panic!("data without an address");
        };
        let start = usize::try_from(start).expect("an address");
        let end = start + data.value.len();
        memory.resize(memory.len().max(end), 0);
        memory[start..end].copy_from_slice(&data.value);
    }
    memory.truncate(
        memory
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1),
    );
    memory
}

fn holds(memory: &[u8], text: &str) -> bool {
    memory
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// A module with changed sections: `change` gets the kind, the name and the content of each
/// section.
fn rewritten(
    module: &[u8],
    change: impl Fn(u8, Option<&str>, &[u8]) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let mut rewritten = wasm_encoder::Module::HEADER.to_vec();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        let payload = payload.expect("a module");
        let name = match &payload {
            wasmparser::Payload::CustomSection(section) => Some(section.name()),
            _ => None,
        };
        let Some((kind, range)) = payload.as_section() else {
            continue;
        };
        let offset = |offset: u64| usize::try_from(offset).expect("an offset");
        let content = &module[offset(range.start)..offset(range.end)];
        if let Some(content) = change(kind, name, content) {
            rewritten.push(kind);
            wasm_encoder::Encode::encode(content.as_slice(), &mut rewritten);
        }
    }
    rewritten
}

/// A message of the SDK in a callback that the fixture `on_tick` does not implement.
const OF_A_REMOVED_CALLBACK: &str = "on_grpc_receive_initial_metadata: invalid token_id";

#[test]
fn unreferenced_data_is_removed() {
    let (module, _) = &fixtures()["on_tick"];
    let (before, after) = (memory(module), memory(&shrunk("on_tick").module));
    for text in ["on_tick", "invalid context_id", OF_A_REMOVED_CALLBACK] {
        assert!(holds(&before, text), "{text}");
    }
    assert!(holds(&after, "on_tick"));
    assert!(!holds(&after, OF_A_REMOVED_CALLBACK));
    // Data that is kept does not move.
    for (address, byte) in after.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        assert_eq!(before[address], *byte, "at {address}");
    }
}

#[test]
fn data_is_kept_without_relocations() {
    let (module, analysis_build) = &fixtures()["on_tick"];
    // Without any relocations, without the relocations of code, and without the data symbols.
    for left_out in [&["linking", "reloc."][..], &["reloc.CODE"], &["linking"]] {
        let module = rewritten(module, |_, name, content| {
            let is_left_out = |start: &&str| name.is_some_and(|name| name.starts_with(start));
            (!left_out.iter().any(is_left_out)).then(|| content.to_vec())
        });
        let shrunk = shrink(&module, Some(analysis_build)).expect("a module that can be shrunk");
        assert_eq!(memory(&shrunk.module), memory(&module), "{left_out:?}");
    }
}

#[test]
fn data_is_kept_if_the_relocations_are_wrong() {
    let (module, analysis_build) = &fixtures()["on_tick"];
    // This encodes the code again, without updating the linker's sections.
    let moved = walrus::Module::from_buffer(module)
        .expect("a module")
        .emit_wasm();
    // One byte of the linker's sections is wrong.
    let damaged = rewritten(module, |_, name, content| {
        let mut content = content.to_vec();
        if name == Some("reloc.DATA") {
            let last = content.last_mut().expect("a section with references");
            *last ^= 1;
        }
        Some(content)
    });
    for changed in [moved, damaged] {
        let has_linking_section = wasmparser::Parser::new(0).parse_all(&changed).any(|payload| {
            matches!(payload, Ok(wasmparser::Payload::CustomSection(s)) if s.name() == "linking")
        });
        assert!(has_linking_section);
        let shrunk = shrink(&changed, Some(analysis_build)).expect("a module that can be shrunk");
        assert_eq!(memory(&shrunk.module), memory(&changed));
    }
}

#[test]
fn exported_variable_is_kept() {
    let memory = memory(&shrunk("exported_variable").module);
    assert!(holds(&memory, "found by the name of the export"));
}

#[test]
fn functions_are_removed_if_only_unused_data_refers_to_them() {
    let (module, analysis_build) = &fixtures()["on_tick"];
    let without = rewritten(module, |_, name, content| {
        (name != Some("linking")).then(|| content.to_vec())
    });
    let functions = |module: &[u8]| {
        let shrunk = shrink(module, Some(analysis_build)).expect("a module that can be shrunk");
        let module = walrus::Module::from_buffer(&shrunk.module).expect("a module");
        module.funcs.iter().count()
    };
    assert!(functions(module) < functions(&without));
}

#[test]
fn shrinking_again_does_not_make_a_module_larger() {
    for name in ["on_tick", "dynamic"] {
        let once = shrunk(name);
        let twice = shrink(&once.module, None).expect("a module that can be shrunk");
        assert!(twice.after.bytes <= once.after.bytes, "{name}");
        assert_eq!(twice.after.exports, once.after.exports, "{name}");
    }
}

#[test]
fn bytes_that_are_not_a_module_are_an_error() {
    assert!(shrink(b"no module", None).is_err());
    let (module, analysis_build) = &fixtures()["on_tick"];
    assert!(shrink(&module[..module.len() / 2], Some(analysis_build)).is_err());
    assert!(shrink(module, Some(b"no module")).is_err());
}
