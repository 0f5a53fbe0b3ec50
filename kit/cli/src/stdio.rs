//! Standard output and standard error, which the reader may close early: `… | head -1`.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Writes to standard output. If the reader has closed it, that is not an error: the command
/// continues, and its exit status does not change.
///
/// # Errors
///
/// If it cannot be written for another reason, for example because the disk is full.
pub fn write(text: Arguments) -> Result<()> {
    let mut output = io::stdout();
    match output.write_fmt(text).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard output: see [`write()`].
macro_rules! print_line {
    ($($text:tt)*) => {
        $crate::stdio::write(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Writes a line to standard error. Ignores errors.
macro_rules! print_note {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

pub(crate) use {print_line, print_note};

/// A path relative to the current directory, if it is in it.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// A number with a noun: `1 file`, `2 files`.
pub fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
