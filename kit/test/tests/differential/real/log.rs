//! Envoy's log: which lines are a module's, and which callback trapped.

use crate::scenario::Scenario;

/// Marks where an entry begins and ends: a module may log any bytes.
pub const FORMAT: &str = "<<<%t %l %n>>>%v<<<end>>>";

/// What Envoy logs before the text of a module, and when a callback traps.
const MODULE: &str = "wasm log";
const TRAP: &str = "Function: ";

/// An entry of Envoy's log.
#[derive(Debug)]
pub struct Entry {
    /// How many bytes of the log are before it.
    pub place: usize,
    pub thread: u32,
    level: String,
    text: String,
}

/// The entries of a log.
pub fn entries(log: &[u8]) -> Vec<Entry> {
    const END: &[u8] = b"<<<end>>>\n";
    let mut entries = Vec::new();
    let mut place = 0;
    while let Some(length) = find(&log[place..], END) {
        let entry = String::from_utf8_lossy(&log[place..place + length]);
        entries.extend(Entry::parse(place, &entry));
        place += length + END.len();
    }
    entries
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

impl Entry {
    fn parse(place: usize, entry: &str) -> Option<Self> {
        let (head, text) = entry.split_once("<<<")?.1.split_once(">>>")?;
        let mut words = head.split(' ');
        Some(Self {
            place,
            thread: words.next()?.parse().ok()?,
            level: words.next()?.to_owned(),
            text: text.to_owned(),
        })
    }

    /// Whether a module has logged it.
    pub fn is_line(&self) -> bool {
        self.text.starts_with(MODULE)
    }

    /// What the scenario's module has logged here, as the embedded proxy prints it.
    ///
    /// Before the text are the plugin's name, root ID and VM ID, or only the latter two. Before the VM
    /// has a plugin, there are no names, so the scenario needs an Envoy of its own.
    pub fn line_of(&self, scenario: &Scenario) -> Option<String> {
        let (names, text) = self.text.strip_prefix(MODULE)?.split_once(": ")?;
        let is_own = match names.rsplit(' ').next() {
            Some("") => scenario.is_alone,
            name => name == Some(&scenario.name),
        };
        if !is_own {
            return None;
        }
        let level = match &*self.level {
            "trace" => "Trace",
            "debug" => "Debug",
            "info" => "Info",
            "warning" => "Warn",
            "error" => "Error",
            _ => "Critical",
        };
        Some(format!("[{level}] {text}"))
    }

    /// The callback that has trapped.
    pub fn trap(&self) -> Option<String> {
        let (callback, _) = self.text.strip_prefix(TRAP)?.split_once(" failed: ")?;
        Some(callback.to_owned())
    }
}
