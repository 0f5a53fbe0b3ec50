//! `cargo proxy-wasm build` for each target, with extensions that use the standard library.

#[path = "support/package.rs"]
mod package;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use proxy_wasm_test::{Error, Options, Proxy};

use package::write_package;

/// Appends `time: SECONDS` to responses. `NOW` is an expression.
const CLOCK: &str = r#"
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::time::SystemTime;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;
impl Context for Root {}
impl RootContext for Root {
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http))
    }
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Http;
impl Context for Http {}
impl HttpContext for Http {
    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        let now: SystemTime = NOW;
        let time = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.add_http_response_header("time", &time.as_secs().to_string());
        Action::Continue
    }
}
"#;

/// Logs what parts of the standard library do. With the configuration `spawn` or `sleep`, it also
/// starts a thread or sleeps.
const STANDARD_LIBRARY: &str = r#"
use proxy_wasm::hostcalls::log;
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;
use std::hash::{BuildHasher, RandomState};
use std::{env, fs, net, thread, time};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;
impl Context for Root {}
impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let print = |line: String| drop(log(LogLevel::Info, &line));
        print(format!("hash {}", RandomState::new().hash_one(1)));
        print(format!("fs {}", fs::read("/file").is_ok()));
        print(format!("env {:?}", env::var("NAME").ok()));
        print(format!("net {}", net::TcpStream::connect("127.0.0.1:1").is_ok()));
        println!("printed");
        match self.get_plugin_configuration().as_deref() {
            Some(b"spawn") => drop(thread::spawn(|| ())),
            Some(b"sleep") => thread::sleep(time::Duration::from_millis(1)),
            _ => {}
        }
        true
    }
}
"#;

const WARNING: &str = "not implemented on this platform";

fn clock(now: &str) -> String {
    CLOCK.replace("NOW", now)
}

/// Builds an extension, and returns the path that its module has if the build succeeds.
fn build(name: &str, source: &str, arguments: &[&str]) -> Result<(Output, PathBuf)> {
    let directory = write_package(&format!("target/{name}"), source)?;
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"))
        .current_dir(&directory)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("WASM_TARGET")
        .arg("build")
        .args(arguments)
        .output()?;
    Ok((output, directory.join("target/image/extension.wasm")))
}

/// Builds an extension for WASI. `None` if rustup cannot install the target, because no other tool
/// can. Then `build` must say how to install it.
fn build_with_wasi(name: &str, source: &str) -> Result<Option<(Output, PathBuf)>> {
    let (output, module) = build(name, source, &["--target", "wasm32-wasip1"])?;
    if output.status.success() {
        return Ok(Some((output, module)));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(
        text.contains("Install it: `rustup target add wasm32-wasip1`"),
        "{text}"
    );
    Ok(None)
}

fn warns(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains(WARNING)
}

/// The value of the header, as the embedded proxy has it.
fn time(module: &Path) -> Result<String, Error> {
    let module = fs::read(module).expect("a module");
    let proxy = Proxy::load(module)?.configure("")?;
    let response = proxy.request("GET", "/").respond(200)?;
    Ok(response.header("time").concat())
}

#[test]
fn clock_of_the_standard_library_traps_without_wasi_and_build_warns() -> Result<()> {
    let (output, module) = build("unknown", &clock("SystemTime::now()"), &[])?;
    assert!(output.status.success(), "{output:?}");
    assert!(warns(&output), "{output:?}");
    let error = time(&module).err().context("no trap")?;
    assert!(matches!(error, Error::Trap(_)), "{error}");
    Ok(())
}

#[test]
fn host_call_has_the_time_without_a_warning() -> Result<()> {
    let now = "proxy_wasm::hostcalls::get_current_time().unwrap_or(SystemTime::UNIX_EPOCH)";
    let (output, module) = build("host-call", &clock(now), &[])?;
    assert!(output.status.success(), "{output:?}");
    assert!(!warns(&output), "{output:?}");
    assert!(!time(&module)?.is_empty());
    Ok(())
}

#[test]
fn clock_of_the_standard_library_works_with_wasi() -> Result<()> {
    let source = clock("SystemTime::now()");
    let Some((output, module)) = build_with_wasi("wasi", &source)? else {
        return Ok(());
    };
    assert!(!warns(&output), "{output:?}");
    assert!(!time(&module)?.is_empty());
    let report = proxy_wasm_check::check(&module, None);
    assert_eq!(report.errors(), 0, "{report}");
    Ok(())
}

/// What the module logs, and whether it traps.
fn configured(module: &[u8], configuration: &str) -> Result<(Vec<String>, bool), Error> {
    let options = Options::new().environment("NAME", "value");
    let (log, traps) = match options.load(module)?.configure(configuration) {
        Ok(proxy) => (proxy.log(), false),
        Err(Error::Trap(trap)) => (trap.log, true),
        Err(error) => return Err(error),
    };
    Ok((log.into_iter().map(|line| line.message).collect(), traps))
}

/// The table in kit/docs/limits.md.
#[test]
fn standard_library_without_wasi_has_no_environment_and_panics_in_spawn_and_sleep() -> Result<()> {
    let (output, module) = build("unknown-library", STANDARD_LIBRARY, &[])?;
    assert!(output.status.success(), "{output:?}");
    let module = fs::read(module)?;
    let (log, traps) = configured(&module, "")?;
    assert_eq!(&log[1..], ["fs false", "env None", "net false"]);
    assert!(!traps);
    // The hash keys are the same in each VM.
    assert_eq!(configured(&module, "")?.0[0], log[0]);
    for panics in ["spawn", "sleep"] {
        assert!(configured(&module, panics)?.1, "{panics}");
    }
    Ok(())
}

/// The table in kit/docs/limits.md.
#[test]
fn standard_library_with_wasi_has_the_environment_and_panics_only_in_spawn() -> Result<()> {
    let Some((_, module)) = build_with_wasi("wasi-library", STANDARD_LIBRARY)? else {
        return Ok(());
    };
    let module = fs::read(module)?;
    let (log, traps) = configured(&module, "")?;
    let expected = ["fs false", r#"env Some("value")"#, "net false", "printed"];
    assert_eq!(log[1..].concat(), expected.concat());
    assert!(!traps);
    assert!(configured(&module, "spawn")?.1);
    assert!(!configured(&module, "sleep")?.1);
    Ok(())
}
