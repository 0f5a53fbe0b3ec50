//! Finds the tools that some tests need. If a tool is missing, its tests are ignored, and say so;
//! with `CI=true`, they run, and fail.

use std::env;
use std::process::{Command, Stdio};

/// Tools, and arguments with which they succeed. A client of a container engine fails if no engine
/// runs.
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
    // This file does not exist, so Cargo looks for the tools in each build.
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
        // wrk prints its help and exits with an error.
        .is_ok_and(|status| status.success() || tool == "wrk")
}
