//! Modules, and what a proxy does with them. The test `differential` loads them in a real Envoy, too.

use proxy_wasm_abi::AbiVersion;

use crate::wat::{BAD, Wat};

/// What happens to a module.
pub enum Expected {
    /// It loads and logs these lines.
    Loads(&'static [&'static str]),
    /// It is rejected. The error of the embedded proxy contains the text.
    Rejected(&'static str),
    /// Envoy crashes. The error of the embedded proxy contains the text.
    CrashesEnvoy(&'static str),
    /// Envoy loads it, and the embedded proxy does not. Its error contains the text.
    OnlyInEnvoy(&'static str),
}

use Expected::{CrashesEnvoy, Loads, OnlyInEnvoy, Rejected};

pub struct ModuleCase {
    pub name: &'static str,
    pub module: String,
    pub expected: Expected,
}

fn case(name: &'static str, module: impl Into<String>, expected: Expected) -> ModuleCase {
    ModuleCase {
        name,
        module: module.into(),
        expected,
    }
}

pub const MARKER: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;
pub const MEMORY: &str = r#"(memory (export "memory") 1)"#;
pub const ALLOCATOR: &str = r#"(func (export "malloc") (param i32) (result i32) (i32.const 4096))"#;
const DATA: &str = r#"(data (i32.const 0) "hello")"#;

/// Logs what is at the beginning of the memory of host calls.
const SAY: &str = r#"(func $say (drop (call $log (i32.const 2) (i32.const 0) (i32.const 5))))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (call $say) (i32.const 1))"#;

/// A module with these imports and parts, a marker and an allocator.
pub fn module(imports: &str, parts: &str) -> String {
    format!(
        r#"(module
          (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
          {imports} {MARKER} {ALLOCATOR} {parts})"#
    )
}

/// A module with these parts, a marker, an allocator and a memory, that logs `hello`.
fn saying(parts: &str) -> String {
    module("", &format!("{MEMORY} {DATA} {SAY} {parts}"))
}

pub fn cases() -> Vec<ModuleCase> {
    let mut cases = required_exports();
    cases.extend(memories());
    cases.extend(other_imports());
    cases.extend(start_sections());
    cases.extend(start_functions());
    cases.extend(callbacks());
    cases.extend(wasi());
    cases.extend(proposals());
    cases.extend(limits());
    cases
}

fn required_exports() -> Vec<ModuleCase> {
    let with = |markers: &str| {
        let import = r#"(import "env" "proxy_get_log_level" (func (param i32) (result i32)))"#;
        module(import, MEMORY).replace(MARKER, markers)
    };
    let marker = |version: &str| format!(r#"(func (export "proxy_abi_version_{version}"))"#);
    let needs_0_2_1 = "proxy_get_log_level, which proxies offer to ABI 0.2.1 only";
    vec![
        case("nothing else", module("", MEMORY), Loads(&[])),
        case(
            "no marker",
            module("", MEMORY).replace(MARKER, ""),
            Rejected("it exports no function proxy_abi_version_0_2_1"),
        ),
        case(
            "marker that is no function",
            with(r#"(global (export "proxy_abi_version_0_2_1") i32 (i32.const 1))"#),
            Rejected("it exports no function proxy_abi_version_0_2_1"),
        ),
        case(
            "marker of any type",
            with(
                r#"(func (export "proxy_abi_version_0_2_1") (param i64) (result f32) (f32.const 1))"#,
            ),
            Loads(&[]),
        ),
        case(
            "unknown marker",
            with(&marker("0_3_0")),
            Rejected("it exports no function"),
        ),
        case(
            "unknown marker before a known one",
            with(&(marker("0_3_0") + &marker("0_2_1"))),
            Loads(&[]),
        ),
        case(
            "newest marker first",
            with(&(marker("0_2_1") + &marker("0_1_0"))),
            Loads(&[]),
        ),
        case(
            "oldest marker first",
            with(&(marker("0_1_0") + &marker("0_2_1"))),
            Rejected(needs_0_2_1),
        ),
        case("0.2.0", with(&marker("0_2_0")), Rejected(needs_0_2_1)),
        case(
            "no allocator",
            module("", MEMORY).replace(ALLOCATOR, ""),
            Rejected("neither malloc nor proxy_on_memory_allocate"),
        ),
        case(
            "allocator of another type",
            module("", MEMORY).replace("(param i32)", "(param i64)"),
            Rejected("malloc with the wrong type: ABI 0.2.1 defines (i32) -> i32"),
        ),
        case(
            "malloc that is no function beside the other allocator",
            saying(r#"(global (export "malloc") i32 (i32.const 1))"#).replacen(
                "malloc",
                "proxy_on_memory_allocate",
                1,
            ),
            Loads(&["hello"]),
        ),
    ]
}

fn memories() -> Vec<ModuleCase> {
    let saying = |imports: &str, parts: &str| module(imports, &format!("{SAY} {parts}"));
    let two = r#"(data $a (memory 0) (i32.const 0) "first")
      (data $b (memory 1) (i32.const 0) "other")"#;
    let two = |imports: &str, parts: &str| saying(imports, &format!("{parts} {two}"));
    let imported = r#"(import "any" "name" (memory 1))"#;
    vec![
        case("no memory", module("", ""), Loads(&[])),
        case(
            "no memory, and a host call",
            saying("", ""),
            CrashesEnvoy("proxy_log needs a memory, and the module exports none; Envoy crashes"),
        ),
        case(
            "memory of another name",
            saying("", &format!(r#"(memory (export "m") 1) {DATA}"#)),
            Loads(&["hello"]),
        ),
        case(
            "function of the name of the memory",
            saying(
                "",
                &format!(r#"(memory (export "m") 1) (func (export "memory")) {DATA}"#),
            ),
            Loads(&["hello"]),
        ),
        case("imported memory", saying(imported, DATA), Loads(&["hello"])),
        case(
            "imported memory that is exported",
            saying(imported, &format!(r#"(export "memory" (memory 0)) {DATA}"#)),
            Loads(&["hello"]),
        ),
        case(
            "imported memory beside one",
            two(imported, "(memory 1)"),
            Loads(&["first"]),
        ),
        case(
            "imported memory beside an exported one",
            two(imported, r#"(memory (export "m") 1)"#),
            Loads(&["other"]),
        ),
        case(
            "two exported memories",
            two(
                "",
                r#"(memory (export "memory") 1) (memory (export "m") 1)"#,
            ),
            Loads(&["other"]),
        ),
        case(
            "two exported memories in the other order",
            two(
                "",
                r#"(memory 1) (memory 1) (export "m" (memory 1)) (export "memory" (memory 0))"#,
            ),
            Loads(&["first"]),
        ),
        case(
            "two imported memories",
            two(
                &format!("{imported} {imported}").replacen("name", "first", 1),
                "",
            ),
            CrashesEnvoy("it imports several memories, and Envoy crashes"),
        ),
        case(
            "64-bit memory",
            saying(
                "",
                r#"(memory (export "memory") i64 1) (data (i64.const 0) "hello")"#,
            ),
            Loads(&["hello"]),
        ),
        case(
            "imported 64-bit memory",
            saying(&imported.replace("1", "i64 1"), ""),
            Rejected("any.name with 64-bit addresses"),
        ),
        case(
            "imported memory beyond the limit",
            saying(&imported.replace("1", "16385"), ""),
            Rejected("limit"),
        ),
        case(
            "memory beyond the limit",
            saying("", r#"(memory (export "memory") 16385)"#),
            Rejected("limit"),
        ),
        case(
            "segment beyond the memory",
            saying(
                "",
                r#"(memory (export "memory") 1) (data (i32.const 65535) "ab")"#,
            ),
            Rejected("a data segment does not fit into its memory"),
        ),
    ]
}

fn other_imports() -> Vec<ModuleCase> {
    let saying = |imports: &str| module(imports, &format!("{MEMORY} {DATA} {SAY}"));
    let table = r#"(import "any" "name" (table 2 funcref))"#;
    let again = |signature: &str| format!(r#"(import "env" "proxy_log" (func {signature}))"#);
    vec![
        case(
            "imported table",
            module(
                table,
                &format!(
                    r#"{MEMORY} {DATA} {SAY} (elem (i32.const 1) $say)
                    (func (export "_initialize") (call_indirect (i32.const 1)))"#
                ),
            ),
            Loads(&["hello", "hello"]),
        ),
        case(
            "imported table of external references",
            saying(r#"(import "any" "name" (table 2 externref))"#),
            Loads(&["hello"]),
        ),
        case(
            "two imported tables",
            saying(&format!("{table} {table}").replacen("name", "first", 1)),
            CrashesEnvoy("it imports several tables, and Envoy crashes"),
        ),
        case(
            "imported global",
            saying(r#"(import "any" "name" (global i32))"#),
            Rejected("it imports the global any.name, which no proxy offers"),
        ),
        case(
            "imported tag",
            saying(r#"(import "any" "name" (tag (param i32)))"#),
            CrashesEnvoy("the WebAssembly proposal exceptions"),
        ),
        case(
            "two missing imports",
            saying(r#"(import "env" "one" (func)) (import "other" "two" (func))"#),
            Rejected("it imports env.one, which no proxy offers; other.two, which no proxy offers"),
        ),
        case(
            "import twice",
            saying(&again("(param i32 i32 i32) (result i32)")),
            Loads(&["hello"]),
        ),
        case(
            "import twice with different types",
            saying(&again("(param i32 i32) (result i32)")),
            Rejected("it imports env.proxy_log, which is (i32, i32, i32) -> i32 in the ABI"),
        ),
        case(
            "import of a newer ABI",
            saying(r#"(import "env" "proxy_continue_request" (func (result i32)))"#),
            Rejected("proxy_continue_request, which proxies offer to ABI 0.1.0 only"),
        ),
    ]
}

fn start_sections() -> Vec<ModuleCase> {
    let starting = |imports: &str, body: &str| {
        module(
            imports,
            &format!("{MEMORY} {DATA} {SAY} (func $start {body}) (start $start)"),
        )
    };
    let wasi = |name: &str, signature: &str| {
        format!(r#"(import "wasi_snapshot_preview1" "{name}" (func $call {signature}))"#)
    };
    vec![
        case(
            "start section",
            starting("", "(i32.store8 (i32.const 0) (i32.const 72))"),
            Loads(&["Hello"]),
        ),
        case(
            "start section that logs",
            starting("", "(call $say)"),
            CrashesEnvoy("its start section calls proxy_log: Envoy crashes"),
        ),
        case(
            "start section that calls WASI",
            starting(
                &wasi("fd_close", "(param i32) (result i32)"),
                "(drop (call $call (i32.const 0)))",
            ),
            CrashesEnvoy("its start section calls fd_close: Envoy crashes"),
        ),
        case(
            "start section that calls what needs no context",
            starting(&wasi("sched_yield", "(result i32)"), "(drop (call $call))"),
            Loads(&["hello"]),
        ),
        case(
            "start section that traps",
            starting("", "(unreachable)"),
            Rejected("start section trapped: wasm `unreachable`"),
        ),
    ]
}

/// A module whose functions log their names.
fn logging(names: &[&str]) -> String {
    let wat = names.iter().fold(Wat::new(), |wat, name| {
        wat.on(name, &format!("(call $say @\"{name}\")"))
    });
    wat.text()
}

fn start_functions() -> Vec<ModuleCase> {
    vec![
        case(
            "all start functions",
            logging(&[
                "_start",
                "main",
                "__main_void",
                "proxy_on_vm_start",
                "_initialize",
            ]),
            Loads(&["_initialize", "main", "proxy_on_vm_start"]),
        ),
        case(
            "_initialize and __main_void",
            logging(&["__main_void", "_initialize"]),
            Loads(&["_initialize", "__main_void"]),
        ),
        case(
            "_start",
            logging(&["__main_void", "main", "_start"]),
            Loads(&["_start"]),
        ),
        case("main", logging(&["main", "__main_void"]), Loads(&[])),
        case(
            "_initialize that is no function",
            logging(&["_start"]).replace(
                "(memory (export",
                r#"(global (export "_initialize") i32 (i32.const 1)) (memory (export"#,
            ),
            Loads(&["_start"]),
        ),
        case(
            "main that returns something",
            Wat::new()
                .on("_initialize", "")
                .on("main", "(return #7)")
                .text(),
            Loads(&[]),
        ),
        case(
            "_initialize that traps",
            Wat::new().on("_initialize", "(unreachable)").text(),
            Rejected("_initialize trapped: wasm `unreachable`"),
        ),
        case(
            "_initialize that exits",
            Wat::new()
                .on("_initialize", "(call $wasi_proc_exit #0)")
                .text(),
            Rejected("proc_exit can't be called before the VM has started"),
        ),
        case(
            "_initialize that makes a host call",
            Wat::new()
                .on(
                    "_initialize",
                    "(drop (call $proxy_get_current_time_nanoseconds #0))",
                )
                .text(),
            Rejected(
                "proxy_get_current_time_nanoseconds can't be called before the VM has started",
            ),
        ),
    ]
}

fn callbacks() -> Vec<ModuleCase> {
    let exporting = |name: &str, signature: &str| {
        saying(&format!(
            r#"(func (export "{name}") {signature} unreachable)"#
        ))
    };
    let of_0_1_0 =
        |module: String| module.replace("proxy_abi_version_0_2_1", AbiVersion::V0_1_0.marker());
    let (two, three) = (
        "(param i32 i32) (result i32)",
        "(param i32 i32 i32) (result i32)",
    );
    let headers = "proxy_on_request_headers";
    vec![
        case(
            "callbacks that are no functions",
            saying(
                r#"(global (export "proxy_on_tick") i32 (i32.const 1))
                (table (export "proxy_on_request_headers") 1 funcref)"#,
            ),
            Loads(&["hello"]),
        ),
        case(
            "callback of another type",
            exporting("proxy_on_tick", "(param i64)"),
            Rejected("proxy_on_tick with the wrong type: ABI 0.2.1 defines (i32)"),
        ),
        case(
            "callback of another type, which is never called",
            exporting("proxy_validate_configuration", "(param i64)"),
            Rejected("proxy_validate_configuration with the wrong type"),
        ),
        case(
            "callback of the ABI",
            exporting(headers, three),
            Loads(&["hello"]),
        ),
        case(
            "callback of ABI 0.1.0",
            exporting(headers, two),
            Rejected("ABI 0.2.1 defines (i32, i32, i32) -> i32"),
        ),
        case(
            "callback of ABI 0.1.0 in its module",
            of_0_1_0(exporting(headers, two)),
            Loads(&["hello"]),
        ),
        case(
            "callback of ABI 0.2.0 in a module of 0.1.0",
            of_0_1_0(exporting(headers, three)),
            Rejected("ABI 0.1.0 defines (i32, i32) -> i32"),
        ),
        case(
            "callback that ABI 0.1.0 does not have",
            of_0_1_0(exporting("proxy_on_foreign_function", "(param i64)")),
            Loads(&["hello"]),
        ),
    ]
}

/// Calls of WASI functions with what they return. `BAD` is a bad address. At #64 is a `ciovec` (an
/// address and a length) of a text, at #72 one with a bad address, and at #80 an empty one with a bad
/// address.
const WASI: &[(&str, &str)] = &[
    ("fd_write #0 #64 #1 #32", "8"),
    ("fd_write #3 #64 #1 #32", "8"),
    ("fd_write #1 BAD #0 #32", "0"),
    ("fd_write #1 #64 #0 BAD", "21"),
    ("fd_write #1 BAD #1 #32", "21"),
    ("fd_write #1 #72 #1 #32", "21"),
    ("fd_write #1 #80 #1 #32", "0"),
    ("fd_write #1 #-8 #2 #32", "21"),
    ("fd_pwrite #0 #64 #1 (i64.const 7) #32", "8"),
    ("fd_pwrite #1 #80 #1 (i64.const 7) #32", "0"),
    ("fd_pwrite #1 #80 #1 (i64.const 7) BAD", "21"),
    ("fd_read #0 BAD #1 BAD", "52"),
    ("fd_pread #1 BAD #1 (i64.const 0) BAD", "52"),
    ("fd_seek #9 (i64.const 5) #9 BAD", "0"),
    ("fd_close #9", "0"),
    ("fd_fdstat_get #0 #200", "8"),
    ("fd_fdstat_get #1 #200", "0"),
    ("fd_fdstat_get #2 BAD", "0"),
    ("fd_fdstat_get #3 #200", "8"),
    ("fd_fdstat_set_flags #1 #0", "52"),
    ("fd_fdstat_set_rights #0 (i64.const 0) (i64.const 0)", "8"),
    ("fd_fdstat_set_rights #1 (i64.const 0) (i64.const 0)", "0"),
    ("fd_advise #3 (i64.const 0) (i64.const 0) #99", "0"),
    ("fd_allocate #2 (i64.const 0) (i64.const 0)", "0"),
    ("fd_allocate #3 (i64.const 0) (i64.const 0)", "8"),
    ("fd_datasync #1", "0"),
    ("fd_datasync #3", "8"),
    ("fd_sync #2", "0"),
    ("fd_sync #0", "8"),
    ("fd_tell #1 #200", "0"),
    ("fd_tell #1 BAD", "21"),
    ("fd_tell #3 BAD", "8"),
    ("fd_filestat_get #1 #200", "8"),
    ("fd_filestat_set_size #1 (i64.const 5)", "0"),
    ("fd_filestat_set_size #3 (i64.const 5)", "8"),
    (
        "fd_filestat_set_times #2 (i64.const 0) (i64.const 0) #99",
        "0",
    ),
    (
        "fd_filestat_set_times #3 (i64.const 0) (i64.const 0) #99",
        "8",
    ),
    ("fd_readdir #3 #0 #0 (i64.const 0) #200", "20"),
    ("fd_readdir #3 #0 #0 (i64.const 0) BAD", "21"),
    ("fd_renumber #1 #2", "58"),
    ("fd_renumber #1 #3", "8"),
    ("fd_renumber #0 #1", "8"),
    ("fd_prestat_get #3 #200", "8"),
    ("fd_prestat_dir_name #3 #200 #1", "52"),
    (
        "path_open #3 #0 BAD #9 #0 (i64.const 0) (i64.const 0) #0 BAD",
        "44",
    ),
    ("path_create_directory #3 BAD #9", "58"),
    ("path_filestat_get #3 #0 BAD #9 BAD", "58"),
    (
        "path_filestat_set_times #3 #0 BAD #9 (i64.const 0) (i64.const 0) #0",
        "58",
    ),
    ("path_link #3 #0 BAD #9 #3 BAD", "58"),
    ("path_readlink #3 BAD #9 BAD #9 #200", "58"),
    ("path_readlink #3 BAD #9 BAD #9 BAD", "21"),
    ("path_remove_directory #3 BAD #9", "58"),
    ("path_rename #3 BAD #9 #3 BAD #9", "58"),
    ("path_symlink BAD #9 #3 BAD", "58"),
    ("path_unlink_file #3 BAD #9", "58"),
    ("sock_accept #3 #0 #200", "58"),
    ("sock_accept #3 #0 BAD", "21"),
    ("sock_recv #3 BAD #9 #0 #200 #204", "58"),
    ("sock_recv #3 BAD #9 #0 BAD #204", "21"),
    ("sock_recv #3 BAD #9 #0 #200 BAD", "21"),
    ("sock_send #3 BAD #9 #0 #200", "58"),
    ("sock_send #3 BAD #9 #0 BAD", "21"),
    ("sock_shutdown #3 #0", "58"),
    ("args_sizes_get #200 #204", "0"),
    ("args_sizes_get BAD #204", "21"),
    ("args_sizes_get #200 BAD", "21"),
    ("args_get BAD BAD", "0"),
    ("environ_sizes_get #200 #204", "0"),
    ("environ_sizes_get BAD #204", "21"),
    ("environ_sizes_get #200 BAD", "21"),
    ("environ_get BAD BAD", "0"),
    ("clock_time_get #0 (i64.const 0) #200", "0"),
    ("clock_time_get #1 (i64.const 0) #200", "0"),
    ("clock_time_get #2 (i64.const 0) #200", "58"),
    ("clock_time_get #-1 (i64.const 0) #200", "58"),
    ("clock_time_get #0 (i64.const 0) BAD", "21"),
    ("clock_res_get #0 #200", "0"),
    ("clock_res_get #1 #200", "0"),
    ("clock_res_get #2 BAD", "58"),
    ("clock_res_get #0 BAD", "21"),
    ("random_get #200 #8", "0"),
    ("random_get BAD #0", "0"),
    ("random_get BAD #65536", "21"),
    ("random_get BAD #65537", "28"),
    ("poll_oneoff BAD BAD #9 #200", "0"),
    ("poll_oneoff BAD BAD #9 BAD", "21"),
    ("sched_yield", "0"),
];

/// Calls of WASI functions, and words of memory with their values after the call. Before it, each word
/// is 1.
const WASI_RESULTS: &[(&str, &str, &[&str])] = &[
    (
        "fd_fdstat_get #1 #200",
        "#200 #204 #208 #212 #216 #220 #224",
        &["0", "0", "64", "0", "0", "0", "1"],
    ),
    ("fd_tell #1 #200", "#200 #204 #208", &["0", "0", "1"]),
    (
        "fd_readdir #3 #0 #0 (i64.const 0) #200",
        "#200 #204",
        &["0", "1"],
    ),
    (
        "path_readlink #3 #0 #0 #0 #0 #200",
        "#200 #204",
        &["0", "1"],
    ),
    ("sock_accept #3 #0 #200", "#200 #204 #208", &["0", "0", "1"]),
    ("sock_recv #3 #0 #0 #0 #200 #204", "#200 #204", &["0", "0"]),
    ("sock_send #3 #0 #0 #0 #200", "#200 #204", &["0", "1"]),
    ("args_sizes_get #200 #204", "#200 #204", &["0", "0"]),
    ("clock_res_get #0 #200", "#200 #204 #208", &["1", "0", "1"]),
    ("clock_res_get #2 #200", "#200", &["1"]),
    ("poll_oneoff #0 #0 #9 #200", "#200 #204", &["0", "1"]),
    ("fd_seek #1 (i64.const 5) #0 #200", "#200", &["1"]),
    ("fd_prestat_get #3 #200", "#200", &["1"]),
];

fn wasi() -> Vec<ModuleCase> {
    let mut body = String::from(
        r#"(i32.store #64 #0) (i32.store #68 #5)
        (i32.store #72 BAD) (i32.store #76 #5) (i32.store #80 BAD) (i32.store #84 #0)"#,
    );
    let mut lines = Vec::new();
    for (call, errno) in WASI {
        body.push_str(&format!("(call $number (call $wasi_{call}))\n"));
        lines.push(*errno);
    }
    for (call, words, values) in WASI_RESULTS {
        for address in (200..228).step_by(4) {
            body.push_str(&format!("(i32.store #{address} #1)"));
        }
        body.push_str(&format!("(drop (call $wasi_{call}))"));
        for word in words.split(' ') {
            body.push_str(&format!("(call $number (i32.load {word}))\n"));
        }
        lines.extend(*values);
    }
    let all = Wat::new()
        .on("proxy_on_vm_start", &body.replace("BAD", BAD))
        .text();
    let older = all.replace("wasi_snapshot_preview1", "wasi_unstable");
    let lines: &[_] = lines.leak();
    vec![
        case("all of WASI", all, Loads(lines)),
        case("all of WASI under its older name", older, Loads(lines)),
        case(
            "output without the ends of lines",
            Wat::new()
                .on(
                    "proxy_on_vm_start",
                    r#"(call $pieces @"two " @"pieces\n") (drop (call $wasi_fd_write #1 #64 #2 #0))
                       (call $number (i32.load #0))
                       (call $pieces @"un" @"ended") (drop (call $wasi_fd_write #2 #64 #2 #0))
                       (call $pieces @"last piece" #0 #0) (drop (call $wasi_fd_write #2 #64 #1 BAD))
                       (call $pieces @"once" #0 #0) (drop (call $wasi_fd_pwrite #2 #64 #1 (i64.const 9) #0))
                       (call $number (i32.load #0))"#,
                )
                .with(
                    "(func $pieces (param i32 i32 i32 i32)
                    (i32.store #64 (local.get 0)) (i32.store #68 (local.get 1))
                    (i32.store #72 (local.get 2)) (i32.store #76 (local.get 3)))",
                )
                .text()
                .replace("BAD", "(i32.const 0x7fffffff)"),
            Loads(&["two pieces", "11", "unended", "last piece", "once", "4"]),
        ),
        case(
            "exit that returns",
            Wat::new()
                .on(
                    "proxy_on_vm_start",
                    "(call $wasi_proc_exit #0) (call $wasi_proc_exit #3) (call $number #7)",
                )
                .text(),
            Loads(&["7"]),
        ),
    ]
}

fn proposals() -> Vec<ModuleCase> {
    vec![
        case(
            "what V8 and the interpreter have",
            saying(
                "(func $again (param i32) (return_call $again (local.get 0)))
                (global i32 (i32.add (i32.const 1) (i32.const 2)))
                (memory 1) (memory i64 1) (table i64 1 funcref) (table 1 externref)
                (func (drop (i8x16.splat (i32.const 1))))
                (func (param v128) (drop (i32x4.relaxed_trunc_f32x4_s (local.get 0))))
                (func (result i32 i32) (i32.const 1) (i32.const 2))",
            ),
            Loads(&["hello"]),
        ),
        case(
            "atomics",
            saying("(func (drop (i32.atomic.load (i32.const 0))))"),
            OnlyInEnvoy("it needs the WebAssembly proposal threads, which Envoy has"),
        ),
        case(
            "shared memory",
            saying("(memory 1 2 shared)"),
            OnlyInEnvoy("the WebAssembly proposal threads"),
        ),
        case(
            "exceptions",
            saying("(tag $t) (func (block $h (try_table (catch_all $h) (throw $t))))"),
            OnlyInEnvoy("the WebAssembly proposal exceptions"),
        ),
        case(
            "legacy exceptions",
            saying("(tag $t) (func try (throw $t) catch_all end)"),
            OnlyInEnvoy("the WebAssembly proposals legacy-exceptions and exceptions"),
        ),
        case(
            "function references",
            saying("(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))"),
            OnlyInEnvoy("the WebAssembly proposal function-references"),
        ),
        case(
            "structures",
            saying("(type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1))))"),
            OnlyInEnvoy("the WebAssembly proposal gc"),
        ),
        case(
            "custom page sizes",
            saying("(memory 1 (pagesize 1))"),
            Rejected("it needs a WebAssembly proposal that Envoy does not have: the custom page"),
        ),
        case(
            "wide arithmetic",
            saying(
                "(func (result i64 i64)
                (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))",
            ),
            Rejected("it needs a WebAssembly proposal that Envoy does not have: wide arithmetic"),
        ),
        case(
            "no module",
            "(module (func (result i32) (i64.const 0)))",
            Rejected("type mismatch"),
        ),
    ]
}

fn limits() -> Vec<ModuleCase> {
    vec![
        case(
            "table beyond the limit",
            saying("(table 10000001 funcref)"),
            Rejected("limit"),
        ),
        case(
            "segment beyond the table",
            saying("(table 1 funcref) (elem (i32.const 1) $say)"),
            Rejected("an element segment does not fit into its table"),
        ),
        case(
            "growth beyond the limits",
            Wat::new()
                .with("(table $table 1 funcref)")
                .on(
                    "proxy_on_vm_start",
                    "(call $number (memory.grow #16383)) (call $number (memory.grow #1))
                     (call $number (table.grow $table (ref.null func) #10000000))
                     (call $number (table.grow $table (ref.null func) #1))",
                )
                .text(),
            Loads(&["4294967295", "2", "4294967295", "1"]),
        ),
        case(
            "80,000 recursive calls",
            Wat::new()
                .with(
                    "(func $down (param i32) (result i32)
                    (if (result i32) (local.get 0)
                      (then (i32.add #1 (call $down (i32.sub (local.get 0) #1))))
                      (else #0)))",
                )
                .on("proxy_on_vm_start", "(call $number (call $down #80000))")
                .text(),
            Loads(&["80000"]),
        ),
        case(
            "endless recursion",
            Wat::new()
                .with(
                    "(func $again (param i64) (result i64)
                    (i64.add (i64.const 1) (call $again (local.get 0))))",
                )
                .on("proxy_on_vm_start", "(drop (call $again (i64.const 0)))")
                .text(),
            Rejected("proxy_on_vm_start trapped: call stack exhausted"),
        ),
        case(
            "a million tail calls",
            Wat::new()
                .with(
                    "(func $down (param i32) (result i32)
                    (if (result i32) (local.get 0)
                      (then (return_call $down (i32.sub (local.get 0) #1)))
                      (else #3)))",
                )
                .on("proxy_on_vm_start", "(call $number (call $down #1000000))")
                .text(),
            Loads(&["3"]),
        ),
    ]
}
