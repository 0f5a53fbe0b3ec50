//! Which callbacks an extension implements.
//!
//! Nothing is inlined in an unoptimized build, so that every function has its name.

use std::collections::BTreeMap;

use wasmparser::{KnownCustom, Name, Parser, Payload};

use super::sdk;
use crate::error::Error;

/// What an unoptimized build tells.
#[derive(Default)]
pub struct AnalysisBuild {
    /// Callbacks, and a function that implements each.
    pub implemented: BTreeMap<&'static str, String>,
    /// Whether it has names of the SDK at all.
    pub has_sdk_symbols: bool,
}

impl AnalysisBuild {
    pub fn read(module: &[u8]) -> Result<Self, Error> {
        let mut build = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload.map_err(|error| Error::invalid(&error))?;
            let Payload::CustomSection(section) = payload else {
                continue;
            };
            let KnownCustom::Name(names) = section.as_known() else {
                continue;
            };
            // A custom section that is not valid does not make the module invalid.
            for subsection in names.into_iter().map_while(Result::ok) {
                if let Name::Function(functions) = subsection {
                    for function in functions.into_iter().map_while(Result::ok) {
                        build.add(sdk::readable(function.name));
                    }
                }
            }
        }
        Ok(build)
    }

    fn add(&mut self, function: String) {
        self.has_sdk_symbols |= sdk::is_default(&function);
        for callback in sdk::implemented_by(&function) {
            self.implemented
                .entry(callback)
                .or_insert_with(|| function.clone());
        }
    }
}
