//! The WebAssembly proposals that a module needs.

use super::checked_module::CheckedModule;

pub fn check(checked: &mut CheckedModule) {
    for need in &checked.module.proposals {
        let remedy = if need.name == "reference-types" {
            "to run it there, encode it again with the short form of call_indirect, as cargo \
             proxy-wasm shrink and wasm-opt do"
        } else {
            "to run it there, compile without this feature"
        };
        let problem = format!("it needs the proposal {} (V8 {})", need.name, need.v8);
        checked.needs(need.since, true, problem, remedy);
    }
}
