//! The results of WASI functions.

pub(super) const SUCCESS: u32 = 0;
pub(super) const BADF: u32 = 8;
pub(super) const NOTDIR: u32 = 20;
pub(super) const FAULT: u32 = 21;
pub(super) const INVAL: u32 = 28;
pub(super) const NOENT: u32 = 44;
pub(super) const NOSYS: u32 = 52;
pub(super) const NOTSUP: u32 = 58;

pub(super) const STDOUT: u32 = 1;
pub(super) const STDERR: u32 = 2;

/// Why a function fails.
pub(super) enum WasiError {
    /// It returns this error number.
    Errno(u32),
    /// The callback ends with a trap.
    Trap(wasmi::Error),
}

impl From<u32> for WasiError {
    fn from(errno: u32) -> Self {
        Self::Errno(errno)
    }
}

impl From<wasmi::Error> for WasiError {
    fn from(error: wasmi::Error) -> Self {
        Self::Trap(error)
    }
}

pub(super) type WasiResult<T = ()> = Result<T, WasiError>;

/// Success for standard output and standard error.
pub(super) fn of_output(file: u32) -> u32 {
    match file {
        STDOUT | STDERR => SUCCESS,
        _ => BADF,
    }
}
