//! Which callbacks are kept, and why.

use std::collections::BTreeSet;
use std::fmt;

use walrus::Module;

use super::analysis_build::AnalysisBuild;
use super::sdk;

/// Why a callback is kept or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Kept: this function of the extension implements it.
    Implemented(String),
    /// Kept: the SDK or the proxy needs it, for this reason.
    Essential(&'static str),
    /// Kept: it receives the response to a host call that the module makes.
    ReceivesResponse,
    /// Kept: it is not known whether the extension implements it.
    Unknown,
    /// Kept, although nothing implements it: the original module is smaller.
    Unchanged,
    /// Removed: nothing implements it.
    Unimplemented,
}

impl Reason {
    /// Whether the callback is kept.
    pub fn is_kept(&self) -> bool {
        *self != Self::Unimplemented
    }
}

/// Whether a callback is kept.
///
/// It is displayed as a line: `kept:    proxy_on_log, because …` or
/// `removed: proxy_on_log, because …`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The callback's name.
    pub callback: String,
    /// Whether it is kept, and why.
    pub reason: Reason,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let action = if self.reason.is_kept() {
            "kept:   "
        } else {
            "removed:"
        };
        write!(f, "{action} {}, because ", self.callback)?;
        match &self.reason {
            Reason::Implemented(function) => write!(f, "{function} implements it"),
            Reason::Essential(why) => f.write_str(why),
            Reason::ReceivesResponse => {
                f.write_str("it receives the response to a host call that the module makes")
            }
            Reason::Unknown => f.write_str("it is not known whether the extension implements it"),
            Reason::Unchanged => f.write_str("the original module is smaller"),
            Reason::Unimplemented => f.write_str("nothing implements it"),
        }
    }
}

/// Decides which of the exported callbacks are kept. Those in `receiving` are, even if nothing
/// implements them.
pub fn decide(
    module: &Module,
    analysis_build: Option<&AnalysisBuild>,
    receiving: &BTreeSet<&'static str>,
) -> Vec<Decision> {
    let analysis_build = analysis_build.filter(|build| build.has_sdk_symbols);
    let reason = |callback: &str| {
        if let Some(why) = sdk::why_essential(callback) {
            return Reason::Essential(why);
        }
        let Some(build) = analysis_build.filter(|_| sdk::calls_methods_in(callback)) else {
            return Reason::Unknown;
        };
        match build.implemented.get(callback) {
            Some(function) => Reason::Implemented(function.clone()),
            None if receiving.contains(callback) => Reason::ReceivesResponse,
            None => Reason::Unimplemented,
        }
    };
    let mut decisions: Vec<_> = module
        .exports
        .iter()
        .filter(|export| export.name.starts_with("proxy_on_"))
        .map(|export| Decision {
            callback: export.name.clone(),
            reason: reason(&export.name),
        })
        .collect();
    decisions.sort_by(|a, b| a.callback.cmp(&b.callback));
    decisions
}
