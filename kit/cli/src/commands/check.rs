//! `cargo proxy-wasm check`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use proxy_wasm_check::{self as check, Report};

use crate::cli::CheckFormat;
#[cfg(feature = "trial")]
use crate::cli::TrialOptions;
#[cfg(feature = "trial")]
use crate::files::read;
use crate::project::Project;
use crate::stdio::{self, counted, print_line};

/// Checks a path, or the project.
pub fn check(path: Option<&Path>, options: &check::CheckOptions) -> Result<Report> {
    match path {
        Some(path) => Ok(check::check_with(path, options)),
        None => Project::find()?.check(options),
    }
}

#[cfg(feature = "trial")]
impl TrialOptions {
    /// Sets the options for trying modules.
    pub fn apply(self, options: &mut check::CheckOptions) -> Result<()> {
        options.configuration = match (self.configuration, self.configuration_file) {
            (Some(text), _) => Some(text.into_bytes()),
            (None, Some(file)) => Some(read(&file)?),
            (None, None) => None,
        };
        options.root_id = self.root_id;
        Ok(())
    }
}

/// Prints a report.
pub fn print_report(report: &Report, format: CheckFormat) -> Result<()> {
    match format {
        CheckFormat::Text => print_line!("{report}"),
        CheckFormat::Json => print_line!("{}", serde_json::to_string_pretty(report)?),
    }
}

/// Prints the configuration that restricts a module to the capabilities that it needs.
pub fn print_capabilities(report: &Report) -> Result<()> {
    let module = report
        .module
        .as_ref()
        .with_context(|| format!("there is no valid module:\n{report}"))?;
    let restriction = check::restriction(&module.capabilities).context(
        "the module needs no capabilities; leave out capability_restriction_config, because Envoy allows everything if its list is empty",
    )?;
    stdio::write(format_args!("{restriction}"))
}

/// Fails unless all required consumers accept the input, or at least one mesh if none is required.
/// Also fails if the files of the project do not agree.
pub fn require_acceptance(report: &Report, required: &[String]) -> Result<()> {
    let errors = match report.errors() {
        0 => match report.unchecked() {
            1 => "1 part is not checked".to_owned(),
            parts => format!("{parts} parts are not checked"),
        },
        errors => counted(errors as u64, "error"),
    };
    if required.is_empty() {
        ensure!(
            report.is_accepted(),
            "check failed: no mesh accepts it: {errors}"
        );
    }
    let rejecting: Vec<_> = required
        .iter()
        .map(String::as_str)
        .filter(|name| !report.accepts(name))
        .collect();
    ensure!(
        rejecting.is_empty(),
        "check failed: not accepted by {}: {errors}",
        rejecting.join(", ")
    );
    ensure!(
        report.project_errors() == 0,
        "check failed: the project's files do not agree: {errors}"
    );
    Ok(())
}
