//! `cargo proxy-wasm deploy`.

use anyhow::{Context, Result, ensure};

use crate::cli::Deploy;
use crate::deploy::{Deployment, image};
use crate::files::read;
use crate::project::Project;
use crate::pushed::Pushed;
use crate::stdio::{self, counted, print_line, print_note};

/// Applies the file for a mesh, after trying its configuration and showing what would change.
pub fn deploy(project: &Project, options: Deploy) -> Result<()> {
    let package = &project.package;
    let mesh = options.mesh.context(
        "the mesh is missing; pass --mesh, for example --mesh istio, or set the variable MESH",
    )?;
    let given = options.image.filter(|image| !image.is_empty());
    let image = image(given.as_deref(), Pushed::read(&package.target())?)?;
    let deployment = Deployment::read(&package.root().join("deploy"), &mesh, &image)?;

    let module = read(&project.staged_root()?.join(&project.manifest.module))?;
    let report = deployment.check(&package.package().name, &module);
    for finding in &report.findings {
        print_note!("{finding}");
    }
    let errors = report.errors();
    ensure!(
        errors == 0,
        "check failed: {}; nothing is applied",
        counted(errors as u64, "error")
    );

    stdio::write(format_args!("{}", deployment.text()))?;
    if options.dry_run {
        return Ok(());
    }
    deployment.validate()?;
    if !deployment.show_changes()? {
        return print_line!("The cluster has it already; nothing is changed");
    }
    ensure!(
        options.yes || confirmed()?,
        "not confirmed, so nothing is changed; answer y, or pass --yes"
    );
    deployment.apply()
}

fn confirmed() -> Result<bool> {
    stdio::write(format_args!("Apply it? [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
