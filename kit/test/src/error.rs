//! Errors.

use std::fmt;

use crate::records::LogLine;

/// The error of each function that runs a module, in the embedded proxy or in Envoy.
///
/// In the embedded proxy, every function that calls the module can return [`Error::Trap`],
/// [`Error::BreaksEnvoy`] and, after a trap, [`Error::VmTerminated`]. Its documentation may list
/// only the first.
///
/// The `Debug` text of an error is that of `Display`, because Rust shows the former if a test returns
/// the error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The module does not load. Envoy would not load it either, or would crash.
    #[error("the module does not load: {0}")]
    Load(String),
    /// Envoy may load the module, but the embedded proxy cannot run it.
    #[error("the embedded proxy cannot run the module: {0}")]
    Unsupported(String),
    /// `proxy_on_vm_start` or `proxy_on_configure` returned false.
    #[error("{callback} rejected the configuration{}", logged(log))]
    Rejected {
        /// The callback that returned false.
        callback: &'static str,
        /// What it logged.
        log: Vec<LogLine>,
    },
    /// The module trapped, which terminates its VM.
    #[error("{0}")]
    Trap(Trap),
    /// The module trapped in an earlier call.
    #[error("the VM terminated after an earlier trap; load the module again")]
    VmTerminated,
    /// The extension has paused the `request` or the `response`, and not resumed it.
    #[error(
        "the extension has paused the {0}; first respond to its call (Proxy::http_calls, \
         Proxy::grpc_calls), or send what it waits for"
    )]
    Paused(&'static str),
    /// The stream was reset before the response was complete: the extension has closed it, or has
    /// sent a local response after a response had begun, or the upstream has failed.
    #[error("the stream was reset before its response was complete")]
    StreamReset,
    /// The extension did something after which Envoy 1.40 crashes, corrupts a message, or holds one
    /// forever. The text says what the extension did, what Envoy does, and how to avoid it.
    #[error("{0}")]
    BreaksEnvoy(String),
    /// The call is not possible in the current state, for example on a stream that has ended.
    #[error("{0}")]
    InvalidState(&'static str),
    /// There is no Envoy, it did not start, or it did not respond.
    #[cfg(feature = "envoy")]
    #[error("{0}")]
    Envoy(String),
    /// Envoy rejected a listener that contains the extension.
    #[cfg(feature = "envoy")]
    #[error("Envoy rejected the configuration:\n{log}")]
    EnvoyRejected {
        /// What Envoy and the extension logged.
        log: String,
    },
    /// There was no complete HTTP response.
    #[cfg(feature = "envoy")]
    #[error("no response from {url}: {reason}")]
    Http {
        /// Where the request was sent.
        url: String,
        /// Why there was none.
        reason: String,
    },
    /// A file, a process or a socket failed.
    #[cfg(feature = "envoy")]
    #[error("cannot {action}: {source}")]
    Io {
        /// What failed, for example `write FILE`.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(feature = "envoy")]
impl Error {
    /// Converts an error of the operating system to [`Error::Io`].
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        |source| Self::Io { action, source }
    }
}

/// A trap, which terminates the VM: for example a panic, an invalid memory access, or a limit.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trap {
    /// The callback that the proxy called, or `start section`.
    pub callback: String,
    /// The WebAssembly trap, or the host's reason.
    pub reason: String,
    /// The functions that had not returned, innermost first. Empty if the module uses tail calls.
    pub backtrace: Vec<Frame>,
    /// What the callback logged. A panic logs its message and location.
    pub log: Vec<LogLine>,
    /// The limit of the embedded proxy that the module has reached. Envoy's limits can differ, so
    /// the module might not trap there.
    pub limit: Option<Limit>,
}

/// A limit of the embedded proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Options::fuel_limit`](crate::Options::fuel_limit): the callback did not return within it.
    Fuel,
    /// [`Options::memory_limit`](crate::Options::memory_limit): the memory could not grow beyond it.
    Memory,
    /// The depth of nested calls.
    CallDepth,
}

/// A function of the module that had not returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its index in the module.
    pub function: u32,
    /// Its name. `None` if neither the module nor its symbols have function names.
    pub name: Option<String>,
}

impl fmt::Display for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{:#}", rustc_demangle::demangle(name)),
            None => write!(formatter, "function {}", self.function),
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} trapped: {}", self.callback, self.reason)?;
        formatter.write_str(match self.limit {
            Some(Limit::Fuel) => "; the embedded proxy's limit is Options::fuel_limit",
            Some(Limit::Memory) => {
                "; its memory reached the embedded proxy's limit, Options::memory_limit"
            }
            Some(Limit::CallDepth) | None => "",
        })?;
        for frame in &self.backtrace {
            write!(formatter, "\n  at {frame}")?;
        }
        if self.log.is_empty() {
            return Ok(());
        }
        write!(formatter, "\nits log:{}", lines(&self.log))
    }
}

/// The last part of the message of a rejection: the log.
fn logged(log: &[LogLine]) -> String {
    if log.is_empty() {
        return " and logged nothing".to_owned();
    }
    format!("; its log:{}", lines(log))
}

fn lines(log: &[LogLine]) -> String {
    log.iter().map(|line| format!("\n  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use proxy_wasm_abi::LogLevel;

    use super::*;

    fn log() -> Vec<LogLine> {
        ["one", "two"]
            .map(|message| LogLine {
                level: LogLevel::Error,
                message: message.to_owned(),
            })
            .to_vec()
    }

    #[test]
    fn rejection_shows_the_log() {
        let text = |log| {
            let callback = "proxy_on_configure";
            Error::Rejected { callback, log }.to_string()
        };
        assert_eq!(
            text(log()),
            "proxy_on_configure rejected the configuration; its log:\n  [Error] one\n  [Error] two"
        );
        assert_eq!(
            text(Vec::new()),
            "proxy_on_configure rejected the configuration and logged nothing"
        );
    }

    #[test]
    fn trap_shows_backtrace_and_log() {
        let frame = |function, name: Option<&str>| Frame {
            function,
            name: name.map(str::to_owned),
        };
        let trap = |backtrace, log| Trap {
            callback: "proxy_on_tick".to_owned(),
            reason: "unreachable".to_owned(),
            backtrace,
            log,
            limit: None,
        };
        let frames = vec![
            frame(3, None),
            frame(7, Some("_ZN3one3two17h0123456789abcdefE")),
        ];
        assert_eq!(
            trap(frames, log()).to_string(),
            "proxy_on_tick trapped: unreachable\n  at function 3\n  at one::two\n\
             its log:\n  [Error] one\n  [Error] two"
        );
        let nothing = trap(Vec::new(), Vec::new());
        assert_eq!(nothing.to_string(), "proxy_on_tick trapped: unreachable");
    }
}
