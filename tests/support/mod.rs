//! What the tests share.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use extension_kit::project::Project;

/// The extension's package, with the module built and the image's files staged.
pub fn project() -> &'static Project {
    static PROJECT: OnceLock<Project> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let project = Project::find().expect("this package");
        project.build().expect("the module");
        project
    })
}

/// The module that ships.
#[allow(dead_code)] // not every test needs the module by itself
pub fn module() -> PathBuf {
    project().image_root().join(&project().manifest.module)
}

/// Whether a tool that a test needs works here. In CI it has to.
#[allow(dead_code)] // not every test needs a tool
pub fn available(tool: &str, probe: &str) -> bool {
    let answers = Command::new(tool)
        .arg(probe)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let missing = format!(
        "`{tool} {probe}` does not answer; install {tool}, for example with apt-get install {tool}"
    );
    assert!(
        answers || env::var("CI").as_deref() != Ok("true"),
        "{missing}"
    );
    if !answers {
        say(&format!("SKIPPED: {missing}"));
    }
    answers
}

/// Prints a line that the test runner does not keep to itself.
#[allow(dead_code)] // as above
pub fn say(line: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
