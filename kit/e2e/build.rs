//! Finds the tools that some tests need. A test that needs a missing one is ignored, and says so;
//! with `CI=true` it runs, and fails.

use std::env;
use std::process::{Command, Stdio};

/// A tool, and the arguments with which it has to succeed. An engine's client without an engine
/// does not.
const TOOLS: [(&str, &[&str]); 12] = [
    ("buildah", &["info"]),
    ("cargo-generate", &["--version"]),
    ("curl", &["--version"]),
    ("docker", &["info"]),
    ("docker-registry", &["--version"]),
    ("git", &["--version"]),
    ("go", &["version"]),
    ("kubectl", &["version", "--client"]),
    ("npm", &["--version"]),
    ("podman", &["info"]),
    ("skopeo", &["--version"]),
    ("wrk", &["--help"]),
];

fn main() {
    // A file that does not exist: what is installed is looked for each time.
    println!("cargo::rerun-if-changed=target/always");
    for (tool, arguments) in TOOLS {
        let name = format!("missing_{}", tool.replace('-', "_"));
        println!("cargo::rustc-check-cfg=cfg({name})");
        if !works(tool, arguments) && env::var("CI").as_deref() != Ok("true") {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

fn works(tool: &str, arguments: &[&str]) -> bool {
    Command::new(tool)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        // wrk prints its help with an error.
        .is_ok_and(|status| status.success() || tool == "wrk")
}
