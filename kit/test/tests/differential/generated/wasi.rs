//! The functions of WASI, and two that modules compiled by Emscripten import.

use proxy_wasm_abi::{Function, ValueType, WASI_FUNCTIONS};

use crate::module::{Out, probe};
use crate::scenario::Scenario;

use super::places::Place;

pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for place in Place::named(&[
        "initialize",
        "configure",
        "request_headers",
        "delete_stream",
    ]) {
        for function in WASI_FUNCTIONS {
            let mut body = "(call $vector @\"text\")".to_owned();
            for (call, outs) in calls(function) {
                body += &probe(&format!("$wasi_{} {call}", function.name), &outs);
            }
            if function.signature.result.is_none() {
                body = format!("(call $wasi_{} #0)", function.name);
            }
            scenarios.push(place.scenario(format!("{}.{}", function.name, place.name), &body));
        }
        for (name, call) in [
            (
                "emscripten_notify_memory_growth",
                "(call $emscripten_notify_memory_growth #0)",
            ),
            (
                "pthread_equal",
                "(call $number (call $pthread_equal #1 #1)) (call $number (call $pthread_equal #1 #2))",
            ),
        ] {
            scenarios.push(place.scenario(format!("{name}.{}", place.name), call));
        }
    }
    scenarios
}

/// The arguments of each call of a function, and its results: zeros and usual arguments, or a list for
/// this function.
fn calls(function: &Function) -> Vec<(String, Vec<Out>)> {
    let number = vec![Out::Number(8)];
    let both = vec![Out::Number(8), Out::Number(12)];
    let parameters = function.signature.parameters;
    let zeros: String = parameters
        .iter()
        .map(|parameter| match parameter.value_type {
            ValueType::I64 => "(i64.const 0) ",
            _ => "#0 ",
        })
        .collect();
    // Results at an address of their own.
    let usual: String = parameters
        .iter()
        .map(|parameter| match (parameter.value_type, parameter.name) {
            (ValueType::I64, _) => "(i64.const 1) ",
            (_, name) if name.starts_with("return_") => "#8 ",
            (_, "fd" | "fd_id") => "#1 ",
            _ => "#24 ",
        })
        .collect();
    let list = |calls: &[&str], outs: &[Out]| -> Vec<(String, Vec<Out>)> {
        calls
            .iter()
            .map(|call| ((*call).to_owned(), outs.to_vec()))
            .collect()
    };
    match function.name {
        // A `ciovec` at the address 128.
        "fd_write" => list(
            &[
                "#1 #128 #0 #8",
                "#1 #128 #1 #8",
                "#2 #128 #1 #8",
                "#0 #128 #1 #8",
                "#3 #128 #1 #8",
                "#1 #0x7fffffff #1 #8",
                "#1 #128 #1 #0x7fffffff",
                "#1 #128 #-1 #8",
            ],
            &number,
        ),
        "clock_time_get" => list(
            &[
                "#0 (i64.const 0) #8",
                "#1 (i64.const 0) #8",
                "#2 (i64.const 0) #8",
                "#3 (i64.const 0) #8",
                "#-1 (i64.const 0) #8",
                "#0 (i64.const 0) #0x7fffffff",
            ],
            &[],
        ),
        "clock_res_get" => list(
            &[
                "#0 #8",
                "#1 #8",
                "#2 #8",
                "#3 #8",
                "#4 #8",
                "#0 #0x7fffffff",
            ],
            &[Out::Long(8)],
        ),
        "random_get" => list(
            &["#8 #0", "#8 #4", "#0x7fffffff #4", "#8 #-1", "#0 #131073"],
            &[],
        ),
        "environ_sizes_get" | "args_sizes_get" => {
            list(&["#8 #12", "#0x7fffffff #12", "#8 #0x7fffffff"], &both)
        }
        "environ_get" | "args_get" => list(&["#8 #12", "#0x7fffffff #12", "#8 #0x7fffffff"], &both),
        "poll_oneoff" => list(
            &[
                "#0 #8 #0 #12",
                "#0 #8 #1 #12",
                "#0x7fffffff #8 #1 #12",
                "#0 #8 #1 #0x7fffffff",
            ],
            &both,
        ),
        "fd_fdstat_get" => list(
            &["#0 #8", "#1 #8", "#2 #8", "#3 #8", "#1 #0x7fffffff"],
            &both,
        ),
        "fd_seek" => list(
            &[
                "#1 (i64.const 0) #0 #8",
                "#3 (i64.const 5) #1 #8",
                "#1 (i64.const 0) #9 #8",
            ],
            &[Out::Long(8)],
        ),
        "fd_prestat_get" => list(&["#0 #8", "#3 #8", "#4 #8", "#3 #0x7fffffff"], &both),
        _ => vec![(zeros, Vec::new()), (usual, number)],
    }
}
