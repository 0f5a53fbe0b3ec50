//! Shows how far a push has come, on standard error.

use std::io::{IsTerminal, Write};

use proxy_wasm_image::PushEvent;

use crate::stdio::print_note;

/// Shows an event. A terminal gets each step, in one line for each blob; a log gets the last one.
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
                // A failure to show progress does not stop the push.
                let _ = write!(output, "{digest}: {bytes} of {total} bytes{end}");
                let _ = output.flush();
            }
        }
        _ => {}
    }
}
