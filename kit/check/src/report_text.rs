//! The text of a report.

use std::fmt::{self, Formatter};

use crate::consumers::CONSUMERS;
use crate::report::{ModuleFacts, ProjectFacts, Report, Severity, Verdict, escaped};
#[cfg(feature = "trial")]
use crate::trial::Trial;

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        self.write_verdicts(formatter)?;
        let mut others = self
            .findings
            .iter()
            .filter(|finding| {
                finding.severity == Severity::Warning
                    || finding.is_of_project()
                    || self.consumers.is_empty()
            })
            .peekable();
        if others.peek().is_some() && !self.consumers.is_empty() {
            writeln!(formatter)?;
        }
        for finding in others {
            writeln!(formatter, "{finding}")?;
        }
        if let Some(module) = &self.module {
            writeln!(formatter)?;
            write_module(formatter, module)?;
            #[cfg(feature = "trial")]
            if let Some(trial) = &module.trial {
                write_trial(formatter, trial)?;
            }
        }
        if let Some(project) = &self.project {
            self.write_project(formatter, project)?;
        }
        write!(
            formatter,
            "Checked: {}, {}",
            counted(self.errors(), "error"),
            counted(self.warnings(), "warning")
        )?;
        match self.unchecked() {
            0 => Ok(()),
            count => write!(formatter, ", {count} not checked"),
        }
    }
}

impl Report {
    /// Writes a line for each consumer. Consumers with the same reasons are listed together,
    /// followed by the reasons.
    fn write_verdicts(&self, formatter: &mut Formatter) -> fmt::Result {
        let mut written: Vec<&str> = Vec::new();
        for verdict in &self.consumers {
            if written.contains(&verdict.name) {
                continue;
            }
            let alike = self.consumers.iter().filter(|other| {
                other.name == verdict.name
                    || (!verdict.reasons.is_empty() && other.reasons == verdict.reasons)
            });
            for verdict in alike {
                self.write_verdict(formatter, verdict)?;
                written.push(verdict.name);
            }
            for finding in &self.findings {
                if finding.concerns(verdict.name) {
                    write!(formatter, "    ")?;
                    finding.write_line(formatter)?;
                    writeln!(formatter)?;
                }
            }
        }
        Ok(())
    }

    fn write_project(&self, formatter: &mut Formatter, project: &ProjectFacts) -> fmt::Result {
        let result = match (project.files.len(), self.project_errors()) {
            (_, errors @ 1..) => format!("{} above", counted(errors, "error")),
            (0, _) => "manifest.yaml agrees with Cargo.toml".to_owned(),
            (1, _) => "1 file under deploy/ agrees with manifest.yaml and Cargo.toml".to_owned(),
            (files, _) => {
                format!("{files} files under deploy/ agree with manifest.yaml and Cargo.toml")
            }
        };
        writeln!(formatter, "Project:       {result}")
    }

    fn write_verdict(&self, formatter: &mut Formatter, verdict: &Verdict) -> fmt::Result {
        let title = CONSUMERS
            .iter()
            .find(|consumer| consumer.name == verdict.name)
            .map_or(verdict.name, |consumer| consumer.title);
        write!(formatter, "{:<15}", title)?;
        let rejects = self
            .findings
            .iter()
            .any(|finding| finding.rejected_by.contains(&verdict.name));
        match (&verdict.since, &verdict.reads) {
            (Some(since), Some(path)) => {
                let versions = match verdict.until {
                    None => format!("{since} and later"),
                    Some(until) if until == *since => until.to_owned(),
                    Some(until) => format!("{since} to {until}"),
                };
                writeln!(
                    formatter,
                    "accepts it   {versions:<16} reads {}",
                    path.escape_debug()
                )
            }
            _ if rejects => writeln!(formatter, "rejects it"),
            _ => writeln!(formatter, "not checked"),
        }
    }
}

fn write_module(formatter: &mut Formatter, module: &ModuleFacts) -> fmt::Result {
    let path = module.path.escape_debug();
    writeln!(formatter, "Module:        {path}, {} bytes", module.bytes)?;
    if !module.abi.is_empty() {
        writeln!(
            formatter,
            "ABI:           Proxy-Wasm {}; the module exports {}",
            escaped(&module.abi.join(" and ")),
            counted(module.callbacks.len(), "callback")
        )?;
    }
    let features = match module.proposals.as_slice() {
        [] => String::new(),
        proposals => format!(", with {}", proposals.join(", ")),
    };
    writeln!(formatter, "WebAssembly:   1.0{features}")?;
    if let Some(memory) = module.memory {
        let bound = module.memory_bound.map_or_else(
            || "it may grow without a limit".to_owned(),
            |bound| format!("it may grow to {bound}"),
        );
        writeln!(
            formatter,
            "Memory:        {memory} bytes in each worker thread at first; {bound}"
        )?;
    }
    Ok(())
}

/// Writes what a module did in the embedded proxy, and the last lines that it logged.
#[cfg(feature = "trial")]
fn write_trial(formatter: &mut Formatter, trial: &Trial) -> fmt::Result {
    const MAX_LINES: usize = 5;
    let result = match (trial.started, trial.configured, &trial.not_tried) {
        (Some(true), _, Some(why)) => format!(
            "the module starts; whether it accepts the configuration is not known: {}",
            escaped(why)
        ),
        (_, _, Some(why)) => {
            format!("whether the module starts is not known: {}", escaped(why))
        }
        (Some(true), None, None) => "the module starts".to_owned(),
        (Some(true), Some(true), None) => {
            "the module starts, and accepts the configuration".to_owned()
        }
        (Some(true), Some(false), None) => {
            "the module starts, and rejects the configuration: see above".to_owned()
        }
        (_, _, None) => "the module does not start: see above".to_owned(),
    };
    writeln!(formatter, "Trial:         {result}")?;
    // A finding quotes the log of what failed.
    if trial.started == Some(false) || trial.configured == Some(false) {
        return Ok(());
    }
    let skipped = trial.log.len().saturating_sub(MAX_LINES);
    for line in trial.log.iter().skip(skipped) {
        let message = escaped(line.message.trim_end());
        writeln!(formatter, "Log:           {}: {message}", line.level)?;
    }
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
