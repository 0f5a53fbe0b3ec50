//! Shows the progress of a push on standard error.

use std::io::{IsTerminal, Write};

use proxy_wasm_image::PushEvent;

use crate::stdio::print_note;

/// Shows an event. In a terminal, each blob has a line that is updated; in a log, only the last
/// event of a blob is printed.
pub fn show(event: PushEvent) {
    match event {
        PushEvent::AlreadyPresent { digest } => print_note!("{digest}: already present"),
        PushEvent::Sent {
            digest,
            bytes,
            total,
        } => {
            let is_last = bytes == total;
            let mut output = std::io::stderr();
            if is_last || output.is_terminal() {
                let end = if is_last { "\n" } else { "\r" };
                // The push continues if progress cannot be shown.
                let _ = write!(output, "{digest}: {bytes} of {total} bytes{end}");
                let _ = output.flush();
            }
        }
        _ => {}
    }
}
