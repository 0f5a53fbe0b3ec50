//! Which callbacks are kept, and why.

use std::collections::BTreeSet;
use std::fmt;

use walrus::Module;

use super::analysis_build::AnalysisBuild;
use super::sdk;

/// Whether a callback is kept, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is kept: this function of the extension implements it.
    Implemented(String),
    /// It is kept: the SDK or the proxy needs it, for this reason.
    Essential(&'static str),
    /// It is kept: the response to a host call that the module makes arrives in it.
    ReceivesResponse,
    /// It is kept: nothing tells whether it is implemented.
    Unknown,
    /// It is kept, although nothing implements it: the module is smaller as it was.
    Unchanged,
    /// It is removed: nothing implements it.
    Unimplemented,
}

impl Verdict {
    /// Whether the callback is kept.
    pub fn is_kept(&self) -> bool {
        *self != Self::Unimplemented
    }
}

/// What shrinking does with a callback.
///
/// Its text is a line: `kept:    proxy_on_log, because …` or `removed: proxy_on_log, because …`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The callback's name.
    pub callback: String,
    /// Whether it is kept, and why.
    pub verdict: Verdict,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let action = if self.verdict.is_kept() {
            "kept:   "
        } else {
            "removed:"
        };
        write!(f, "{action} {}, because ", self.callback)?;
        match &self.verdict {
            Verdict::Implemented(function) => write!(f, "{function} implements it"),
            Verdict::Essential(why) => f.write_str(why),
            Verdict::ReceivesResponse => {
                f.write_str("the response to a call that the module makes arrives in it")
            }
            Verdict::Unknown => f.write_str("nothing tells whether it is implemented"),
            Verdict::Unchanged => f.write_str("the module is smaller as it was"),
            Verdict::Unimplemented => f.write_str("nothing implements it"),
        }
    }
}

/// Decides on each callback that a module exports. Of those that nothing implements, the ones in
/// `receiving` are kept.
pub fn decide(
    module: &Module,
    analysis_build: Option<&AnalysisBuild>,
    receiving: &BTreeSet<&'static str>,
) -> Vec<Decision> {
    let analysis_build = analysis_build.filter(|build| build.has_sdk_symbols);
    let verdict = |callback: &str| {
        if let Some(why) = sdk::why_essential(callback) {
            return Verdict::Essential(why);
        }
        let Some(build) = analysis_build.filter(|_| sdk::calls_methods_in(callback)) else {
            return Verdict::Unknown;
        };
        match build.implemented.get(callback) {
            Some(function) => Verdict::Implemented(function.clone()),
            None if receiving.contains(callback) => Verdict::ReceivesResponse,
            None => Verdict::Unimplemented,
        }
    };
    let mut decisions: Vec<_> = module
        .exports
        .iter()
        .filter(|export| export.name.starts_with("proxy_on_"))
        .map(|export| Decision {
            callback: export.name.clone(),
            verdict: verdict(&export.name),
        })
        .collect();
    decisions.sort_by(|a, b| a.callback.cmp(&b.callback));
    decisions
}
