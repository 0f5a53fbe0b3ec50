//! The markers, which show the ABI version of a module.

use proxy_wasm_abi::AbiVersion;

use super::checked_module::{CheckedModule, MAX_COUNT};
use crate::report::excerpt;

const REMEDY: &str = "build it with a Proxy-Wasm SDK for ABI 0.2.1";

pub fn check(checked: &mut CheckedModule) {
    let module = checked.module;
    let version = module.abi_version();
    if module.abi.is_empty() {
        checked.error(
            "it exports no proxy_abi_version_…, so no proxy loads it",
            REMEDY,
        );
    } else if version == Some(AbiVersion::V0_1_0) {
        checked.warning(
            "it uses ABI 0.1.0, which 0.2.0 replaced in 2020; proxies still load it",
            REMEDY,
        );
    }
    for marker in module.abi.iter().take(MAX_COUNT) {
        let known = AbiVersion::ALL
            .iter()
            .any(|known| known.to_string() == *marker);
        if known && version.is_none() {
            checked.error(
                format!("its export for ABI {marker} is not a function"),
                REMEDY,
            );
        } else if !known {
            let problem = format!("it uses ABI {}, which no proxy supports", excerpt(marker));
            if version.is_none() {
                checked.error(problem, REMEDY);
            } else {
                checked.warning(problem, "export only one proxy_abi_version_…");
            }
        }
    }
    if module.abi.len() > 1 {
        checked.warning(
            format!(
                "it exports the markers of {} ABI versions",
                module.abi.len()
            ),
            "export only one proxy_abi_version_…: each proxy selects one by its own rule",
        );
    }
}
