//! What `cargo proxy-wasm build` makes for each target, of an extension that reads the clock.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use proxy_wasm_test::{Error, Proxy};

/// It has the dependencies and the Cargo.lock of the fixtures.
const PACKAGE: &str = r#"
[workspace]
[package]
name = "fixtures"
version = "0.0.0"
edition = "2024"
publish = false
[lib]
crate-type = ["cdylib"]
[dependencies]
proxy-wasm = "0.2"
[profile.wasm]
inherits = "release"
panic = "abort"
strip = "debuginfo"
"#;

const MANIFEST: &str = "schemaVersion: 1\nphase: PostAuthZ\npriority: 1\nmodule: extension.wasm\n";

/// Appends `time: SECONDS` to responses. `NOW` is an expression.
const SOURCE: &str = r#"
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

const WARNING: &str = "not implemented on this platform";

/// Builds the extension, and returns the path of its module.
fn build(name: &str, now: &str, arguments: &[&str]) -> Result<(Output, PathBuf)> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("target")
        .join(name);
    fs::create_dir_all(directory.join("src"))?;
    fs::write(directory.join("Cargo.toml"), PACKAGE)?;
    fs::write(directory.join("manifest.yaml"), MANIFEST)?;
    fs::write(directory.join("src/lib.rs"), SOURCE.replace("NOW", now))?;
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/Cargo.lock");
    fs::copy(lock, directory.join("Cargo.lock"))?;
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-proxy-wasm"))
        .current_dir(&directory)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("WASM_TARGET")
        .arg("build")
        .args(arguments)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok((output, directory.join("target/image/extension.wasm")))
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
    let (output, module) = build("unknown", "SystemTime::now()", &[])?;
    assert!(warns(&output), "{output:?}");
    let error = time(&module).err().context("no trap")?;
    assert!(matches!(error, Error::Trap(_)), "{error}");
    Ok(())
}

#[test]
fn host_call_has_the_time_without_a_warning() -> Result<()> {
    let now = "proxy_wasm::hostcalls::get_current_time().unwrap_or(SystemTime::UNIX_EPOCH)";
    let (output, module) = build("host-call", now, &[])?;
    assert!(!warns(&output), "{output:?}");
    assert!(!time(&module)?.is_empty());
    Ok(())
}

#[test]
fn clock_of_the_standard_library_works_with_wasi() -> Result<()> {
    let (output, module) = build("wasi", "SystemTime::now()", &["--target", "wasm32-wasip1"])?;
    assert!(!warns(&output), "{output:?}");
    assert!(!time(&module)?.is_empty());
    let report = proxy_wasm_check::check(&module, None);
    assert_eq!(report.errors(), 0, "{report}");
    Ok(())
}
