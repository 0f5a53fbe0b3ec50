//! Which callbacks an extension implements.
//!
//! The SDK's traits have a default for each callback. In an unoptimized build the names of
//! functions tell which stands in a trait object's table: `<Type as proxy_wasm::traits::T>::method`
//! is an implementation, whatever wrote it (a macro, a generic type, a crate that the extension
//! uses), and `proxy_wasm::traits::T::method` is the default.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;
use rustc_demangle::demangle;
use walrus::Module;

use super::parse;

const TRAITS: &str = "proxy_wasm::traits::";

/// Callbacks that the SDK needs, whatever the extension implements.
const ESSENTIAL: [(&str, &str); 3] = [
    (
        "proxy_on_memory_allocate",
        "the proxy hands over data with it",
    ),
    ("proxy_on_context_create", "the SDK creates contexts in it"),
    ("proxy_on_delete", "the SDK frees contexts in it"),
];

/// The SDK's methods, by trait and name, and the callbacks in which it calls them.
const METHODS: [(&str, &str, &str); 30] = [
    ("Context", "on_done", "proxy_on_done"),
    (
        "Context",
        "on_foreign_function",
        "proxy_on_foreign_function",
    ),
    (
        "Context",
        "on_http_call_response",
        "proxy_on_http_call_response",
    ),
    ("Context", "on_grpc_call_response", "proxy_on_grpc_receive"),
    ("Context", "on_grpc_call_response", "proxy_on_grpc_close"),
    (
        "Context",
        "on_grpc_stream_initial_metadata",
        "proxy_on_grpc_receive_initial_metadata",
    ),
    ("Context", "on_grpc_stream_message", "proxy_on_grpc_receive"),
    (
        "Context",
        "on_grpc_stream_trailing_metadata",
        "proxy_on_grpc_receive_trailing_metadata",
    ),
    ("Context", "on_grpc_stream_close", "proxy_on_grpc_close"),
    ("RootContext", "on_vm_start", "proxy_on_vm_start"),
    ("RootContext", "on_configure", "proxy_on_configure"),
    ("RootContext", "on_tick", "proxy_on_tick"),
    ("RootContext", "on_queue_ready", "proxy_on_queue_ready"),
    ("RootContext", "on_log", "proxy_on_log"),
    (
        "StreamContext",
        "on_new_connection",
        "proxy_on_new_connection",
    ),
    (
        "StreamContext",
        "on_downstream_data",
        "proxy_on_downstream_data",
    ),
    (
        "StreamContext",
        "on_downstream_close",
        "proxy_on_downstream_connection_close",
    ),
    (
        "StreamContext",
        "on_upstream_data",
        "proxy_on_upstream_data",
    ),
    (
        "StreamContext",
        "on_upstream_close",
        "proxy_on_upstream_connection_close",
    ),
    ("StreamContext", "on_log", "proxy_on_log"),
    (
        "HttpContext",
        "on_http_request_headers",
        "proxy_on_request_headers",
    ),
    (
        "HttpContext",
        "on_http_request_body",
        "proxy_on_request_body",
    ),
    (
        "HttpContext",
        "on_http_request_trailers",
        "proxy_on_request_trailers",
    ),
    (
        "HttpContext",
        "on_http_response_headers",
        "proxy_on_response_headers",
    ),
    (
        "HttpContext",
        "on_http_response_body",
        "proxy_on_response_body",
    ),
    (
        "HttpContext",
        "on_http_response_trailers",
        "proxy_on_response_trailers",
    ),
    ("HttpContext", "on_log", "proxy_on_log"),
    // Not callbacks of a proxy, but the SDK calls them through trait objects all the same.
    (
        "RootContext",
        "create_http_context",
        "proxy_on_context_create",
    ),
    (
        "RootContext",
        "create_stream_context",
        "proxy_on_context_create",
    ),
    ("RootContext", "get_type", "proxy_on_context_create"),
];

/// What becomes of a callback, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays: this function of the extension implements it.
    Implemented(String),
    /// It stays: the SDK or the proxy needs it.
    Essential(&'static str),
    /// It stays: the module makes a host call whose answer comes in it.
    Answers,
    /// It stays: nothing tells whether it is implemented.
    Unknown,
    /// It goes: nothing implements it.
    Unimplemented,
}

impl Verdict {
    /// Whether the callback stays.
    pub fn is_kept(&self) -> bool {
        *self != Self::Unimplemented
    }
}

