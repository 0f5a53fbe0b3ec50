//! The versions of the ABI.

use std::fmt;

/// A version of the Proxy-Wasm ABI that Envoy supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AbiVersion {
    /// ABI 0.1.0, replaced in 2020. Envoy still loads its modules.
    V0_1_0,
    /// ABI 0.2.0.
    V0_2_0,
    /// ABI 0.2.1.
    V0_2_1,
}

impl AbiVersion {
    /// All versions, oldest first.
    pub const ALL: &'static [Self] = &[Self::V0_1_0, Self::V0_2_0, Self::V0_2_1];

    /// The prefix of every marker's name, also of unknown versions.
    pub const MARKER_PREFIX: &'static str = "proxy_abi_version_";

    /// The name of the function that a module of this version exports (section "Integration").
    ///
    /// A proxy never calls it. If a module exports several markers, Envoy uses the first one that
    /// it knows, in the order of the exports.
    pub const fn marker(self) -> &'static str {
        match self {
            Self::V0_1_0 => "proxy_abi_version_0_1_0",
            Self::V0_2_0 => "proxy_abi_version_0_2_0",
            Self::V0_2_1 => "proxy_abi_version_0_2_1",
        }
    }

    /// The version whose marker has this name.
    pub fn from_marker(export: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|version| version.marker() == export)
    }
}

/// The version with dots: `0.2.1`.
impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_2_1 => "0.2.1",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_is_prefix_and_version() {
        for version in AbiVersion::ALL {
            let suffix = version.to_string().replace('.', "_");
            let marker = format!("{}{suffix}", AbiVersion::MARKER_PREFIX);
            assert_eq!(version.marker(), marker);
            assert_eq!(AbiVersion::from_marker(&marker), Some(*version));
        }
    }

    #[test]
    fn unknown_markers_have_no_version() {
        for name in ["proxy_abi_version_0_3_0", "proxy_abi_version_0_2_1_", ""] {
            assert_eq!(AbiVersion::from_marker(name), None, "{name}");
        }
    }

    #[test]
    fn all_is_complete_and_oldest_first() {
        assert_eq!(AbiVersion::ALL.len(), 3);
        assert!(AbiVersion::ALL.is_sorted());
    }
}
