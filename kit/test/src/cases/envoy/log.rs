//! Envoy's log, and the lines of the extension in it.

use proxy_wasm_abi::LogLevel;

use crate::records::LogLine;

/// Marks where an entry begins and ends: a module may log any bytes.
pub const FORMAT: &str = "<<<%t %l %n>>>%v<<<end>>>";

const END: &str = "<<<end>>>";

/// What Envoy writes before the text of a module. The names of the plugin follow.
const MODULE: &str = "wasm log";

/// A line of the extension.
#[derive(Debug)]
pub struct ModuleLine {
    /// The thread that wrote it.
    pub thread: u32,
    pub line: LogLine,
}

/// The lines that the module with this VM ID has logged.
pub fn entries(log: &str, vm_id: &str) -> Vec<ModuleLine> {
    let entries = log.split(END);
    entries.filter_map(|entry| parse(entry, vm_id)).collect()
}

fn parse(entry: &str, vm_id: &str) -> Option<ModuleLine> {
    let (head, text) = entry.split_once("<<<")?.1.split_once(">>>")?;
    let (names, message) = text.strip_prefix(MODULE)?.split_once(": ")?;
    if names.rsplit(' ').next() != Some(vm_id) {
        return None;
    }
    let mut words = head.split(' ');
    let thread = words.next()?.parse().ok()?;
    let level = match words.next()? {
        "trace" => LogLevel::Trace,
        "debug" => LogLevel::Debug,
        "info" => LogLevel::Info,
        "warning" => LogLevel::Warn,
        "error" => LogLevel::Error,
        _ => LogLevel::Critical,
    };
    let message = message.to_owned();
    let line = LogLine { level, message };
    Some(ModuleLine { thread, line })
}

/// The first callback that has trapped, and why.
pub fn trap(log: &str) -> Option<String> {
    let mut entries = log.split(END);
    entries.find_map(|entry| {
        let (_, text) = entry.split_once("<<<")?.1.split_once(">>>")?;
        let (callback, reason) = text.strip_prefix("Function: ")?.split_once(" failed: ")?;
        Some(format!("{callback} trapped: {reason}"))
    })
}

/// Everything that Envoy has logged, without the marks.
pub fn readable(log: &str) -> String {
    let entries = log.split(END).filter_map(|entry| {
        let (head, text) = entry.split_once("<<<")?.1.split_once(">>>")?;
        Some(format!("[{head}] {text}\n"))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_another_module_is_not_one_of_the_case() {
        let log = "<<<12 info wasm>>>wasm log extension case-1: one\ntwo: three<<<end>>>\n\
                   <<<12 info wasm>>>wasm log extension case-2: other<<<end>>>\n\
                   <<<10 error wasm>>>wasm log extension root case-1: four<<<end>>>\n\
                   <<<10 error config>>>rejected<<<end>>>\n";
        let lines = entries(log, "case-1");
        let seen: Vec<_> = lines
            .iter()
            .map(|entry| (entry.thread, entry.line.to_string()))
            .collect();
        let expected = [
            (12, "[Info] one\ntwo: three".to_owned()),
            (10, "[Error] four".to_owned()),
        ];
        assert_eq!(seen, expected);
    }
}
