//! Builds the template and the recipes with the toolkit's command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use proxy_wasm_test::Module;

/// The template's directory.
pub fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| canonical(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")))
}

/// The template's name, read from its Cargo.toml, because kit/ does not contain it.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let text = fs::read_to_string(template().join("Cargo.toml")).expect("Cargo.toml");
        let line = text.lines().find_map(|line| line.strip_prefix("name = "));
        line.expect("a name").trim_matches('"').to_owned()
    })
}

/// The command `cargo-proxy-wasm`, compiled from source with all features.
pub fn toolkit() -> &'static Path {
    static TOOLKIT: OnceLock<PathBuf> = OnceLock::new();
    TOOLKIT.get_or_init(|| {
        let output = Command::new("cargo")
            .args(["build", "--package", "cargo-proxy-wasm"])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(template().join("kit"))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo");
        assert!(output.status.success(), "the toolkit does not compile");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .expect("the path of the command")
    })
}

/// The staging directory of the template, built by the toolkit.
pub fn image_root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        build(template(), &["build"]);
        canonical(&template().join("target/image"))
    })
}

/// The release build of the template's module.
pub fn module_path() -> PathBuf {
    image_root().join("extension.wasm")
}

/// The release build of the template's module, with function names for backtraces.
pub fn extension() -> Module {
    let symbols = image_root().with_file_name("image.names.wasm");
    Module::with_symbols(read(&module_path()), read(&symbols))
}

/// The path of the release build of a recipe.
pub fn recipe_path(name: &str) -> PathBuf {
    static RECIPES: OnceLock<PathBuf> = OnceLock::new();
    let directory = RECIPES.get_or_init(|| {
        build(&template().join("kit/examples"), &["build", "--examples"]);
        canonical(&template().join("target/kit/examples"))
    });
    directory.join(format!("{name}.wasm"))
}

/// The release build of a recipe, with function names for backtraces.
pub fn recipe(name: &str) -> Module {
    let path = recipe_path(name);
    let symbols = path.with_file_name(format!("{name}.names.wasm"));
    Module::with_symbols(read(&path), read(&symbols))
}

fn build(package: &Path, arguments: &[&str]) {
    let status = Command::new(toolkit())
        .args(arguments)
        .current_dir(package)
        .env_remove("CARGO_TARGET_DIR")
        .stdout(Stdio::null())
        .status()
        .expect("the toolkit");
    assert!(status.success(), "{} does not build", package.display());
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|error| panic!("no {}: {error}", path.display()))
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
