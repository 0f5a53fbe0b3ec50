//! Which callbacks an extension implements.
//!
//! The compiler inlines nothing in an unoptimized build, so every function has a name.

use std::collections::BTreeMap;

use wasmparser::{KnownCustom, Name, Parser, Payload};

use super::sdk;
use crate::error::Error;

/// What is known from an unoptimized build.
#[derive(Default)]
pub struct AnalysisBuild {
    /// The implemented callbacks, each with a function that implements it.
    pub implemented: BTreeMap<&'static str, String>,
    /// Whether it has function names of the SDK.
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
            // An invalid custom section does not make the module invalid.
            for subsection in names.into_iter().map_while(Result::ok) {
                if let Name::Function(functions) = subsection {
                    for function in functions.into_iter().map_while(Result::ok) {
                        build.add(sdk::demangled(function.name));
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
