//! What a module may call, and when.

use wasmi::Error;

/// What an instance is doing, which decides what it may call.
///
/// In Envoy, a call that is not allowed is the trap `restricted_callback`, or a crash in a start
/// section, where Envoy has no context yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecutionPhase {
    /// The start section runs.
    Instantiating,
    /// `_initialize` and `main`, or `_start`, run.
    Starting,
    /// Callbacks run.
    Running,
    /// The allocator runs, inside a host call.
    Allocating,
}

impl ExecutionPhase {
    /// Checks that the module may call a function of the host that uses its memory or its context.
    pub(crate) fn check(self, function: &str) -> Result<(), Error> {
        match self {
            Self::Running => Ok(()),
            Self::Instantiating => Err(Error::new(format!(
                "its start section calls {function}: Envoy crashes when it loads such a module; \
                 move the code to `_initialize` (AssemblyScript: --exportStart _initialize)"
            ))),
            Self::Starting | Self::Allocating => self.check_constant(function),
        }
    }

    /// Checks that the module may call a function of the host that uses neither.
    pub(crate) fn check_constant(self, function: &str) -> Result<(), Error> {
        match self {
            Self::Running | Self::Instantiating => Ok(()),
            Self::Starting if is_allowed_at_start(function) => Ok(()),
            Self::Starting => Err(Error::new(format!(
                "{function} can't be called before the VM has started"
            ))),
            Self::Allocating if ALLOWED_TO_ALLOCATOR.contains(&function) => Ok(()),
            Self::Allocating => Err(Error::new(format!(
                "{function} can't be called by the allocator during a host call; Envoy lets it call \
                 only {}",
                ALLOWED_TO_ALLOCATOR.join(", ")
            ))),
        }
    }
}

/// What an allocator may call.
const ALLOWED_TO_ALLOCATOR: [&str; 4] = ["proxy_log", "fd_write", "clock_time_get", "poll_oneoff"];

/// Logging, Emscripten's memory growth notification, and WASI with these exceptions.
fn is_allowed_at_start(function: &str) -> bool {
    match function {
        "proxy_log" | "emscripten_notify_memory_growth" => true,
        "fd_close" | "fd_read" | "fd_seek" | "path_open" | "proc_exit" | "pthread_equal"
        | "sched_yield" => false,
        _ => !function.starts_with("proxy_"),
    }
}
