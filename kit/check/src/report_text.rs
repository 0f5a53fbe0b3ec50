//! The text of a report, for people who do not know the terms of Proxy-Wasm.

use std::fmt::{self, Formatter};

use crate::consumers::CONSUMERS;
use crate::report::{ModuleFacts, Report, Severity, Verdict, escaped};

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        self.write_verdicts(formatter)?;
        let mut others = self
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Warning || self.consumers.is_empty())
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
        }
        write!(
            formatter,
            "Checked: {}, {}",
            counted(self.errors(), "error"),
            counted(self.warnings(), "warning")
        )?;
        match self.count(Severity::NotChecked) {
            0 => Ok(()),
            count => write!(formatter, ", {count} not checked"),
        }
    }
}

impl Report {
    /// A line for each consumer. Consumers with the same reasons are together, above these.
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
                let versions = format!("{since} and later");
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
            "Interface:     Proxy-Wasm {}; a proxy calls {} of its functions",
            escaped(&module.abi.join(" and ")),
            module.callbacks.len()
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

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
