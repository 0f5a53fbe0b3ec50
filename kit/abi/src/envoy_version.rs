//! Releases of Envoy.

use std::fmt;

/// A minor release of Envoy. It does not distinguish patch releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvoyVersion {
    /// The major version.
    pub major: u32,
    /// The minor version.
    pub minor: u32,
}

impl EnvoyVersion {
    /// Envoy 1.17 (January 2021), the first release with the Wasm extension.
    ///
    /// This crate's data begins with this release: a function "since 1.17" has always existed.
    pub const OLDEST: Self = Self::new(1, 17);

    /// The release `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

/// Major and minor version: `1.36`.
impl fmt::Display for EnvoyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_has_major_and_minor() {
        assert_eq!(EnvoyVersion::new(1, 36).to_string(), "1.36");
    }

    #[test]
    fn versions_are_compared_by_major_then_minor() {
        assert!(EnvoyVersion::new(1, 9) < EnvoyVersion::new(1, 17));
        assert!(EnvoyVersion::new(1, 40) < EnvoyVersion::new(2, 0));
    }
}