/// A callback, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The name under which the module exports it.
    pub callback: String,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl fmt::Display for Decision {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let callback = &self.callback;
        match &self.verdict {
            Verdict::Implemented(by) => write!(formatter, "stays: {callback}, for {by}"),
            Verdict::Essential(why) => write!(formatter, "stays: {callback}, for {why}"),
            Verdict::Answers => write!(
                formatter,
                "stays: {callback}, for the answers to what the module calls come in it"
            ),
            Verdict::Unknown => write!(
                formatter,
                "stays: {callback}, for nothing tells whether it is implemented"
            ),
            Verdict::Unimplemented => write!(formatter, "goes:  {callback}, nothing implements it"),
        }
    }
}

/// What an unoptimized build tells.
pub(super) struct Survey {
    /// Callbacks, and a function that implements each.
    implemented: BTreeMap<&'static str, String>,
    /// Whether it has the SDK's names at all.
    speaks: bool,
}

impl Survey {
    pub(super) fn read(module: &[u8]) -> Result<Self> {
        let module = parse(module)?;
        let names: Vec<_> = names(&module).collect();
        let mut implemented = BTreeMap::new();
        for name in &names {
            for callback in implements(name) {
                implemented.entry(callback).or_insert_with(|| name.clone());
            }
        }
        let speaks = names.iter().any(|name| name.starts_with(TRAITS));
        Ok(Self {
            implemented,
            speaks,
        })
    }
}

/// The names of a module's functions, as a person reads them.
fn names(module: &Module) -> impl Iterator<Item = String> {
    let names = module.funcs.iter().filter_map(|func| func.name.as_deref());
    names.map(|name| format!("{:#}", demangle(name)))
}

/// The callbacks that a function of this name implements.
fn implements(name: &str) -> Vec<&'static str> {
    let Some((_, implementation)) = name.split_once(&format!(" as {TRAITS}")) else {
        return Vec::new();
    };
    let Some((of_trait, method)) = implementation.split_once(">::") else {
        return Vec::new();
    };
    // A closure in a method is named after it.
    let method = method.split("::").next().unwrap_or(method);
    METHODS
        .into_iter()
        .filter(|(t, m, _)| *t == of_trait && *m == method)
        .map(|(.., callback)| callback)
        .collect()
}

/// Whether a function of this name is a method that the SDK offers to extensions, and so never
/// calls through a trait object itself.
pub(super) fn is_offered(name: &str) -> bool {
    let name = format!("{:#}", demangle(name));
    let Some((of_trait, method)) = name
        .strip_prefix(TRAITS)
        .and_then(|path| path.split_once("::"))
    else {
        return false;
    };
    !METHODS
        .iter()
        .any(|(t, m, _)| *t == of_trait && *m == method)
}

/// Decides on each callback that the module exports.
pub(super) fn decide(
    module: &Module,
    survey: Option<&Survey>,
    needed: &BTreeSet<&'static str>,
) -> Vec<Decision> {
    let survey = survey.filter(|survey| survey.speaks);
    let verdict = |callback: &str| {
        if let Some((_, why)) = ESSENTIAL.iter().find(|(name, _)| *name == callback) {
            return Verdict::Essential(why);
        }
        let is_known = METHODS.iter().any(|(.., name)| *name == callback);
        let Some(survey) = survey.filter(|_| is_known) else {
            return Verdict::Unknown;
        };
        match survey.implemented.get(callback) {
            Some(function) => Verdict::Implemented(function.clone()),
            None if needed.contains(callback) => Verdict::Answers,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_implementations_from_defaults() {
        let implements = |name| implements(name).first().copied();
        assert_eq!(
            implements("<a::B as proxy_wasm::traits::HttpContext>::on_http_request_body"),
            Some("proxy_on_request_body")
        );
        assert_eq!(
            implements("<a::B<T> as proxy_wasm::traits::Context>::on_done::{{closure}}"),
            Some("proxy_on_done")
        );
        for name in [
            "proxy_wasm::traits::HttpContext::on_http_request_body",
            "<a::B as other::traits::HttpContext>::on_http_request_body",
            "<a::B as proxy_wasm::traits::HttpContext>::get_http_request_body",
        ] {
            assert_eq!(implements(name), None, "{name}");
        }
    }

    #[test]
    fn methods_that_the_sdk_offers_are_told_from_those_that_it_calls() {
        assert!(is_offered(
            "proxy_wasm::traits::HttpContext::get_http_request_body"
        ));
        assert!(!is_offered(
            "proxy_wasm::traits::HttpContext::on_http_request_body"
        ));
        assert!(!is_offered(
            "proxy_wasm::traits::RootContext::create_http_context"
        ));
        assert!(!is_offered("proxy_wasm::hostcalls::get_map"));
    }
}
