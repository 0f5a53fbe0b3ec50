//! The WebAssembly proposals that a module needs.

use super::subject::Subject;

pub fn check(subject: &mut Subject) {
    for need in &subject.module.proposals {
        let remedy = if need.name == "reference-types" {
            "if it is to run there, encode it again without long table indexes, as cargo \
             proxy-wasm shrink and wasm-opt do"
        } else {
            "if it is to run there, compile without this feature"
        };
        let problem = format!("it needs the proposal {} (V8 {})", need.name, need.v8);
        subject.needs(need.since, true, problem, remedy);
    }
}
