//! `cargo proxy-wasm deploy`.

use anyhow::{Result, ensure};

use crate::deploy::Deployment;
use crate::project::Project;
use crate::stdio::{self, print_line};

/// Applies the file for a mesh, after showing what would change.
pub fn deploy(project: &Project, mesh: &str, image: &str, yes: bool) -> Result<()> {
    let deployment = Deployment::read(&project.package.root().join("deploy"), mesh, image)?;
    print_line!("{}", deployment.text())?;
    if !deployment.show_changes()? {
        print_line!("The cluster has it already; nothing is changed")?;
        return Ok(());
    }
    ensure!(
        yes || confirmed()?,
        "not confirmed, so nothing is changed; answer y, or pass --yes"
    );
    deployment.apply()
}

fn confirmed() -> Result<bool> {
    stdio::write(format_args!("Apply it? [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
